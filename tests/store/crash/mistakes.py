"""Mistakes that a store could make, planted to see whether the torture finds them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from lcrt.core.name import ModelName
from lcrt.modelfile import weights
from lcrt.store import intake, links, manifest, prune
from lcrt.store.blobs import BlobWriter
from lcrt.store.digest import digest_of
from lcrt.store.manifest import Manifests
from lcrt.store.store import Store
from lcrt.task.progress import Progress


def unsynced_blob() -> None:
    """A blob gets its name before its bytes are on disk."""

    def finish(writer: BlobWriter) -> None:
        writer.digest = "sha256:" + writer._hash.hexdigest()

    mock.patch.object(BlobWriter, "finish", finish).start()


def unsynced_copy() -> None:
    """So does a copied file."""

    def run(copy: intake._Copy) -> None:
        while n := copy._copy_some():
            copy._move(n)
        copy._move(0)

    mock.patch.object(intake._Copy, "run", run).start()


def unsynced_share() -> None:
    """So does a file that shares another one's bytes."""

    def hashed(path: Path, report: intake.Report, way: str) -> intake.Ready:
        digest, size = digest_of(path.read_bytes()), path.stat().st_size
        report(size)
        return intake.Ready(path, digest, size, way)

    mock.patch.object(intake, "_hashed", hashed).start()


def unsynced_result() -> None:
    """So does what another process has made."""

    def take_over(writer: BlobWriter) -> Iterator[Progress]:
        writer.digest, writer.size = digest_of(writer.path.read_bytes()), writer.path.stat().st_size
        yield Progress("hashing model")

    mock.patch.object(weights, "_take_over", take_over).start()


def unsynced_link() -> None:
    """A linked file is used before the record that tells when it has changed is on disk."""
    mock.patch.object(links, "sync_directory").start()


def manifest_in_place() -> None:
    """A manifest is written where it is read."""

    def write_raw(manifests: Manifests, name: ModelName, raw: bytes) -> None:
        path = manifests.directory / name.path
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, raw)
        os.fsync(fd)
        os.close(fd)

    mock.patch.object(Manifests, "write_raw", write_raw).start()


def unsynced_name() -> None:
    """A model is acknowledged before its name is on disk."""
    mock.patch.object(manifest, "sync_directory").start()


def blobs_first() -> None:
    """A model's blobs go before its manifest."""

    def delete(self: Store, name: ModelName) -> None:
        with self.lock:
            spelt = self.manifests.find(name) or name
            others = [model.digests for model in self.models() if model.name != spelt]
            for digest in self.manifests.read(spelt).digests.difference(*others):
                self.blobs.remove(digest)
            self.manifests.remove(spelt)

    mock.patch.object(Store, "delete", delete).start()


def leftovers_stay() -> None:
    """What dead writers left is never removed."""

    def spare(_path: Path) -> bool:
        return False

    mock.patch.object(prune, "is_abandoned", spare).start()


ALL: dict[str, Callable[[], None]] = {
    mistake.__name__: mistake
    for mistake in (
        *(unsynced_blob, unsynced_copy, unsynced_share, unsynced_result, unsynced_link, unsynced_name),
        *(manifest_in_place, blobs_first, leftovers_stay),
    )
}
