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
from tests.server.fake import FakeModels
from tests.server.wire import Client

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


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/api/generate", {"prompt": "x"}),
        ("/api/embed", {"input": "x"}),
        ("/api/embeddings", {"prompt": "x"}),
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/rerank", {"query": "x", "documents": ["x"]}),
        ("/api/tokenize", {"text": "x"}),
    ],
)
async def test_nothing_is_asked_of_a_linked_model_whose_file_has_changed(
    client: Client, models: FakeModels, store: Store, tmp_path: Path, endpoint: str, body: dict[str, object]
) -> None:
    path = tmp_path / "linked.gguf"
    write_gguf(path, METADATA | {"general.name": "linked"}, TENSORS)
    taken = store.take_in(path, lambda _: None, link=True)
    store.publish(ModelName.parse("linked"), b"{}", (Layer(layers.MODEL, taken.digest, taken.size),))
    with path.open("ab") as file:
        file.write(b"more")
    reply = await client.post(endpoint, body | {"model": "linked"})
    assert (reply.status, "is not what it was" in reply.body.decode()) == (500, True), reply.body
    assert models.acquired == []
