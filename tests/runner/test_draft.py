from pathlib import Path

import msgspec
import pytest

from lcrt.core.model import LoadRequest, ModelSpec, Speculation
from lcrt.core.options import LoadOptions
from lcrt.errors import LoadError, UnsupportedModel
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from lcrt.runner import model as real
from lcrt.runner.draft import N_DRAFT, N_DRAFT_MAX, load_draft, n_draft, wants_heads
from tests.native import tiny, tiny_heads


def load_request(path: Path, draft: Path | None = None, speculation: Speculation = "auto") -> LoadRequest:
    spec = ModelSpec("m", str(path), "0", 1, draft=str(draft) if draft else "")
    return LoadRequest(spec, LoadOptions(num_thread=1), n_parallel=1, context_length=64, speculation=speculation)


@pytest.mark.parametrize(
    ("speculation", "wanted", "count"),
    [
        ("auto", None, N_DRAFT),
        ("lookup", None, N_DRAFT),
        ("lookup", 4, 4),
        ("auto", 0, 0),
        ("auto", 10_000, N_DRAFT_MAX),
        ("off", None, 0),
        ("off", 4, 0),
    ],
)
def test_how_many_tokens_are_guessed_at_once(speculation: Speculation, wanted: int | None, count: int) -> None:
    request = load_request(Path("/m"), speculation=speculation)
    request = msgspec.structs.replace(request, options=LoadOptions(draft_num_predict=wanted))
    assert n_draft(request) == count


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.llama(tmp_path / "m.gguf")


def test_a_draft_is_loaded_unless_it_may_not_guess(model: Path) -> None:
    with Model(model) as target:
        for speculation, loaded in (("auto", True), ("lookup", False), ("off", False)):
            draft = load_draft(load_request(model, model, speculation), target.info, ModelParams())  # type: ignore[arg-type]
            assert (draft is not None) == loaded
        assert load_draft(load_request(model), target.info, ModelParams()) is None


def test_a_model_that_cannot_go_back_does_without(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Model(tiny.windowed(tmp_path / "w.gguf")) as target:
        assert load_draft(load_request(model, model), target.info, ModelParams()) is None
    assert "nothing can guess for it" in caplog.text


def test_a_model_with_its_draft_counts_the_memory_of_both(model: Path) -> None:
    sizes = []
    for draft in (None, model):
        loaded = real.load_model(load_request(model, draft), lambda _: True)
        loaded.engine.close()
        sizes.append(loaded.info.size)
    assert sizes[1] > sizes[0]


def test_layers_of_the_model_guess_unless_a_draft_does_or_nothing_may(tmp_path: Path) -> None:
    path = tiny_heads.attention(tmp_path / "h.gguf", 0.0)
    sizes = {}
    for speculation in ("auto", "lookup", "off"):
        asked = load_request(path, speculation=speculation)
        assert wants_heads(asked) == (speculation == "auto")
        loaded = real.load_model(asked, lambda _: True)
        loaded.engine.close()
        sizes[speculation] = loaded.info.size
    assert sizes["auto"] > sizes["lookup"] >= sizes["off"]
    assert not wants_heads(load_request(path, path))


def test_a_draft_of_another_vocabulary_stops_the_load(model: Path, tmp_path: Path) -> None:
    other = tiny.llama(tmp_path / "o.gguf", tokenizer__ggml__tokens=[*tiny.TOKENS[:-1], "zz"])
    with pytest.raises(UnsupportedModel, match="the draft model has another vocabulary"):
        real.load_model(load_request(model, other), lambda _: True)
    with pytest.raises(LoadError):
        real.load_model(load_request(model, tmp_path / "none.gguf"), lambda _: True)
