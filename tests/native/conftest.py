"""Models for the tests of the bindings: tiny ones with random weights, and a real one where it is at hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.native.model import Model
from tests.native import tiny

SMOLLM2 = Path(__file__).resolve().parents[2] / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("tiny") / "llama.gguf")


@pytest.fixture(scope="session")
def model(tiny_path: Path) -> Iterator[Model]:
    """A tiny model of attention; not to be closed by a test."""
    with Model(tiny_path) as loaded:
        yield loaded


@pytest.fixture
def own_model(tiny_path: Path) -> Iterator[Model]:
    """The same, for tests that close it."""
    with Model(tiny_path) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def recurrent_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(tiny.mamba(tmp_path_factory.mktemp("tiny") / "mamba.gguf")) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def windowed_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(tiny.windowed(tmp_path_factory.mktemp("tiny") / "windowed.gguf")) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def real_model() -> Iterator[Model]:
    """SmolLM2 135M, which knows some English."""
    if not SMOLLM2.exists():
        pytest.fail("the real model is not there: python ci/models.py gets it")
    with Model(SMOLLM2) as loaded:
        yield loaded
