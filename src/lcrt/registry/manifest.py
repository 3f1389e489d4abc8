"""Manifests as registries give them."""

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import Cancelled, LcrtError
from lcrt.registry.client import Call, Client
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.options import Options
from lcrt.registry.remote import Remote, host_of
from lcrt.registry.stop import Patience, Stop
from lcrt.store.digest import digest_of
from lcrt.store.layers import MANIFEST_TYPE, Layer
from lcrt.store.manifest import MAX_LEN, Manifest, parse_manifest

TRIES = 3
"""Tries of a small request; a person waits."""

_OCI_TYPE = "application/vnd.oci.image.manifest.v1+json"
_ACCEPT = {"Accept": f"{MANIFEST_TYPE}, {_OCI_TYPE}"}
_TENSOR = "application/vnd.ollama.image.tensor"


def fetch_manifest(
    client: Client, places: tuple[Remote, ...], name: ModelName, options: Options, stop: Stop
) -> tuple[Manifest, tuple[Remote, ...]]:
    """Ask one place after another; returns the manifest, and the places from the one that had it on."""
    for i, remote in enumerate(places):
        is_last = i + 1 == len(places)
        try:
            raw = _fetch(client, remote, options, stop, n_tries=TRIES if is_last else 1)
        except Cancelled:
            raise
        except LcrtError as error:
            if not is_last:
                continue
            raise LcrtError(f"pull model manifest: {error.message}", _advice(error, name) or error.hint) from error
        return _checked(name, raw), places[i:]
    raise LcrtError("pull model manifest: no place to ask", "check LCRT_REGISTRY_MIRROR")


def blobs_of(manifest: Manifest) -> tuple[Layer, ...]:
    """Every blob once: the layers in order, then the config."""
    every = (*manifest.layers, *((manifest.config,) if manifest.config else ()))
    return tuple({layer.digest: layer for layer in every}.values())


def _fetch(client: Client, remote: Remote, options: Options, stop: Stop, n_tries: int) -> bytes:
    patience = Patience(stop, options.first_wait, n_tries)
    while True:
        try:
            return _ask(client, remote)
        except Transient as error:
            if n_tries == 1:
                raise
            patience.wait(error)


def _ask(client: Client, remote: Remote) -> bytes:
    with client.open(Call("GET", remote.manifest, _ACCEPT, repository=remote.repository)) as reply:
        reply.check()
        raw = reply.read(MAX_LEN)
        promised = reply.headers.get("docker-content-digest", "")
    if promised.startswith("sha256:") and promised != digest_of(raw):
        raise Transient(f"{host_of(remote.base)} sent a manifest that is not {promised}")
    return raw


def _checked(name: ModelName, raw: bytes) -> Manifest:
    try:
        manifest = parse_manifest(name, raw)
    except (LcrtError, msgspec.MsgspecError) as error:
        text = error.message if isinstance(error, LcrtError) else str(error)
        raise LcrtError(f"pull model manifest: {text}", "what lies there is no model of Ollama's kind") from error
    if not manifest.layers:
        raise LcrtError("pull model manifest: it lists no layers", "what lies there is no model of Ollama's kind")
    if any(layer.size < 0 for layer in blobs_of(manifest)):
        raise LcrtError("pull model manifest: a layer has a negative size", "the model is damaged there")
    if manifest.of_type(_TENSOR):
        raise LcrtError(
            "this model requires MLX support, but the MLX runtime is not available", "pull a GGUF variant of it"
        )
    return manifest


def _advice(error: LcrtError, name: ModelName) -> str | None:
    if isinstance(error, Refused) and error.status == 404:
        return f"check the name and the tag: {name.full}"
    return None
