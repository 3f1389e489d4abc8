import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.hub import HubFile
from lcrt.registry.hub_choice import choose, quantization
from lcrt.registry.options import PullRequest
from lcrt.registry.service import Registries
from lcrt.store.store import Store
from tests.registry.conftest import OPTIONS
from tests.registry.hub import Hub, Noted
from tests.registry.server import Handler, Registry, drop, status

Pull = Callable[[str], Noted]
Q4, Q8, MMPROJ = (b"GGUF" + bytes([n]) * 1000 for n in range(3))


@pytest.fixture
def hub(storage: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(storage) as made:
        monkeypatch.setenv("HF_ENDPOINT", f"http://{made.host}")
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://{made.host}")
        made.files["org/repo"] = {"README.md": b"hi", "m-Q8_0.gguf": Q8, "m-Q4_K_M.gguf": Q4}
        yield made


@pytest.fixture
def pull(store: Store) -> Iterator[Pull]:
    """Pull, and return what a model was to be made of."""
    maker = Noted(store)
    registries = Registries(store, OPTIONS, maker=maker)

    def run(name: str) -> Noted:
        assert list(registries.pull(ModelName.parse(name), PullRequest()))[-1].status == "success"
        return maker

    yield run
    registries.close()


@pytest.mark.parametrize("host", ["hf.co", "huggingface.co", "modelscope.cn", "www.modelscope.cn"])
@pytest.mark.parametrize(
    ("tag", "file", "data"),
    [
        ("", "m-Q4_K_M.gguf", Q4),
        (":latest", "m-Q4_K_M.gguf", Q4),
        (":q8_0", "m-Q8_0.gguf", Q8),
        (":m-Q8_0.gguf", "m-Q8_0.gguf", Q8),
    ],
)
def test_a_tag_is_a_quantization_or_a_file(hub: Hub, pull: Pull, host: str, tag: str, file: str, data: bytes) -> None:
    assert pull(f"{host}/org/repo{tag}").files == {file: data}
    del hub


def test_shards_come_all_and_a_projector_comes_along(hub: Hub, pull: Pull) -> None:
    shards = {f"Q6_K/m-Q6_K-0000{n}-of-00003.gguf": b"GGUF shard %d" % n for n in (1, 2, 3)}
    hub.files["org/repo"] |= shards | {"mmproj-F32.gguf": b"GGUF f32", "mmproj-F16.gguf": MMPROJ}
    expected = {path.rpartition("/")[2]: data for path, data in shards.items()}
    assert pull("hf.co/org/repo:Q6_K").files == expected | {"mmproj-F16.gguf": MMPROJ}


def test_texts_come_along(hub: Hub, pull: Pull) -> None:
    texts = {"template": b"{{ .Prompt }}", "system": b"Sei kurz, ja?", "params": b'{"stop": ["x"]}'}
    hub.files["org/repo"] |= texts | {"dir/system": b"not this"}
    assert pull("hf.co/org/repo").texts == {name: text.decode() for name, text in texts.items()}


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: Hub, storage: Registry, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull("hf.co/org/repo")
    assert all(asked.headers["authorization"] == "Bearer hf_secret" for asked in hub.asked)
    assert storage.asked
    assert not any("authorization" in asked.headers for asked in storage.asked)


@pytest.mark.parametrize("host", ["hf.co", "modelscope.cn"])
def test_a_mirror_of_a_hub_is_not_told_the_token(
    hub: Hub, store: Store, storage: Registry, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms_secret")
    monkeypatch.setenv("HF_ENDPOINT", f"http://{storage.host}")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://{storage.host}")
    options = msgspec.structs.replace(OPTIONS, mirrors=((host, f"http://{hub.host}"),))
    with contextlib.closing(Registries(store, options, maker=Noted(store))) as registries:
        assert list(registries.pull(ModelName.parse(f"{host}/org/repo"), PullRequest()))[-1].status == "success"
    assert hub.asked
    assert not any("authorization" in asked.headers for asked in (*hub.asked, *storage.asked))


def test_offline_no_hub_is_asked(hub: Hub, store: Store) -> None:
    registries = Registries(store, OPTIONS, maker=Noted(store))
    with pytest.raises(LcrtError, match=r"offline: .* is not on this machine"):
        list(registries.pull(ModelName.parse("hf.co/org/repo"), PullRequest(offline=True)))
    registries.close()
    assert hub.asked == []


def test_a_small_file_is_asked_for_again_after_a_fault(hub: Hub, pull: Pull) -> None:
    hub.files["org/repo"]["system"] = b"Sei kurz."
    faults = [drop, drop]
    hub.guard = lambda handler: not (handler.path.endswith("/system") and faults and faults.pop()(handler))
    assert pull("hf.co/org/repo").texts == {"system": "Sei kurz."}
    assert faults == []


def test_a_token_that_was_stored_is_found(hub: Hub, pull: Pull, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    path = tmp_path / "home" / ".cache" / "huggingface" / "token"
    path.parent.mkdir(parents=True)
    path.write_text("hf_secret\n")
    assert pull("hf.co/org/repo").files


def test_a_storage_that_refuses_is_not_taken_for_a_gate(hub: Hub, storage: Registry, pull: Pull) -> None:
    storage.always = status(403)
    with pytest.raises(LcrtError, match="403: not now"):
        pull("hf.co/org/repo")
    del hub


@pytest.mark.parametrize("host", ["hf.co", "modelscope.cn"])
def test_the_token_that_helps_is_named(hub: Hub, pull: Pull, host: str) -> None:
    hub.files.clear()
    with pytest.raises(LcrtError) as caught:
        pull(f"{host}/org/repo")
    assert ("HF_TOKEN" in str(caught.value), "MODELSCOPE_API_TOKEN" in str(caught.value)) == (
        host == "hf.co",
        host != "hf.co",
    )


@pytest.mark.parametrize(
    ("gated", "text", "hint"),
    [
        (True, "hf.co/org/repo is gated", "accept its terms at"),
        (False, "pull model manifest: file does not exist", "a private repository needs HF_TOKEN"),
    ],
)
def test_what_may_not_be_seen_is_told_with_what_to_do(
    hub: Hub, pull: Pull, store: Store, gated: bool, text: str, hint: str
) -> None:
    hub.token, hub.gated = "hf_secret", gated
    with pytest.raises(LcrtError) as caught:
        pull("hf.co/org/repo")
    assert text in caught.value.message
    assert hint in str(caught.value)
    assert store.models() == []


def test_a_listing_with_a_false_digest_is_refused(hub: Hub, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.registry.hub.digest_of", lambda data: "sha256:../../etc/passwd")
    with pytest.raises(LcrtError, match="tells no digest that can be checked"):
        pull("hf.co/org/repo")
    del hub


@pytest.mark.parametrize("address", ["http://[x", "http://127.0.0.1:99999/y"])
def test_a_listing_that_goes_on_nowhere_is_refused(hub: Hub, pull: Pull, address: str) -> None:
    def guard(handler: Handler) -> bool:
        if "/tree/main" in handler.path:
            handler.reply(200, b"[]", Link=f'<{address}>; rel="next"')
        return "/tree/main" not in handler.path

    hub.guard = guard
    with pytest.raises(LcrtError, match="redirects to what is no web address") as caught:
        pull("hf.co/org/repo")
    assert caught.value.hint


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, 1, "", "") for path in paths]


@pytest.mark.parametrize(
    ("paths", "tag", "chosen"),
    [
        (["a-Q8_0.gguf", "a-IQ2_XXS.gguf"], "iq2_xxs", ["a-IQ2_XXS.gguf"]),
        (["a-Q8_0.gguf", "b.gguf"], "latest", ["a-Q8_0.gguf"]),
        (["b.gguf"], "latest", ["b.gguf"]),
        (["x/B.GGUF"], "b", ["x/B.GGUF"]),
        (["a-UD-Q4_K_XL.gguf", "a-Q4_0.gguf"], "UD-Q4_K_XL", ["a-UD-Q4_K_XL.gguf"]),
        (["a.f16.gguf"], "F16", ["a.f16.gguf"]),
        (["a-Q2_K-00001-of-00002.gguf", "b-Q4_0.gguf"], "latest", ["b-Q4_0.gguf"]),
    ],
)
def test_the_choice_of_files(paths: list[str], tag: str, chosen: list[str]) -> None:
    assert [file.path for file in choose(files(*paths), tag).weights] == chosen


@pytest.mark.parametrize(
    ("paths", "hint"),
    [
        (["a.safetensors"], "has no GGUF files"),
        (["a-Q8_0.gguf", "a-Q4_0.gguf"], "there is no `q3_k`, there are: Q4_0, Q8_0"),
        (["a-Q3_K-00001-of-00002.gguf"], "has no GGUF files"),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(paths: list[str], hint: str) -> None:
    with pytest.raises(LcrtError) as caught:
        choose(files(*paths), "q3_k")
    assert hint in str(caught.value)


def test_a_quantization_is_read_from_the_end_of_a_name() -> None:
    assert quantization("Q8-models/llama-3-Q4-chat.gguf") == ""
    assert quantization("m.Q4_K_M-00001-of-00002.gguf") == "Q4_K_M"
