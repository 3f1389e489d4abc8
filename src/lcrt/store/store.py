"""The model store: the one way to models on disk for the rest of lcrt.

Layout: ``manifests/`` and ``blobs/`` below one directory, as Ollama has it, and lcrt's own files in
``.lcrt/``. All methods may be called from any thread, and several processes may work in one store.
One lock orders everything that changes it, so that deleting a model cannot take a blob that another
is being made of: whoever creates or pulls a model holds its blobs (``hold``) from before it looks
for them until its manifest is written, and blobs that a client just uploaded or asked for are spared
for a while too. Slow work (hashing, syncing, reading weights) is done outside the lock.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, NotFound, StoreError
from lcrt.store.blobs import Blobs, BlobWriter, place, sync_directory
from lcrt.store.digest import hex_part, parse_digest
from lcrt.store.failure import store_error
from lcrt.store.holds import Hold, Holds
from lcrt.store.intake import THERE, Report, Taken, intake
from lcrt.store.layers import ADAPTER, MODEL, Layer
from lcrt.store.links import Links
from lcrt.store.locks import Claim, StoreLock, claim, reap
from lcrt.store.manifest import Manifest, Manifests, config_layer, parse_manifest
from lcrt.store.notes import Notes
from lcrt.store.origins import Origins
from lcrt.store.prune import Ages, Collected, collect
from lcrt.store.scratch import Scratch
from lcrt.store.states import States, folder_name
from lcrt.store.uploads import Uploads

_LOG = logging.getLogger("lcrt.store")
_OWN = ".lcrt"


class Store:
    """Models and blobs below one directory."""

    def __init__(self, directory: Path, states: States | None = None) -> None:
        own = directory / _OWN
        self._states = states
        self.directory = directory
        self.aside = own / "aside"
        self.blobs = Blobs(directory / "blobs")
        self.manifests = Manifests(directory / "manifests")
        self.links = Links(own / "links", self.blobs)
        self.notes = Notes(own / "notes", self.blobs)
        self.origins = Origins(own / "origins")
        self.uploads = Uploads(own / "uploads")
        self.scratch = Scratch(own / "scratch")
        self.lock = StoreLock(own / "lock")
        self._claims = own / "claims"
        self._holds = Holds(own / "holds")

    def find(self, name: ModelName) -> Manifest | None:
        """Read a model, whatever the case of its name; None when there is none."""
        spelt = self.manifests.find(name)
        return self.manifests.read(spelt) if spelt else None

    def get(self, name: ModelName) -> Manifest:
        """Read a model; NotFound when there is none."""
        manifest = self.find(name)
        if manifest is None:
            raise NotFound(f"model '{name.short}' not found")
        return manifest

    def models(self) -> list[Manifest]:
        """Read all models, the latest changed first; damaged ones are left out with a warning."""
        models, errors = self.manifests.read_all()
        for error in errors:
            _LOG.warning("skipped: %s", error.message)
        return sorted(models, key=lambda model: (-model.modified, model.name.key))

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """Give a model a second name; NotFound when the source is missing."""
        with self.lock:
            manifest = self.get(source)
            target = self._spelling(destination)
            if target != manifest.name:
                self.manifests.write_raw(target, manifest.raw)

    def delete(self, name: ModelName) -> None:
        """Delete a model and the blobs that nothing else needs; NotFound when it is missing."""
        if self.manifests.find(name) is None:
            raise NotFound(f"model '{name.short}' not found")
        with self.lock:
            spelt = self.manifests.find(name)
            if spelt is None:
                raise NotFound(f"model '{name.short}' not found")
            old = self._read_old(spelt)
            self.manifests.remove(spelt)
            self._remove_with(old)

    def publish(self, name: ModelName, config: bytes, layers: tuple[Layer, ...], *, keep_old: bool = False) -> None:
        """Make a model of blobs that are in the store, in place of one with the same name.

        Blobs that only the replaced model needed go, unless ``keep_old``.
        """
        with self.hold() as hold:
            digest, size, _ = hold.put(config)
            with self.lock:
                self._check_present(layer.digest for layer in layers)
                with self._replacing(name, keep_old=keep_old) as spelt:
                    self.manifests.write(spelt, config_layer(digest, size), layers)
                self._holds.grant({layer.digest for layer in layers if not layer.from_})
            hold.made.clear()

    def publish_raw(self, name: ModelName, raw: bytes, *, keep_old: bool = False) -> None:
        """Publish a manifest with its bytes unchanged; its blobs must be there, of the sizes that it says."""
        manifest = parse_manifest(name, raw)
        with self.lock:
            for layer in (*manifest.layers, *((manifest.config,) if manifest.config else ())):
                size = self.blobs.size(layer.digest)
                if size != layer.size:
                    raise StoreError(
                        f"blob {layer.digest} has {size} bytes, the manifest says {layer.size}",
                        "`lcrt store check --repair` sets damaged blobs aside; then pull again",
                    )
            with self._replacing(name, keep_old=keep_old) as spelt:
                self.manifests.write_raw(spelt, raw)

    def has_blob(self, digest: str) -> bool:
        """Answer a client that may go on to make a model of this blob."""
        digest = parse_digest(digest)
        if not self.blobs.has(digest):
            return False
        try:
            with self.lock:
                found = self.blobs.has(digest)
                if found:
                    self._holds.want(digest, is_certain=False)
                return found
        except StoreError:
            # Where nothing can be written nothing is deleted either.
            return self.blobs.has(digest)

    def keep_blob(self, writer: BlobWriter) -> bool:
        """Finish a client's blob and put it in place under its own digest; False when it was there already."""
        writer.finish()
        with self.lock:
            is_new = writer.place()
            self._holds.want(writer.digest, is_certain=True)
            return is_new

    def place(self, path: Path, digest: str) -> bool:
        """Give a complete file, hashed by the caller, its blob's name; False, and no file, when it was there."""
        _sync_file(path)
        with self.lock:
            is_new = place(path, self.blobs.path(digest))
            if is_new:
                self.links.forget(digest)
        if not is_new:
            path.unlink(missing_ok=True)
        return is_new

    def take_in(self, path: Path, report: Report, *, link: bool = False) -> Taken:
        """Make a blob of a file for a client that goes on to make a model of it.

        The bytes are shared where the file system can, else copied, or with ``link`` used where they lie.
        """
        with intake(self.blobs, path, report, link=link) as ready, self.lock:
            self._holds.want(ready.digest, is_certain=True)
            return self.links.place(ready)

    def give_back(self, taken: Iterable[Taken]) -> None:
        """Undo ``take_in`` for a model that will not be made: what came by it goes, unless something needs it."""
        taken = tuple(taken)
        with self.lock:
            self._holds.grant(each.digest for each in taken)
            self._remove_unneeded(frozenset(each.digest for each in taken if each.way != THERE))

    def claim(self, digest: str) -> Claim | None:
        """Be the only one who downloads a blob; None while another claim, of any process, lives."""
        try:
            self._claims.mkdir(mode=0o755, parents=True, exist_ok=True)
            return claim(self._claims / hex_part(parse_digest(digest)))
        except OSError as error:
            raise store_error("cannot lock a download", error) from error

    @contextlib.contextmanager
    def hold(self) -> Iterator[Hold]:
        """Keep blobs from being deleted for as long as the block runs; then what it made for no model goes."""
        hold = Hold(self._take_hold, self._place_held, self.blobs)
        try:
            yield hold
        finally:
            self._end(hold)

    def prune(self, now: float | None = None) -> int:
        """Remove what no model needs when the daemon starts; returns how many files went, 0 where none may go."""
        try:
            return self.collect(now=now).n_files
        except LcrtError as error:
            _LOG.warning("not pruning: %s", error.message)
            return 0

    def collect(self, ages: Ages | None = None, now: float | None = None) -> Collected:
        """Remove what no model needs and is old enough; StoreError when the store cannot be changed."""
        ages, now = ages or Ages(), now or time.time()
        try:
            with self.lock:
                self.blobs.rename_old()
                found = collect(self.manifests, self.blobs, self._holds.all(), ages, now)
                self._forget_states(found.digests)
                self.links.forget_removed()
                self.notes.forget_removed()
                self.origins.keep(model.raw for model in self.manifests.read_all()[0])
                self.uploads.collect(ages.partial, now)
                self.scratch.collect()
                for path in self._claims.iterdir() if self._claims.is_dir() else ():
                    reap(path)
                return found
        except OSError as error:
            raise store_error("cannot remove what no model needs", error) from error

    def close(self) -> None:
        """Let go of all that this process wanted of the store."""
        with contextlib.suppress(LcrtError), self.lock:
            self._holds.close()

    def _end(self, hold: Hold) -> None:
        if not hold.digests:
            return
        try:
            with self.lock:
                self._holds.release(hold.digests)
                if hold.made:
                    self._remove_unneeded(frozenset(hold.made))
        except LcrtError as error:
            _LOG.warning("%s", error.message)

    def _take_hold(self, digests: Sequence[str], present: bool) -> None:
        """Count one more user of each blob, or of none when one is missing."""
        with self.lock:
            if present:
                self._check_present(digests)
            self._holds.take(digests)

    def _place_held(self, writer: BlobWriter) -> bool:
        with self.lock:
            self._holds.take([writer.digest])
            try:
                return writer.place()
            except BaseException:
                self._holds.release([writer.digest])
                raise

    def _check_present(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self.blobs.size(digest)

    @contextlib.contextmanager
    def _replacing(self, name: ModelName, *, keep_old: bool) -> Iterator[ModelName]:
        """Write a manifest in the block, under the name given; then what only the old one needed goes."""
        spelt = self._spelling(name)
        old = self._read_old(spelt)
        if self.blobs.directory.is_dir():
            sync_directory(self.blobs.directory)
        yield spelt
        if not keep_old:
            self._remove_with(old)

    def _spelling(self, name: ModelName) -> ModelName:
        return self.manifests.find(name) or name

    def _read_old(self, name: ModelName) -> Manifest | None:
        """Read a model that is to go, None when it is missing or damaged."""
        try:
            return self.manifests.read(name)
        except StoreError:
            return None

    def _remove_with(self, old: Manifest | None) -> None:
        """Delete what only a model needed that is no more, and what was computed with it alone."""
        if old is None:
            return
        self._remove_unneeded(old.digests)
        states = self._states_of(old)
        if self._states is not None and states and states not in map(self._states_of, self.manifests.read_all()[0]):
            self._states.forget_folder(states)

    def _states_of(self, manifest: Manifest) -> str:
        """Name the folder of what is computed with a model and its own adapters; empty for one without weights."""
        weights = manifest.of_type(MODEL)
        adapters = [(str(self.blobs.path(layer.digest)), 1.0) for layer in manifest.of_type(ADAPTER)]
        return folder_name(str(self.blobs.path(weights[-1].digest)), adapters) if weights else ""

    def _remove_unneeded(self, digests: frozenset[str]) -> None:
        """Delete those blobs that no model needs, unless what some model needs is unknown."""
        models, errors = self.manifests.read_all()
        if errors:
            _LOG.warning("blobs of a removed model stay: %s", errors[0].message)
            return
        needed = self._holds.all().union(*(model.digests for model in models))
        for digest in digests - needed:
            self.blobs.remove(digest)
            self.links.forget(digest)
            self.notes.forget(digest)
        self._forget_states(digests - needed)

    def _forget_states(self, digests: Iterable[str]) -> None:
        if self._states is not None:
            for digest in digests:
                self._states.forget(digest)


def _sync_file(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise store_error(f"cannot store `{path.name}`", error) from error
