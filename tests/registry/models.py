"""Models in a store that are to be pushed."""

from collections.abc import Mapping

from lcrt.core.name import ModelName
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from tests.registry.server import digest_of


def publish(
    store: Store,
    host: str,
    blobs: Mapping[bytes, str],
    config: bytes = b"{}",
    from_: str | None = None,
    model: str = "m",
) -> bytes:
    """Make a model of a registry from blobs with their media types; returns its manifest."""
    name = ModelName.parse(f"{host}/library/{model}")
    with store.hold() as hold:
        for data in blobs:
            hold.put(data)
        layers = (Layer(kind, digest_of(data), len(data), from_) for data, kind in blobs.items())
        store.publish(name, config, tuple(layers))
    return store.get(name).raw
