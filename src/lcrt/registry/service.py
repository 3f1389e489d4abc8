"""Registries as the daemon knows them. Costs nothing until the first pull or push: only then HTTP is imported."""

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lcrt.core.name import ModelName
from lcrt.registry.hub_found import Maker
from lcrt.registry.options import Options, PullRequest
from lcrt.registry.progress import Progress
from lcrt.store.store import Store

if TYPE_CHECKING:
    from lcrt.registry.client import Client
    from lcrt.registry.pull import Puller
    from lcrt.registry.push import Pusher


class Registries:
    """One per daemon. A generator does its work, imports too, on the thread that advances it.

    ``maker`` makes a model of what a hub had; without it hubs are asked as registries are.
    """

    def __init__(
        self,
        store: Store,
        options: Options | None = None,
        environ: Mapping[str, str] | None = None,
        maker: Maker | None = None,
    ) -> None:
        self.options = options or Options()
        self._store = store
        self._environ = os.environ if environ is None else environ
        self._maker = maker
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._puller: Puller | None = None
        self._pusher: Pusher | None = None

    def pull(self, name: ModelName, request: PullRequest) -> Iterator[Progress]:
        """Fetch a model; each step as it is taken."""
        from lcrt.registry.hub import hub_of
        from lcrt.registry.hub_pull import HubPuller

        puller = self._open_puller()
        hub = hub_of(name, self._environ, self.options.mirrors, self._home)
        if hub is None or self._maker is None or request.offline or self.options.offline:
            yield from puller.pull(name, request)
        else:
            yield from HubPuller(puller, hub, self._maker).pull(name, request)

    def push(self, name: ModelName, *, insecure: bool = False) -> Iterator[Progress]:
        """Give a model to its registry; each step as it is taken."""
        yield from self._open_pusher().push(name, insecure=insecure)

    def close(self) -> None:
        """Let uploads come to a good end, for a few seconds at most, and close kept connections."""
        if self._pusher is not None:
            self._pusher.close()
        if self._client is not None:
            self._client.close()

    def _open_puller(self) -> "Puller":
        from lcrt.registry.pull import Puller

        with self._lock:
            if self._puller is None:
                self._puller = Puller(self._store, self._open_client(), self.options)
            return self._puller

    def _open_pusher(self) -> "Pusher":
        from lcrt.registry.push import Pusher

        with self._lock:
            if self._pusher is None:
                self._pusher = Pusher(self._store, self._open_client(), self.options)
            return self._pusher

    def _open_client(self) -> "Client":
        if self._client is None:
            from lcrt.registry.auth import Authenticator
            from lcrt.registry.client import Client
            from lcrt.registry.credentials import Credentials
            from lcrt.registry.identity import load_identity

            credentials = Credentials(self._environ, self._home)
            self._client = Client(
                self.options, lambda fetch: Authenticator(fetch, credentials, lambda: load_identity(self._home))
            )
        return self._client

    @property
    def _home(self) -> Path:
        return Path(self._environ.get("HOME") or Path.home())
