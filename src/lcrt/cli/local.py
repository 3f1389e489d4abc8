"""The models folder on this machine, for commands that need no daemon or stand beside one."""

import os
from pathlib import Path

from lcrt.client.api import Api
from lcrt.config.settings import load_settings
from lcrt.errors import LcrtError, StoreError
from lcrt.store.blobs import Blobs
from lcrt.store.states import States
from lcrt.store.store import Store


def local_store(*, must_exist: bool = True) -> Store:
    """Open the store that the settings name; StoreError when there is none."""
    settings = load_settings(os.environ)
    if must_exist and not settings.models.is_dir():
        raise StoreError(
            f"there is no model store at {settings.models}", "LCRT_MODELS or OLLAMA_MODELS name another folder"
        )
    return Store(settings.models, States(settings.cache_dir))


def shared_store(api: Api) -> Store | None:
    """Open the store of a daemon on this machine; None when it is elsewhere or cannot be written by this user.

    The proof is a small blob that is put there for a moment: the daemon must see it.
    """
    folder: Path = load_settings(os.environ).models
    if not (api.address.is_loopback and folder.is_dir() and os.access(folder, os.W_OK)):
        return None
    store = Store(folder)
    try:
        return store if _sees(api, store.blobs) else None
    except LcrtError:
        return None


def _sees(api: Api, blobs: Blobs) -> bool:
    with blobs.writer() as writer:
        writer.write(b"lcrt was here: " + os.urandom(16))
        writer.finish()
        writer.place()
        try:
            return api.has_blob(writer.digest)
        finally:
            blobs.remove(writer.digest)
