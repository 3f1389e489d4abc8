from pathlib import Path

import numpy as np
import pytest

from lcrt.errors import LoadError, ModelFormatError
from lcrt.gguf.writer import Tensor, write_gguf
from lcrt.native.context import Context
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from tests.native import tiny

RANK = 2


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random changes of two matrices."""
    rng = np.random.default_rng(11)
    tensors = []
    for name in ("blk.0.attn_q", "blk.0.ffn_down"):
        n_in, n_out = tiny.LLAMA_SHAPES[name]
        for kind, shape in (("lora_a", (n_in, RANK)), ("lora_b", (RANK, n_out))):
            values = rng.normal(0, 0.5, shape[::-1]).astype(np.float32)
            tensors.append(Tensor(f"{name}.weight.{kind}", "F32", shape, values.tobytes()))
    path = tmp_path_factory.mktemp("adapter") / "lora.gguf"
    keys = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    write_gguf(path, keys | {"adapter.lora.alpha": float(RANK)}, tensors)
    return str(path)


def logits(model: Model, *adapters: tuple[str, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
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


def test_an_engine_starts_with_an_adapter(model: Model, adapter: str) -> None:
    with Engine(model, ContextParams(n_ctx=64, adapters=((adapter, 1.0),))) as engine:
        assert engine.info.n_ctx_seq == 64


def test_files_that_are_no_adapters_are_refused(model: Model, tiny_path: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise.gguf"
    noise.write_bytes(b"not a model")
    for path in (tiny_path, noise, tmp_path / "absent.gguf"):
        with pytest.raises((ModelFormatError, LoadError), match="cannot load the adapter"):
            Context(model, ContextParams(n_ctx=64, adapters=((str(path), 1.0),)))
