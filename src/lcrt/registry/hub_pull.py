"""Pull from a hub: files by their digests into the store, then a model made of them."""

import contextlib
from collections.abc import Generator, Iterator

from lcrt.core.name import ModelName
from lcrt.errors import Cancelled, InvalidRequest, LcrtError, ModelFormatError, StoreError, UnsupportedModel
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.hub import Hub, list_files
from lcrt.registry.hub_choice import INDEX, Choice, choose
from lcrt.registry.hub_fetch import Fetch, Place
from lcrt.registry.hub_found import Found, Maker
from lcrt.registry.manifest import TRIES, blobs_of
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.pull import Puller
from lcrt.registry.stop import Patience, Stop
from lcrt.store.digest import parse_digest
from lcrt.store.holds import Hold
from lcrt.store.manifest import Manifest

_BEGINNING = "pulling manifest"
_LASTING = (InvalidRequest, ModelFormatError, UnsupportedModel)
"""Why no model can be made of files, however often it is tried."""


class HubPuller:
    """One pull from a hub, with the transfers of ``puller``."""

    def __init__(self, puller: Puller, hub: Hub, maker: Maker) -> None:
        self._puller = puller
        self._store = puller.store
        self._hub = hub
        self._maker = maker
        self._stop = Stop()

    def pull(self, name: ModelName, request: PullRequest) -> Iterator[Progress]:
        """Fetch what a name means in this hub and make a model of it."""
        yield Progress(_BEGINNING)
        try:
            choice = self._look(name)
            here = self._made_of(name, choice)
            if here is not None:
                yield from _as_pulled(here)
            else:
                with self._store.hold() as hold:
                    yield from self._make(choice, name, request, hold)
                    self._remember(name, choice)
            yield Progress("success")
        finally:
            self._stop.set()

    def _look(self, name: ModelName) -> Choice:
        patience = Patience(self._stop, self._puller.options.first_wait, TRIES)
        while True:
            try:
                return self._checked(choose(list_files(self._puller.client, self._hub, name), name.tag))
            except Transient as error:
                patience.wait(error)
            except Cancelled:
                raise
            except LcrtError as error:
                raise LcrtError(f"pull model manifest: {error.message}", error.hint) from error

    def _checked(self, choice: Choice) -> Choice:
        """Refuse digests that are none, before one becomes a file's name."""
        try:
            for file in choice.files:
                if file.digest:
                    parse_digest(file.digest)
        except InvalidRequest as error:
            raise Refused(
                f"{self._hub.endpoint} tells no digest that can be checked",
                hint="is it the hub? what it sends could not be trusted",
            ) from error
        return choice

    def _made_of(self, name: ModelName, choice: Choice) -> Manifest | None:
        """Find the model that was made of these very files. They themselves need not be there any more."""
        try:
            here = self._store.find(name)
        except StoreError:
            return None
        is_same = here is not None and choice.mark and self._store.origins.get(here.raw) == choice.mark
        return here if here is not None and is_same and self._puller.has(here) else None

    def _remember(self, name: ModelName, choice: Choice) -> None:
        made = self._store.find(name)
        if made is not None and choice.mark:
            self._store.origins.put(made.raw, choice.mark)

    def _make(self, choice: Choice, name: ModelName, request: PullRequest, hold: Hold) -> Iterator[Progress]:
        """Fetch the files, those of a checkpoint that say what it is before its weights, and make the model."""
        fetch = Fetch(self._puller, Place(self._hub, name), hold, request, self._stop)
        texts = {file.path: fetch.text(file) for file in choice.texts}
        if choice.settings:
            choice = yield from self._take_settings(choice, name, fetch)
            yield from fetch.take(choice.weights, sum(file.size for file in choice.weights) // 2)
        else:
            yield from fetch.take(choice.files)
        yield Progress("verifying sha256 digest")
        files = fetch.digests if choice.settings else {_base(path): digest for path, digest in fetch.digests.items()}
        try:
            yield from self._maker.publish(Found(name, files, texts, choice.target, request.keep_old))
        except _LASTING as error:
            error.hint = error.hint or "what lies there is no model that fits together: look for another of its kind"
            # What no model can be made of goes as well. After any other failure it stays for the next try.
            hold.made.update(fetch.digests.values())
            raise
        # What the model was made of and does not contain goes when the hold ends.
        hold.made.update(fetch.digests.values())

    def _take_settings(self, choice: Choice, name: ModelName, fetch: Fetch) -> Generator[Progress, None, Choice]:
        """Fetch what says of a checkpoint what it is; returns the choice with the weights that its index names."""
        config, *others = choice.settings
        for files in ((config,), others):
            yield from fetch.take(files)
            yield from self._check(Found(name, fetch.digests, target=choice.target))
        index = fetch.digests.get(INDEX)
        return choice.indexed(self._store.blobs.read(index)) if index else choice

    def _check(self, found: Found) -> Iterator[Progress]:
        """Refuse what cannot be converted; what is yielded meanwhile lets a pull end that nobody waits for."""
        try:
            with contextlib.closing(self._maker.check(found)) as checking:
                for _ in checking:
                    yield Progress(_BEGINNING)
        except (InvalidRequest, UnsupportedModel) as error:
            raise UnsupportedModel(
                f"{found.name.full} has no GGUF, and its checkpoint cannot be converted: {error.message}",
                f"{error.hint}; or look for a GGUF of this model" if error.hint else "look for a GGUF of this model",
            ) from error


def _as_pulled(manifest: Manifest) -> Iterator[Progress]:
    """What is told of a model that is here already."""
    for blob in blobs_of(manifest):
        yield Progress(f"pulling {short_digest(blob.digest)}", blob.digest, blob.size, blob.size)
    yield Progress("verifying sha256 digest")
    yield Progress("writing manifest")


def _base(path: str) -> str:
    return path.rpartition("/")[2]
