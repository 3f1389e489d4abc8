"""Pull from a hub: files by their digests into the store, then a model made of them."""

from collections.abc import Iterator
from functools import partial

from lcrt.core.name import ModelName
from lcrt.errors import Cancelled, InvalidRequest, LcrtError
from lcrt.registry.client import Call
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.hub import Choice, Hub, HubFile, check, choose, list_files
from lcrt.registry.hub_found import Found, Publish
from lcrt.registry.manifest import TRIES
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.pull import Puller
from lcrt.registry.rate import Limit
from lcrt.registry.source import Source
from lcrt.registry.stop import Patience, Stop
from lcrt.store.digest import parse_digest
from lcrt.store.holds import Hold
from lcrt.store.layers import Layer

_SMALL_MAX = 64 << 20
_TEXT_MAX = 1 << 20


class HubPuller:
    """One pull from a hub, with the transfers of ``puller``."""

    def __init__(self, puller: Puller, hub: Hub, publish: Publish) -> None:
        self._puller = puller
        self._hub = hub
        self._publish = publish
        self._stop = Stop()

    def pull(self, name: ModelName, request: PullRequest) -> Iterator[Progress]:
        """Fetch what a name means in this hub and make a model of it."""
        yield Progress("pulling manifest")
        try:
            choice = self._look(name)
            with self._puller.store.hold() as hold:
                texts = self._texts(choice, name)
                files: dict[str, str] = {}
                fetching = self._fetch_all(choice, name, hold, Limit(request.limit_rate))
                for file, progress in fetching:
                    files[file.name] = progress.digest
                    yield progress
                yield Progress("verifying sha256 digest")
                yield Progress("writing manifest")
                self._publish(Found(name, files, texts, request.keep_old))
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
            for file in self._files(choice):
                if file.digest:
                    parse_digest(file.digest)
        except InvalidRequest as error:
            raise Refused(
                f"{self._hub.endpoint} tells no digest that can be checked",
                hint="is it the hub? what it sends could not be trusted",
            ) from error
        return choice

    def _files(self, choice: Choice) -> tuple[HubFile, ...]:
        return (*choice.weights, *((choice.projector,) if choice.projector else ()))

    def _fetch_all(
        self, choice: Choice, name: ModelName, hold: Hold, limit: Limit
    ) -> Iterator[tuple[HubFile, Progress]]:
        """Fetch the weights and the projector; what has no known digest must be small."""
        known = (file for file in self._files(choice) if file.digest)
        layers = {file: Layer(digest=parse_digest(file.digest), size=file.size) for file in known}
        hold.reserve(*(layer.digest for layer in layers.values()))
        self._puller.check_space(tuple(layers.values()))
        judge = partial(check, hub=self._hub, name=name)
        for file in self._files(choice):
            if file in layers:
                call = Call("GET", file.url, self._hub.headers(), is_bulk=True)
                source = Source(self._puller.client, (call,), judge)
                for progress in self._puller.fetch(layers[file], source, limit):
                    yield file, progress
            else:
                digest, size, _ = hold.put(self._read(file, _SMALL_MAX, name))
                yield file, Progress(f"pulling {short_digest(digest)}", digest, size, size)

    def _texts(self, choice: Choice, name: ModelName) -> dict[str, str]:
        try:
            return {file.path: self._read(file, _TEXT_MAX, name).decode() for file in choice.texts}
        except UnicodeDecodeError as error:
            raise LcrtError(
                f"a text file of {name.full} is not UTF-8: {error}",
                "download its GGUF yourself, then `lcrt create NAME --from FILE.gguf`",
            ) from error

    def _read(self, file: HubFile, limit: int, name: ModelName) -> bytes:
        if file.size > limit:
            raise LcrtError(f"`{file.path}` is too large to be taken without a digest", "pull another file")
        patience = Patience(self._stop, self._puller.options.first_wait, TRIES)
        while True:
            try:
                with self._puller.client.open(Call("GET", file.url, self._hub.headers())) as reply:
                    check(reply, self._hub, name)
                    return reply.read(limit)
            except Transient as error:
                patience.wait(error)
