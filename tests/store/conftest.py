from pathlib import Path

import pytest

from lcrt.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")
