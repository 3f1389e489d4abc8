"""What the endpoints share."""

from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import StoreError
from lcrt.gguf.writer import write_gguf
from lcrt.server.services import Services
from lcrt.store import layers
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from tests.gguf.files import METADATA, TENSORS

KINDS = (layers.MODEL, layers.PROJECTOR, layers.ADAPTER, layers.DRAFT)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS)
async def test_a_linked_file_that_has_changed_is_noticed_whatever_it_is_for(
    services: Services, store: Store, tmp_path: Path, kind: str
) -> None:
    parts = []
    for each in KINDS:
        path = tmp_path / f"{each.rpartition('.')[2]}.gguf"
        write_gguf(path, METADATA | {"general.name": each}, TENSORS)
        taken = store.take_in(path, lambda _: None, link=True)
        parts.append(Layer(each, taken.digest, taken.size))
    store.publish(ModelName.parse("linked"), b"{}", tuple(parts))
    model = await services.find(ModelName.parse("linked"))
    assert model is not None
    await services.verify_links(model)
    with (tmp_path / f"{kind.rpartition('.')[2]}.gguf").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(StoreError, match="is not what it was"):
        await services.verify_links(model)
