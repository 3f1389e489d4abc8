"""What lies in a store, read without the code under test."""

import hashlib
import json
import os
import re
from pathlib import Path

Models = dict[str, str]
"""Digest of the manifest's bytes by the place of the manifest."""

_BLOB = re.compile(r"sha256-[0-9a-f]{64}")


def models(root: Path) -> Models:
    """List what is published."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((root / "manifests").glob("*/*/*/*"))
        if path.is_file()
    }


def wrong(root: Path) -> list[str]:
    """Find blobs that lie about their digest, torn manifests, and manifests without their blobs or with lost links."""
    found = [
        f"blob {path.name[:20]} is not what its name says ({path.stat().st_size} bytes)"
        for path in sorted((root / "blobs").iterdir())
        if _BLOB.fullmatch(path.name) and hashlib.sha256(path.read_bytes()).hexdigest() != path.name[7:]
    ]
    for name in models(root):
        try:
            digests = _digests(root / name)
        except ValueError:
            found.append(f"manifest {name} is torn")
            continue
        found += [f"{name} lacks {digest[:20]}" for digest in digests if not (root / "blobs" / digest).is_file()]
        found += [f"{name}: nobody would notice a change of {digest[:20]}" for digest in digests if _lost(root, digest)]
    return found


def _lost(root: Path, digest: str) -> bool:
    """Tell whether a blob is a person's own file without the record that it is compared with."""
    path, record = root / "blobs" / digest, root / ".lcrt" / "links" / digest
    if not path.is_file() or not (path.is_symlink() or path.stat().st_nlink > 1):
        return False
    try:
        return int(json.loads(record.read_bytes())["mtime_ns"]) != path.stat().st_mtime_ns
    except (OSError, ValueError):
        return True


def leftovers(root: Path, folders: tuple[str, ...] = ("holds", "claims", "scratch")) -> list[str]:
    """Find files that only a process that is dead now can have needed, or an operation that is over."""
    places = [*(root / "blobs").glob(".new-*"), *(root / "manifests").rglob(".new-*")]
    for folder in folders:
        places += (root / ".lcrt" / folder).glob("*")
    empty = [path for path in (root / "manifests").rglob("*") if path.is_dir() and not any(path.iterdir())]
    return [f"{path.relative_to(root)} is left over" for path in (*places, *empty)]


def unneeded(root: Path) -> list[str]:
    """Find files among the blobs that no model needs, records of links that nobody has, and of uploads."""
    needed = {digest for name in models(root) for digest in _digests(root / name)}
    there = {path.name for path in (root / "blobs").iterdir()}
    links = root / ".lcrt" / "links"
    records = {path.name for path in links.iterdir()} if links.is_dir() else set()
    uploads = {path.name for path in (root / ".lcrt" / "uploads").glob("*")}
    return [f"{name} is still there" for name in sorted((there - needed) | (records - needed) | uploads)]


def _digests(path: Path) -> set[str]:
    manifest = json.loads(path.read_bytes())
    blobs = [*manifest["layers"], manifest["config"]]
    return {os.fspath(blob["digest"]).replace(":", "-") for blob in blobs}
