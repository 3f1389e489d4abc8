"""Stores with small models for tests."""

import os
import stat
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.store import layers
from lcrt.store.layers import Layer
from lcrt.store.store import Store


def named(text: str) -> ModelName:
    return ModelName.parse(text)


def put(store: Store, data: bytes, media_type: str = layers.MODEL) -> Layer:
    """Store a blob as a client's upload does and say how a manifest lists it."""
    with store.blobs.writer() as writer:
        writer.write(data)
        store.keep_blob(writer)
        return Layer(media_type, writer.digest, writer.size)


def make(store: Store, name: str, *contents: bytes) -> tuple[Layer, ...]:
    """Make a model of blobs with these contents and a config of its own."""
    made = tuple(put(store, data) for data in contents)
    store.publish(named(name), f'{{"base_name":"{name}"}}'.encode(), made)
    return made


def blob_names(store: Store) -> set[str]:
    return {path.name for path in store.blobs.directory.iterdir()}


def manifest_path(store: Store, name: str) -> Path:
    return store.directory / "manifests" / named(name).path


def record_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every sync and every rename from now on, in order."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(fd: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        fsync(fd)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return steps
