import logging
from pathlib import Path

import pytest

from lcrt.core.model import CacheBudget, LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import CacheParams, ContextParams, EngineParams
from lcrt.runner.cache import cache_params, store_and_close, warn_of_trouble
from tests.native import tiny
from tests.native.test_tiers import ask, words

CONTEXT = ContextParams(n_ctx=512, n_parallel=2, n_threads=1)


def request(path: str, *adapters: str) -> LoadRequest:
    budget = CacheBudget(ram=1 << 20, disk=1 << 20, directory="/cache")
    return LoadRequest(ModelSpec("m", path, "0", 1, adapters=adapters), LoadOptions(), cache=budget)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(tmp_path, tmp_path / "cache")


def open_engine(tmp_path: Path, directory: Path) -> Engine:
    cache = CacheParams(ram=1 << 20, disk=1 << 30, directory=str(directory), version="1", model="tiny", setup="s")
    return Engine(Model(tiny.llama(tmp_path / "m.gguf")), CONTEXT, EngineParams(n_slots=2, cache=cache))


def test_every_fact_that_states_depend_on_has_a_part_in_their_names() -> None:
    plain = cache_params(request("/blobs/a"), CONTEXT)
    assert (plain.ram, plain.disk, plain.directory) == (1 << 20, 1 << 20, "/cache")
    assert "llama.cpp b" in plain.version
    assert cache_params(request("/blobs/b"), CONTEXT).model != plain.model
    assert cache_params(request("/blobs/a", "/blobs/c"), CONTEXT).model != plain.model
    others = (
        ContextParams(n_ctx=1024, n_parallel=2),
        ContextParams(n_ctx=512, n_parallel=3),
        ContextParams(n_ctx=512, n_parallel=2, kv_type="q8_0"),
        ContextParams(n_ctx=512, n_parallel=2, kv_cells_max=600),
        ContextParams(n_ctx=512, n_parallel=2, flash_attention=False),
        ContextParams(n_ctx=512, n_parallel=2, layout="split"),
        ContextParams(n_ctx=512, n_parallel=2, swa_full=True),
        ContextParams(n_ctx=512, n_parallel=2, guess=True),
    )
    setups = {cache_params(request("/blobs/a"), context).setup for context in others}
    assert len(setups | {plain.setup}) == len(others) + 1
    assert cache_params(request("/blobs/a"), CONTEXT) == plain


def test_closing_stores_and_says_so(engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ask(engine, words(1, 200))
    with caplog.at_level(logging.INFO, "lcrt.runner"):
        store_and_close(engine)
    assert "states stored: 1" in caplog.text
    assert engine.closed
    assert len(list((tmp_path / "cache").rglob("*.state"))) == 1


def test_closing_with_nothing_to_store_says_nothing(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lcrt.runner"):
        store_and_close(engine)
    assert caplog.text == ""


def test_a_folder_that_cannot_be_used_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    with open_engine(tmp_path, tmp_path / "file") as engine:
        warn_of_trouble(engine, str(tmp_path / "file"))
        assert "cannot be used" in caplog.text
        assert len(ask(engine, words(1, 100)).tokens) > 0
    with open_engine(tmp_path, tmp_path / "fine") as engine:
        caplog.clear()
        warn_of_trouble(engine, str(tmp_path / "fine"))
        assert caplog.text == ""
