"""Descriptions of the models in a store, remembered.

Descriptions are kept by the manifest's digest and facts of a GGUF by the blob's path, so that only
a changed model costs reading; the facts are also noted in the store, so that the next process need not
read headers. Safe to call from several threads: two may do the same work, no more.
"""

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import ModelFormatError, StoreError
from lcrt.gguf.reader import Header, read_header
from lcrt.modelfile.describe import Description, Details, GgufFacts, describe, gguf_facts
from lcrt.store.digest import digest_of_file_name
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store

_LOG = logging.getLogger("lcrt.modelfile")
_MAX_DESCRIPTIONS = 2048
_MAX_FACTS = 2048
_MAX_HEADERS = 8
_FACTS = f"facts of a GGUF, 1: {' '.join(GgufFacts.__struct_fields__)}"
"""What notes of them are known by: count on when a field has another meaning than before."""

_T = TypeVar("_T")


class _Recent(Generic[_T]):
    """The values used last, at most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[str, _T] = OrderedDict()

    def get(self, key: str, make: Callable[[], _T]) -> _T:
        """Return the value of a key, made now if it is not known."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value


class Catalog:
    """Descriptions of the models in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listing = threading.Lock()
        self._descriptions = _Recent[Description](_MAX_DESCRIPTIONS)
        self._facts = _Recent[GgufFacts](_MAX_FACTS)
        self._headers = _Recent[Header](_MAX_HEADERS)

    def models(self) -> list[Description]:
        """Describe all models, the latest changed first; a damaged one is there with less to say."""
        with self._listing:
            return [self._describe_anyway(manifest) for manifest in self._store.models()]

    def find(self, name: ModelName) -> Description | None:
        """Describe a model, None when it does not exist; StoreError or ModelFormatError when it is damaged."""
        manifest = self._store.find(name)
        return self.describe(manifest) if manifest else None

    def describe(self, manifest: Manifest) -> Description:
        """Describe the model of a manifest."""
        description = self._descriptions.get(manifest.digest, lambda: describe(self._store, manifest, self._facts_of))
        return msgspec.structs.replace(description, name=manifest.name, modified=manifest.modified)

    def header(self, path: str) -> Header:
        """Read the header of a model's file, or remember it; blobs never change."""
        return self._headers.get(path, lambda: read_header(Path(path)))

    def _describe_anyway(self, manifest: Manifest) -> Description:
        try:
            return self.describe(manifest)
        except (StoreError, ModelFormatError) as error:
            _LOG.warning("%s is damaged: %s", manifest.name.short, error.message)
            return Description(manifest.name, manifest.digest, manifest.size, manifest.modified, Details())

    def _facts_of(self, path: str) -> GgufFacts:
        return self._facts.get(path, lambda: self._facts_anew(path))

    def _facts_anew(self, path: str) -> GgufFacts:
        """Take what the store has noted of a blob, else read its header and note it: headers can be long."""
        digest = digest_of_file_name(Path(path).name)
        noted = self._store.notes.get(digest, _FACTS) if digest else None
        if noted is not None:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                return msgspec.msgpack.decode(noted, type=GgufFacts)
        facts = gguf_facts(self.header(path))
        if digest:
            self._store.notes.put(digest, _FACTS, msgspec.msgpack.encode(facts))
        return facts
