"""Repositories of a hub without a GGUF: what is fetched of a checkpoint, in which order, and when it is not again."""

import contextlib
import json
from collections.abc import Callable, Generator, Iterator

import msgspec
import pytest

from lcrt.core.name import ModelName
from lcrt.errors import InvalidRequest, LcrtError, ModelFormatError, StoreError, UnsupportedModel
from lcrt.registry import hub_choice
from lcrt.registry.hub import HubFile
from lcrt.registry.hub_choice import INDEX, choose
from lcrt.registry.hub_found import Found
from lcrt.registry.options import PullRequest
from lcrt.registry.partial import come_so_far
from lcrt.registry.progress import Progress
from lcrt.registry.service import Registries
from lcrt.store.layers import MODEL, Layer
from lcrt.store.store import Store
from tests.registry.conftest import OPTIONS
from tests.registry.hub import Hub, Noted
from tests.registry.server import Registry, content, digest_of, stall

CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'
TOKENIZER = b'{"version": "1.0"}'
NAME = ModelName.parse("hf.co/org/repo")


def tensors(seed: int, size: int = 300_000) -> bytes:
    """What looks like a file of safetensors to a hub."""
    return (2).to_bytes(8, "little") + b"{}" + content(size, seed)


SHARDS = {f"model-0000{n}-of-00002.safetensors": tensors(n) for n in (1, 2)}
INDEXED = json.dumps({"weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()


class Maker(Noted):
    """Makes a model of the files, one layer for all of them; ``refusal`` is raised by the check of that number.

    ``failure`` is what making it ends with.
    """

    refusal: dict[int, LcrtError] = {}  # noqa: RUF012 -- replaced, never changed
    failure: LcrtError | None = None

    def check(self, found: Found) -> Generator[None, None, None]:
        yield from super().check(found)
        if len(self.checked) in self.refusal:
            raise self.refusal[len(self.checked)]

    def publish(self, found: Found) -> Iterator[Progress]:
        yield from super().publish(found)
        yield Progress("converting model", "0", 2, 1)
        if self.failure is not None:
            raise self.failure
        with self.store.hold() as hold:
            digest, size, _ = hold.put(b"".join(self.files.values())[::-1])
            self.store.publish(found.name, b"{}", (Layer(MODEL, digest, size),))
            hold.made.clear()


@pytest.fixture
def hub(storage: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(storage) as made:
        monkeypatch.setenv("HF_ENDPOINT", f"http://{made.host}")
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://{made.host}")
        made.files["org/repo"] = {
            "README.md": b"# hi",
            "config.json": CONFIG,
            "tokenizer.json": TOKENIZER,
            "training/config.json": b"{}",
            "1_Pooling/config.json": b"{}",
            "consolidated.safetensors": tensors(9),
            "original/model.safetensors": tensors(9),
            INDEX: INDEXED,
            **SHARDS,
        }
        yield made


@pytest.fixture
def maker(store: Store) -> Maker:
    return Maker(store)


Pull = Callable[..., list[Progress]]


@pytest.fixture
def pull(store: Store, maker: Maker) -> Iterator[Pull]:
    """Pull and list what was said."""
    with contextlib.ExitStack() as ending:

        def run(name: str = "hf.co/org/repo", **changed: object) -> list[Progress]:
            registries = Registries(store, msgspec.structs.replace(OPTIONS, **changed), maker=maker)
            ending.callback(registries.close)
            return list(registries.pull(ModelName.parse(name), PullRequest()))

        yield run


def fetched(hub: Hub, storage: Registry) -> set[str]:
    """The names of the files that were asked for."""
    by_digest = {digest_of(data): path for path, data in hub.files["org/repo"].items()}
    asked = {asked.path.partition("/main/")[2] for asked in hub.of("GET", "/resolve/main/")}
    return asked | {by_digest[asked.path.rpartition("/")[2]] for asked in storage.asked}


@pytest.mark.parametrize("host", ["hf.co", "modelscope.cn"])
def test_what_a_checkpoint_needs_comes_and_nothing_else(hub: Hub, maker: Maker, pull: Pull, host: str) -> None:
    said = pull(f"{host}/org/repo")
    wanted = ("config.json", "tokenizer.json", "1_Pooling/config.json", INDEX, *SHARDS)
    assert maker.files == {name: hub.files["org/repo"][name] for name in wanted}
    statuses = list(dict.fromkeys(each.status for each in said))
    assert statuses[0] == "pulling manifest"
    assert all(status.startswith("pulling ") for status in statuses[:-3])
    assert statuses[-3:] == ["verifying sha256 digest", "converting model", "success"]


def test_what_the_model_is_is_checked_before_its_tokenizer_and_both_before_its_weights(
    hub: Hub, storage: Registry, maker: Maker, pull: Pull
) -> None:
    pull()
    assert maker.checked[0] == ["config.json"]
    assert maker.checked[1:] == [sorted(["config.json", "tokenizer.json", "1_Pooling/config.json", INDEX])]
    asked = [asked.path for asked in hub.of("GET", "/resolve/")]
    assert asked[0].endswith("/config.json")
    assert min(map(asked.index, (path for path in asked if path.endswith(".safetensors")))) == 4


@pytest.mark.parametrize("number", [1, 2])
def test_one_that_cannot_be_converted_costs_no_weights(
    hub: Hub, storage: Registry, store: Store, maker: Maker, pull: Pull, number: int
) -> None:
    maker.refusal = {number: UnsupportedModel('unsupported architecture "FooModel"', "supported are Bar")}
    with pytest.raises(UnsupportedModel) as caught:
        pull()
    assert caught.value.message == (
        'hf.co/org/repo:latest has no GGUF, and its checkpoint cannot be converted: unsupported architecture "FooModel"'
    )
    assert caught.value.hint == "supported are Bar; or look for a GGUF of this model"
    assert not any(name.endswith(".safetensors") for name in fetched(hub, storage))
    assert list(store.blobs.directory.iterdir()) == [], "what came for it went"


@pytest.mark.parametrize("kind", [InvalidRequest, UnsupportedModel, ModelFormatError])
def test_weights_that_no_model_can_be_made_of_do_not_stay(
    hub: Hub, store: Store, maker: Maker, pull: Pull, kind: type[LcrtError]
) -> None:
    maker.failure = kind("the tensors are of another model")
    with pytest.raises(kind) as caught:
        pull()
    assert caught.value.hint
    assert maker.files.keys() > SHARDS.keys(), "they were all there"
    assert list(store.blobs.directory.iterdir()) == []
    del hub


def test_weights_stay_where_another_try_may_make_a_model_of_them(
    hub: Hub, storage: Registry, store: Store, maker: Maker, pull: Pull
) -> None:
    maker.failure = StoreError("no space left on device")
    with pytest.raises(StoreError):
        pull()
    maker.failure = None
    storage.asked.clear()
    assert pull()[-1].status == "success"
    assert storage.asked == []
    assert store.get(NAME).layers
    del hub


def test_a_pull_that_is_given_up_goes_on_where_it_was(
    hub: Hub, storage: Registry, store: Store, maker: Maker, pull: Pull
) -> None:
    first, second = SHARDS.values()
    storage.faults.extend([lambda _: False, stall(200_000)])
    pulling = Registries(store, msgspec.structs.replace(OPTIONS, stall=30.0, parts=1), maker=maker)
    steps = pulling.pull(NAME, PullRequest())
    next(step for step in steps if step.digest == digest_of(second) and step.completed == 200_000)
    assert isinstance(steps, Generator)
    steps.close()
    pulling.close()
    _wait_until_nobody_fetches(store, digest_of(second))
    assert come_so_far(store.blobs.partial(digest_of(second))) == 200_000
    storage.asked.clear()
    pull()
    assert storage.of("GET", digest_of(first)) == []
    assert [asked.range for asked in storage.of("GET", digest_of(second))] == [(200_000, len(second) - 1)]
    assert maker.files.keys() > SHARDS.keys()


def _wait_until_nobody_fetches(store: Store, digest: str) -> None:
    while (claim := store.claim(digest)) is None:
        pass
    claim.close()


def test_what_a_model_was_made_of_goes_and_is_not_fetched_for_the_same_model_again(
    hub: Hub, storage: Registry, store: Store, maker: Maker, pull: Pull
) -> None:
    pull()
    manifest = store.get(NAME)
    assert {path.name.replace("-", ":") for path in store.blobs.directory.iterdir()} == manifest.digests
    before = len(hub.asked), len(maker.checked)
    storage.asked.clear()
    said = pull()
    assert [each.status for each in said if not each.digest] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    assert {each.digest for each in said if each.digest} == manifest.digests
    assert not any("/resolve/" in asked.path for asked in hub.asked[before[0] :])
    assert (storage.asked, len(maker.checked)) == ([], before[1])


def _weights(hub: Hub, store: Store) -> None:
    hub.files["org/repo"]["model-00002-of-00002.safetensors"] = tensors(5)


def _tokenizer(hub: Hub, store: Store) -> None:
    hub.files["org/repo"]["tokenizer.json"] += b" "


def _system(hub: Hub, store: Store) -> None:
    hub.files["org/repo"]["system"] = b"be kind"


def _blob(hub: Hub, store: Store) -> None:
    (layer,) = store.get(NAME).of_type(MODEL)
    store.blobs.path(layer.digest).write_bytes(b"cut")


def _model(hub: Hub, store: Store) -> None:
    (layer,) = store.get(NAME).of_type(MODEL)
    store.publish(NAME, b'{"changed": 1}', (layer,))


def _mark(hub: Hub, store: Store) -> None:
    (path,) = (store.directory / ".lcrt" / "origins").iterdir()
    path.write_bytes(path.read_bytes()[:-2])


def test_after_a_change_of_how_models_are_made_it_is_made_again(
    hub: Hub, maker: Maker, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull()
    maker.files = {}
    pull()
    assert not maker.files
    monkeypatch.setattr(hub_choice, "RECIPE", hub_choice.RECIPE + 1)
    pull()
    assert maker.files["config.json"] == CONFIG
    del hub


@pytest.mark.parametrize("change", [_weights, _tokenizer, _system, _blob, _model, _mark])
def test_after_a_change_of_anything_it_is_made_again(
    hub: Hub, store: Store, maker: Maker, pull: Pull, change: Callable[[Hub, Store], None]
) -> None:
    pull()
    maker.files = {}
    change(hub, store)
    assert pull()[-1].status == "success"
    assert maker.files["tokenizer.json"] == hub.files["org/repo"]["tokenizer.json"]
    assert all(store.blobs.has(layer.digest, layer.size) for layer in store.get(NAME).layers)


def test_a_tag_is_the_type_that_the_weights_are_to_get(hub: Hub, maker: Maker, pull: Pull) -> None:
    pull("hf.co/org/repo:Q8_0")
    assert maker.target == "Q8_0"
    pull("hf.co/org/repo")
    assert maker.target == ""
    del hub


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (b"{", "`model.safetensors.index.json` is damaged"),
        (b'{"weight_map": {}}', "`the weights` of `model.safetensors.index.json` are not there"),
        (b'{"weight_map": {"a": "model-00003-of-00003.safetensors"}}', "`model-00003-of-00003.safetensors` of"),
        (b'{"weight_map": {"a": "../../../etc/passwd"}}', "`../../../etc/passwd` of"),
    ],
)
def test_an_index_that_does_not_fit_is_told_before_the_weights_come(
    hub: Hub, storage: Registry, pull: Pull, index: bytes, text: str
) -> None:
    hub.files["org/repo"][INDEX] = index
    with pytest.raises(LcrtError) as caught:
        pull()
    assert text in caught.value.message
    assert caught.value.hint
    assert storage.asked == []


def test_there_must_be_room_for_the_model_too(
    hub: Hub, storage: Registry, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("lcrt.registry.pull.check_space", lambda blobs, missing, to_come: asked.append(to_come))
    pull()
    assert asked == [0, 0, sum(map(len, SHARDS.values())) // 2]
    del hub, storage


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, 1, "", "") for path in paths]


@pytest.mark.parametrize(
    ("paths", "weights"),
    [
        (["config.json", "model.safetensors", "model-00001-of-00001.safetensors", INDEX], ["model.safetensors"]),
        (["config.json", "b.safetensors", "a.safetensors"], ["a.safetensors", "b.safetensors"]),
        (["config.json", "a.safetensors", "model-1.safetensors"], ["model-1.safetensors"]),
        (["config.json", "model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
        (["config.json", "model.safetensors", "m-Q8_0.gguf"], ["m-Q8_0.gguf"]),
        (["config.json", "model.safetensors", "m-Q8_0-00001-of-00002.gguf"], ["model.safetensors"]),
    ],
)
def test_the_choice_of_weights(paths: list[str], weights: list[str]) -> None:
    choice = choose(files(*paths), "latest")
    assert [file.path for file in choice.weights] == weights
    assert INDEX not in [file.path for file in choice.settings]


@pytest.mark.parametrize(
    "paths", [["model.safetensors"], ["config.json"], ["config.json", "adapter_model.safetensors", "x/y.safetensors"]]
)
def test_what_is_no_checkpoint_is_told(paths: list[str]) -> None:
    with pytest.raises(LcrtError) as caught:
        choose(files(*paths), "latest")
    assert "no GGUF files and no checkpoint in safetensors" in str(caught.value)


def test_nothing_is_remembered_of_files_of_which_the_hub_tells_nothing() -> None:
    told = choose([HubFile("m.gguf", 1, "", "", "a")], "latest")
    assert told.mark
    assert told.mark != choose([HubFile("m.gguf", 1, "", "", "b")], "latest").mark
    assert choose(files("m.gguf"), "latest").mark == ""
