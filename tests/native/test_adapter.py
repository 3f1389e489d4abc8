from pathlib import Path

import numpy as np
import pytest

from lcrt.errors import ClosedError, InvalidRequest, LoadError, ModelFormatError
from lcrt.native.adapter import Adapter
from lcrt.native.context import Context
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from tests.native import lora, tiny

MATRICES = ("blk.0.attn_q", "blk.0.ffn_down")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random changes of two matrices."""
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    return str(lora.write_lora(tmp_path_factory.mktemp("adapter") / "lora.gguf", shapes, seed=11, rank=2))


def logits(model: Model, *adapters: tuple[str | Adapter, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with Context(model, ContextParams(n_ctx=64, adapters=adapters)) as context:
        return context.decode([5, 6, 7]).copy()


def test_an_adapter_changes_what_a_model_says_as_strongly_as_its_scale(model: Model, adapter: str) -> None:
    plain, half, whole = logits(model), logits(model, (adapter, 0.5)), logits(model, (adapter, 1.0))
    assert np.abs(whole - plain).max() > 0.05
    assert 0 < np.abs(half - plain).max() < np.abs(whole - plain).max()
    np.testing.assert_allclose(logits(model, (adapter, 0.0)), plain, atol=1e-5)


def test_contexts_of_one_model_have_sets_of_their_own(model: Model, adapter: str) -> None:
    with (
        Context(model, ContextParams(n_ctx=64, adapters=((adapter, 1.0),))) as changed,
        Context(model, ContextParams(n_ctx=64)) as plain,
    ):
        first, second = changed.decode([5, 6, 7]).copy(), plain.decode([5, 6, 7]).copy()
    np.testing.assert_array_equal(first, logits(model, (adapter, 1.0)))
    np.testing.assert_array_equal(second, logits(model))


def test_a_loaded_adapter_is_as_good_as_its_file_and_outlives_its_owner(model: Model, adapter: str) -> None:
    loaded = Adapter(model, adapter)
    assert loaded.size == Path(adapter).stat().st_size
    assert not loaded.used
    with Context(model, ContextParams(n_ctx=64, adapters=((loaded, 1.0),))) as context:
        assert loaded.used
        loaded.close()
        np.testing.assert_array_equal(context.decode([5, 6, 7]), logits(model, (adapter, 1.0)))
    with pytest.raises(ClosedError):
        logits(model, (loaded, 1.0))


def test_an_adapter_outlives_its_model(own_model: Model, adapter: str) -> None:
    loaded = Adapter(own_model, adapter)
    own_model.close()
    assert loaded.size > 0
    loaded.close()
    with pytest.raises(ClosedError):
        Adapter(own_model, adapter)


def test_what_is_in_a_file_tells_it_from_others(model: Model, adapter: str, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("sha256-" + "0a" * 32, "same.gguf"))
    for path in (first, second):
        path.write_bytes(Path(adapter).read_bytes())
    assert Adapter(model, first).identity == "0a" * 32
    assert Adapter(model, second).identity == Adapter(model, second).identity != Adapter(model, adapter).identity
    assert Adapter(model, second, identity="mine").identity == "mine"


def test_sets_that_make_no_sense_are_refused(model: Model, adapter: str) -> None:
    for adapters in (((adapter, float("nan")),), ((adapter, 1e39),), ((adapter, 1.0), (adapter, 0.5))):
        with pytest.raises(InvalidRequest):
            logits(model, *adapters)


def test_an_adapter_belongs_to_one_loaded_model(model: Model, own_model: Model, adapter: str) -> None:
    with pytest.raises(InvalidRequest, match="an adapter of another model"):
        logits(model, (Adapter(own_model, adapter), 1.0))


def test_an_engine_starts_with_an_adapter(model: Model, adapter: str) -> None:
    with Engine(model, ContextParams(n_ctx=64, adapters=((adapter, 1.0),))) as engine:
        assert engine.info.n_ctx_seq == 64


def test_files_that_are_no_adapters_are_refused(model: Model, tiny_path: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise.gguf"
    noise.write_bytes(b"not a model")
    other = lora.write_lora(tmp_path / "other.gguf", {"blk.0.attn_q": (32, 32)}, seed=1, arch="qwen2")
    narrow = lora.write_lora(tmp_path / "narrow.gguf", {"blk.0.attn_q": (16, 32)}, seed=1)
    absent = lora.write_lora(tmp_path / "absent-matrix.gguf", {"blk.7.attn_q": (32, 32)}, seed=1)
    for path in (tiny_path, noise, other, narrow, absent, tmp_path / "absent.gguf"):
        with pytest.raises((ModelFormatError, LoadError), match="cannot load the adapter"):
            Context(model, ContextParams(n_ctx=64, adapters=((str(path), 1.0),)))
