import os
from pathlib import Path

import pytest

from lcrt.modelfile.catalog import Catalog
from lcrt.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def catalog(store: Store) -> Catalog:
    return Catalog(store)


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of recorded exchanges and vectors."""
    folder = os.environ.get("LCRT_CONFORMANCE_DIR")
    if not folder:
        pytest.skip("LCRT_CONFORMANCE_DIR is not set")
    return Path(folder)
