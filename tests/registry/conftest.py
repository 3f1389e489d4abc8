"""A registry, a store, and something that pulls from one into the other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lcrt.core.name import ModelName
from lcrt.registry.options import Options, PullRequest
from lcrt.registry.progress import Progress
from lcrt.registry.service import Registries
from lcrt.store.store import Store
from tests.registry.server import Registry

OPTIONS = Options(user_agent="test", parts=4, connect_timeout=5.0, stall=0.3, first_wait=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own settings."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HF_TOKEN", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as made:
        yield made


@pytest.fixture
def storage() -> Iterator[Registry]:
    """Another host, that a registry may point to."""
    with Registry() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


Open = Callable[..., Registries]


@pytest.fixture
def open_registries(store: Store) -> Iterator[Open]:
    """Make what pulls and pushes, with other options than those of the tests."""
    made: list[Registries] = []

    def make(**changed: object) -> Registries:
        made.append(Registries(store, msgspec.structs.replace(OPTIONS, **changed)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def pull(registry: Registry, open_registries: Open) -> Callable[..., list[Progress]]:
    """Pull ``m`` of the registry and list what was said."""

    def run(name: str = "library/m", **changed: object) -> list[Progress]:
        model = ModelName.parse(f"{registry.host}/{name}")
        return list(open_registries(**changed).pull(model, PullRequest(insecure=True)))

    return run


@pytest.fixture
def push(registry: Registry, open_registries: Open) -> Callable[..., list[Progress]]:
    """Push ``m`` to the registry and list what was said."""

    def run(name: str = "library/m", **changed: object) -> list[Progress]:
        model = ModelName.parse(f"{registry.host}/{name}")
        return list(open_registries(**changed).push(model, insecure=True))

    return run
