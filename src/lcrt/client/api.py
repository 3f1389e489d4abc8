"""The daemon's native endpoints as calls."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from lcrt.client import wire
from lcrt.client.http import HttpClient
from lcrt.config.address import Address
from lcrt.errors import LcrtError

_OK = 200
_NOT_FOUND = 404


class Api:
    """One daemon. Every call is a request of its own and raises lcrt.errors."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = HttpClient(address)

    def ping(self) -> None:
        """Raise NoServer when nobody listens, LcrtError when it is no daemon."""
        status = self._http.status("HEAD", "/")
        if status != _OK:
            raise LcrtError(f"the server at {self.address.url} answered {status}: not an lcrt or Ollama server?")

    def version(self) -> wire.Version:
        """Return what the daemon says of itself."""
        return self._http.call("GET", "/api/version", None, wire.Version)

    def models(self) -> list[wire.Model]:
        """Return the models on disk, the newest first."""
        return self._http.call("GET", "/api/tags", None, wire.Models).models or []

    def processes(self) -> list[wire.Process]:
        """Return the loaded models."""
        return self._http.call("GET", "/api/ps", None, wire.Processes).models or []

    def show(self, model: str, *, verbose: bool = False) -> wire.Shown:
        """Return all about a model; NotFound when there is none of that name."""
        return self._http.call("POST", "/api/show", {"model": model, "verbose": verbose}, wire.Shown)

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name."""
        self._http.call("POST", "/api/copy", {"source": source, "destination": destination}, wire.Reply)

    def delete(self, model: str) -> None:
        """Remove a model from disk."""
        self._http.call("DELETE", "/api/delete", {"model": model}, wire.Reply)

    def unload(self, model: str) -> None:
        """Free the memory of a model that is loaded."""
        self._http.call("POST", "/api/generate", {"model": model, "keep_alive": 0, "stream": False}, wire.Chunk)

    def generate(self, request: dict[str, object]) -> AbstractContextManager[Iterator[wire.Chunk]]:
        """Stream an answer to a prompt."""
        return self._http.stream("/api/generate", request, wire.Chunk)

    def chat(self, request: dict[str, object]) -> AbstractContextManager[Iterator[wire.Chunk]]:
        """Stream the next message of a conversation."""
        return self._http.stream("/api/chat", request, wire.Chunk)

    def embed(self, request: dict[str, object]) -> list[list[float]]:
        """Return the vectors of the inputs."""
        with self._http.stream("/api/embed", request, wire.Embeddings) as replies:
            return next(replies, wire.Embeddings()).embeddings or []

    def create(self, request: dict[str, object]) -> AbstractContextManager[Iterator[wire.Status]]:
        """Make a model, streaming what is being done."""
        return self._http.stream("/api/create", request, wire.Status)

    def pull(self, request: dict[str, object]) -> AbstractContextManager[Iterator[wire.Status]]:
        """Fetch a model from a registry, streaming what is being done."""
        return self._http.stream("/api/pull", request, wire.Status)

    def push(self, request: dict[str, object]) -> AbstractContextManager[Iterator[wire.Status]]:
        """Give a model to a registry, streaming what is being done."""
        return self._http.stream("/api/push", request, wire.Status)

    def has_blob(self, digest: str) -> bool:
        """Say whether the daemon has these bytes."""
        status = self._http.status("HEAD", f"/api/blobs/{digest}")
        if status not in (_OK, _NOT_FOUND):
            raise LcrtError(f"the server answered {status} when asked for {digest}")
        return status == _OK

    def upload(self, digest: str, pieces: Iterable[bytes], size: int) -> None:
        """Give the daemon ``size`` bytes under their digest."""
        self._http.send(f"/api/blobs/{digest}", pieces, size)
