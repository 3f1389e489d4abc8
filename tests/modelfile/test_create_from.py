"""Models made of other models, with drafts beside them, and the recorded creations."""

import json
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest
from lcrt.gguf.writer import Plain
from lcrt.modelfile.create import Progress, create
from lcrt.store import layers
from lcrt.store.store import Store
from tests.modelfile.models import CHATML, body_of, config, make, named, outcome, run, statuses, upload, upload_gguf


def test_a_draft_of_another_vocabulary_is_refused(store: Store) -> None:
    make(store, "base")
    other = upload_gguf(store, {"tokenizer.ggml.tokens": ["a", "b", "c"]})
    _, error = outcome(store, CreateRequest("m", from_="base", draft_files={"d.gguf": other}))
    assert type(error) is InvalidRequest
    assert error.message == "the DRAFT model has another vocabulary than the model: 2 tokens and 3"
    assert store.find(named("m")) is None


def test_a_missing_base_is_pulled(store: Store) -> None:
    def pull(name: ModelName) -> list[Progress]:
        make(store, name.short)
        return [Progress("pulling manifest")]

    progress = list(create(store, CreateRequest("m", from_="base"), lambda name: iter(pull(name))))
    assert statuses(progress)[0] == "pulling manifest"
    assert statuses(progress)[-1] == "success"


def test_a_draft_is_a_layer_of_its_own_and_the_config_tells_of_it(store: Store) -> None:
    make(store, "base")
    first, second = upload_gguf(store, {"general.name": "first"}), upload_gguf(store, {"general.name": "second"})
    run(store, CreateRequest("mid", from_="base", draft_files={"d.gguf": first}))
    run(store, CreateRequest("m", from_="mid", draft_files={"d.gguf": second}))
    manifest = store.get(named("m"))
    assert [layer.digest for layer in manifest.of_type(layers.DRAFT)] == [second]
    assert len(manifest.of_type(layers.MODEL)) == 1
    assert config(store, "m")["draft"] == {"model_format": "gguf", "architecture": "llama"}
    assert config(store, "m")["model_families"] == ["llama"]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"d.gguf": {"general.type": "adapter"}}, "`d.gguf` is not a model, so it cannot write drafts"),
        ({"d.gguf": {"general.architecture": ""}}, "unknown architecture"),
    ],
)
def test_what_cannot_write_drafts_is_refused(store: Store, files: dict[str, dict[str, Plain]], text: str) -> None:
    make(store, "base")
    uploaded = {name: upload_gguf(store, metadata) for name, metadata in files.items()}
    _, error = outcome(store, CreateRequest("m", from_="base", draft_files=uploaded))
    assert error is not None
    assert error.message == text


def test_what_a_pull_says_of_its_own_end_is_not_the_end(store: Store) -> None:
    def pull(name: ModelName) -> list[Progress]:
        make(store, name.short)
        return [Progress("pulling manifest"), Progress("success")]

    progress = list(create(store, CreateRequest("m", from_="base"), lambda name: iter(pull(name))))
    assert statuses(progress).count("success") == 1


def test_the_base_may_be_deleted_while_a_model_is_made_of_it(store: Store) -> None:
    digest = make(store, "base")
    steps = create(store, CreateRequest("m", from_="base"))
    next(steps)
    store.delete(named("base"))
    assert statuses(list(steps))[-1] == "success"
    assert store.blobs.has(digest)


def test_a_creation_that_nobody_finishes_holds_nothing(store: Store) -> None:
    digest = make(store, "base")
    steps = create(store, CreateRequest("m", from_="base"))
    next(steps)
    steps.close()
    store.delete(named("base"))
    assert not store.blobs.has(digest)


def recorded(conformance: Path) -> list[tuple[str, dict[str, object], list[dict[str, str]]]]:
    """Name, body and lines of the answer of each recorded creation that is not about JSON."""
    samples = conformance / "golden" / "samples"
    found = []
    for name in (samples / "order.txt").read_text().split():
        sample = json.loads((samples / f"{name}.json").read_text())
        body = sample["request"].get("body")
        if name.startswith("create-") and isinstance(body, dict) and not isinstance(body.get("license"), int):
            found.append((name, body, [json.loads(line) for line in sample["response"]["body"].splitlines()]))
    return found


def test_creations_go_as_recorded(store: Store, conformance: Path) -> None:
    """The same statuses in the same order, new and existing layers alike, and the same error texts."""
    smol = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    ours = upload_gguf(store, {"tokenizer.chat_template": CHATML, "general.file_type": 3})
    hello = upload(store, b"hello")
    run(store, CreateRequest("smollm2:135m", files={"m.gguf": ours}))
    own_words = {"create-missing-blob", "create-missing-from", "create-missing-from-nonstream"}
    checked_here = {"create-param-bad-type", "create-param-unknown"}
    for name, body, lines in (one for one in recorded(conformance) if one[0] not in checked_here):
        text = json.dumps(body).replace(smol, ours)
        progress, error = outcome(store, body_of(json.loads(text)))
        wanted = [line.get("status", "") for line in lines if "status" in line]
        if body.get("stream", True):
            assert _alike(progress) == _alike(wanted), name
        failed = [line["error"] for line in lines if "error" in line]
        assert bool(failed) == (error is not None), name
        if failed and error is not None and name not in own_words:
            assert error.message == failed[0], name
    assert store.blobs.has(hello)


def _alike(lines: list[str]) -> list[str]:
    kinds: list[str] = []
    for line in lines:
        kind = "layer" if " layer sha256:" in line else line
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
    return kinds
