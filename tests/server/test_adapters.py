from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.core.question import Embed, Rank, Scores, Vectors
from lcrt.core.request import Applied, CreateRequest
from lcrt.gguf.writer import Plain, write_gguf
from lcrt.modelfile.catalog import Catalog
from lcrt.modelfile.create import create
from lcrt.store.store import Store
from tests.gguf.files import METADATA, TENSORS
from tests.server.conftest import add_model
from tests.server.fake import FakeModels
from tests.server.wire import Client
from tests.store.models import put

pytestmark = pytest.mark.anyio

ENDPOINTS: dict[str, dict[str, object]] = {
    "/api/generate": {"prompt": "x", "stream": False},
    "/api/chat": {"messages": [{"role": "user", "content": "x"}], "stream": False},
    "/v1/completions": {"prompt": "x"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    "/api/embed": {"input": "x"},
    "/api/embeddings": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
    "/v1/rerank": {"query": "x", "documents": ["x"], "by_embeddings": True},
    "/rerank": {"query": "x", "documents": ["x"]},
}


def wanted_by(models: FakeModels) -> Applied:
    """What the last request, of a generation or of vectors, named."""
    question = models.questions[-1] if models.questions else None
    return question.adapters if isinstance(question, Embed | Rank) else models.requests[-1].adapters


@pytest.fixture(autouse=True)
def replies(request: pytest.FixtureRequest, models: FakeModels) -> None:
    """Answers for questions of either kind."""
    endpoint = request.node.callspec.params.get("endpoint", "") if hasattr(request.node, "callspec") else ""
    models.reply = Scores([0.5], 1) if "rerank" in endpoint else Vectors([b"[1.0]   "], 1)


def adapt(store: Store, folder: Path, name: str, base: str = "tiny", **keys: Plain) -> str:
    """A model with an adapter of its own; returns the path of that one."""
    path = folder / f"{name}-adapter.gguf"
    write_gguf(path, METADATA | {"general.type": "adapter", "general.name": name} | keys, TENSORS)
    request = CreateRequest(model=name, from_=base, adapters={path.name: put(store, path.read_bytes()).digest})
    for _ in create(store, request):
        pass
    found = Catalog(store).find(ModelName.parse(name))
    assert found is not None
    return found.adapters[0]


@pytest.fixture
def paths(store: Store, tmp_path: Path) -> dict[str, str]:
    """Two models that differ from ``tiny`` in their adapters, and one of another family with one."""
    keys: dict[str, Plain] = {"general.architecture": "qwen2", "qwen2.block_count": 2}
    add_model(store, tmp_path, "stranger", **keys)
    names = ("pirate", "poet")
    return {name: adapt(store, tmp_path, name) for name in names} | {
        "stranger-poet": adapt(store, tmp_path, "stranger-poet", "stranger", **keys)
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_request_names_adapters_of_other_models(
    client: Client, models: FakeModels, paths: dict[str, str], endpoint: str
) -> None:
    pirate, poet = paths["pirate"], paths["poet"]
    cases: list[tuple[object, set[tuple[str, float]]]] = [
        ("pirate", {(pirate, 1.0)}),
        ("pirate:latest", {(pirate, 1.0)}),
        ({"name": "pirate", "scale": 0.5}, {(pirate, 0.5)}),
        (["pirate", {"name": "poet", "scale": -2}], {(pirate, 1.0), (poet, -2.0)}),
        (["pirate", {"name": "poet", "scale": 0}], {(pirate, 1.0)}),
    ]
    for adapter, wanted in cases:
        reply = await client.post(endpoint, ENDPOINTS[endpoint] | {"model": "tiny", "adapter": adapter})
        assert reply.status == 200, reply.body
        assert set(wanted_by(models) or ()) == wanted
        assert models.acquired[-1][0].name == "tiny:latest"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_models_own_adapters_have_numbers(
    client: Client, models: FakeModels, paths: dict[str, str], endpoint: str
) -> None:
    pirate, poet = paths["pirate"], paths["poet"]
    cases: list[tuple[dict[str, object], object]] = [
        ({}, None),
        ({"lora": [{"id": 0, "scale": 1}]}, None),
        ({"lora": [{"id": 0, "scale": 0.5}]}, ((pirate, 0.5),)),
        ({"lora": [{"id": 0, "scale": 0}]}, ()),
        ({"lora": []}, ()),
        ({"adapter": "pirate"}, None),
        ({"adapter": {"name": "pirate", "scale": 0.25}}, ((pirate, 0.25),)),
        ({"adapter": "poet"}, tuple(sorted([(pirate, 1.0), (poet, 1.0)]))),
        ({"adapter": "poet", "lora": []}, ((poet, 1.0),)),
    ]
    for more, wanted in cases:
        reply = await client.post(endpoint, ENDPOINTS[endpoint] | {"model": "pirate"} | more)
        assert reply.status == 200, reply.body
        assert wanted_by(models) == wanted


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_adapters_that_make_no_sense_are_refused_before_anything_is_loaded(
    client: Client, models: FakeModels, paths: dict[str, str], endpoint: str
) -> None:
    assert len(paths) == 3
    cases: list[tuple[dict[str, object], int, str]] = [
        ({"adapter": "nobody"}, 404, "adapter 'nobody' not found"),
        ({"adapter": "/etc/passwd"}, 400, "invalid model name"),
        ({"adapter": "../pirate"}, 400, "invalid model name"),
        ({"adapter": "embedder"}, 400, "'embedder' has no adapter"),
        ({"adapter": "stranger-poet"}, 400, "is for models of the family qwen2, not llama"),
        ({"adapter": ["pirate", {"name": "pirate", "scale": 2}]}, 400, "adapter: a model is named twice"),
        ({"adapter": 7}, 400, "`$.adapter`"),
        ({"adapter": [["pirate"]]}, 400, "`$.adapter[0]`"),
        ({"adapter": {"scale": 1}}, 400, "name"),
        ({"adapter": {"name": "pirate", "scale": "1"}}, 400, "scale"),
        ({"adapter": {"name": "pirate", "scale": 1e300}}, 400, "scale"),
        ({"lora": {"id": 0, "scale": 1}}, 400, "`$.lora`"),
        ({"lora": [{"id": 0}]}, 400, "scale"),
        ({"lora": [{"id": 1, "scale": 1}]}, 400, "lora: no adapter 1, tiny:latest has 0"),
        ({"lora": [{"id": -1, "scale": 1}]}, 400, "lora: no adapter -1, tiny:latest has 0"),
        ({"model": "poet", "lora": [{"id": 0, "scale": 1}, {"id": 0, "scale": 2}]}, 400, "named twice"),
    ]
    for more, status, message in cases:
        reply = await client.post(endpoint, ENDPOINTS[endpoint] | {"model": "tiny"} | more)
        assert (reply.status, message in reply.body.decode()) == (status, True), reply.body
    for number in (b"1e999", b"NaN"):
        body = b'{"model":"tiny","prompt":"x","adapter":{"name":"pirate","scale":' + number + b"}}"
        assert (await client.post(endpoint, body)).status == 400
    assert models.acquired == []


async def test_names_in_any_case_are_understood_as_everywhere_in_a_body(
    client: Client, models: FakeModels, paths: dict[str, str]
) -> None:
    body = {"Model": "tiny", "PROMPT": "x", "Adapter": [{"Name": "poet", "Scale": 2, "color": "red"}]}
    assert (await client.post("/api/generate", body)).status == 200
    assert models.requests[-1].adapters == ((paths["poet"], 2.0),)


async def test_a_request_has_so_many_adapters_at_most(client: Client, store: Store, tmp_path: Path) -> None:
    names = [f"a{number}" for number in range(17)]
    for name in names:
        adapt(store, tmp_path, name)
    for count, status in ((16, 200), (17, 400)):
        reply = await client.post("/api/generate", {"model": "tiny", "prompt": "x", "adapter": names[:count]})
        assert reply.status == status
