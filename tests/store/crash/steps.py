"""Every step by which this process changes a store, counted; at a chosen one the process ends as a crash ends it.

``Steps`` replaces the functions of ``os`` that change files. A kill is SIGKILL before a step or in the
middle of a write. A power cut is that, and before it what nobody had synced is lost: of every file an
unsynced end, of every directory the last of its unsynced changes.
"""

import contextlib
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

Undo = Callable[[], None]

_PAIRS = ("replace", "rename", "link", "symlink")
_SINGLES = ("unlink", "remove", "rmdir", "mkdir")
_WRITES = ("write", "pwrite")
_OTHERS = ("fsync", "ftruncate", "utime")
_CHANGES = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_RDWR


class Steps:
    """Counts steps below ``root``; ends the process at number ``last``. ``lost``: seed of a power cut."""

    def __init__(self, root: Path, last: int = -1, lost: int | None = None) -> None:
        self.count = 0
        self.names: list[str] = []
        self._root = f"{root}/"
        self._last = last
        self._random = None if lost is None else random.Random(lost)
        self._graves = root.with_name(root.name + ".graves")
        self._fds: dict[int, str] = {}
        self._unsynced: dict[str, int] = {}
        self._changes: list[tuple[str, Undo]] = []
        self._real: dict[str, Any] = {}

    def install(self) -> None:
        """Put itself in place of the functions of ``os``."""
        for name in ("open", "close", "copy_file_range", *_PAIRS, *_SINGLES, *_WRITES, *_OTHERS):
            self._real[name] = getattr(os, name)
        wrappers: dict[str, Callable[..., Any]] = {"open": self._open, "close": self._close, "fsync": self._fsync}
        wrappers["copy_file_range"] = self._copy
        wrappers |= {name: self._pair(name) for name in _PAIRS}
        wrappers |= {name: self._single(name) for name in _SINGLES}
        wrappers |= {name: self._write(name) for name in _WRITES}
        wrappers |= {name: self._plain(name) for name in ("ftruncate", "utime")}
        for name, wrapper in wrappers.items():
            setattr(os, name, wrapper)

    def mark(self) -> None:
        """Count the moment after an operation was acknowledged."""
        if self._step("acknowledged"):
            self._crash()

    def _ours(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._root)

    def _step(self, name: str) -> bool:
        """Count a step; True when it is the one that is not finished."""
        self.count += 1
        self.names.append(name)
        return self.count == self._last

    def _crash(self) -> None:
        if self._random is not None:
            self._lose(self._random)
        os.kill(os.getpid(), signal.SIGKILL)

    def _lose(self, chance: random.Random) -> None:
        """Take back what no sync has brought to the disk."""
        for path, size in self._unsynced.items():
            if Path(path).is_file() and not Path(path).is_symlink():
                now = Path(path).stat().st_size
                os.truncate(path, chance.randint(min(size, now), now))
        kept = {folder: chance.randint(0, n) for folder, n in self._per_folder().items()}
        lost: list[Undo] = []
        for folder, undo in self._changes:
            kept[folder] -= 1
            if kept[folder] < 0:
                lost.append(undo)
        for undo in reversed(lost):
            with contextlib.suppress(FileNotFoundError):
                undo()

    def _per_folder(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for folder, _ in self._changes:
            counts[folder] = counts.get(folder, 0) + 1
        return counts

    def _open(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        changes = self._ours(path) and bool(flags & _CHANGES) and not flags & os.O_DIRECTORY
        is_new = changes and not os.path.lexists(path)
        if is_new and self._step("open"):
            self._crash()
        fd: int = self._real["open"](path, flags, *args, **kwargs)
        if self._ours(path):
            self._fds[fd] = os.path.realpath(path)
        if is_new:
            self._note(str(path), lambda: self._real["unlink"](path))
        return fd

    def _close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._real["close"](fd)

    def _write(self, name: str) -> Callable[..., int]:
        def wrapper(fd: int, data: Any, *args: Any) -> int:
            if fd in self._fds:
                self._unsynced.setdefault(self._fds[fd], os.fstat(fd).st_size)
                if self._step(name):
                    self._crash()
                if self._step(f"half {name}"):
                    self._real[name](fd, memoryview(data)[: len(data) // 2], *args)
                    self._crash()
            n: int = self._real[name](fd, data, *args)
            return n

        return wrapper

    def _copy(self, source: int, target: int, count: int) -> int:
        if target in self._fds:
            self._unsynced.setdefault(self._fds[target], os.fstat(target).st_size)
            if self._step("copy"):
                self._crash()
        n: int = self._real["copy_file_range"](source, target, count)
        return n

    def _fsync(self, fd: int) -> None:
        path = self._fds.get(fd)
        if path is not None and self._step("fsync"):
            self._crash()
        self._real["fsync"](fd)
        if path is not None:
            self._unsynced.pop(path, None)
            self._changes = [(folder, undo) for folder, undo in self._changes if not _settled(folder, path)]

    def _plain(self, name: str) -> Callable[..., None]:
        def wrapper(target: Any, *args: Any, **kwargs: Any) -> None:
            if (target in self._fds if isinstance(target, int) else self._ours(target)) and self._step(name):
                self._crash()
            self._real[name](target, *args, **kwargs)

        return wrapper

    def _pair(self, name: str) -> Callable[..., None]:
        def wrapper(source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
            ours = self._ours(target)
            if ours and self._step(name):
                self._crash()
            grave = self._bury(target) if ours else None
            self._real[name](source, target, *args, **kwargs)
            if ours:
                moved = name in ("replace", "rename")
                self._note(str(target), lambda: self._take_back(source if moved else None, target, grave))
                if moved:
                    self._follow(str(source), str(target))

        return wrapper

    def _single(self, name: str) -> Callable[..., None]:
        def wrapper(path: Any, *args: Any, **kwargs: Any) -> None:
            ours = self._ours(path)
            if ours and self._step(name):
                self._crash()
            grave = self._bury(path) if ours and name in ("unlink", "remove") else None
            self._real[name](path, *args, **kwargs)
            if ours:
                self._note(str(path), self._undo_of(name, path, grave))

        return wrapper

    def _undo_of(self, name: str, path: Any, grave: Path | None) -> Undo:
        if name == "mkdir":
            return lambda: shutil.rmtree(path, ignore_errors=True)
        if name == "rmdir":
            return lambda: Path(path).mkdir(parents=True, exist_ok=True)
        return lambda: self._dig_up(path, grave)

    def _take_back(self, source: Any, target: Any, grave: Path | None) -> None:
        if source is not None and os.path.lexists(target):
            self._real["rename"](target, source)
        elif os.path.lexists(target):
            self._real["unlink"](target)
        self._dig_up(target, grave)

    def _bury(self, path: Any) -> Path | None:
        """Keep the file for the case that its removal is lost."""
        if self._random is None or not os.path.lexists(path) or Path(path).is_dir():
            return None
        Path(self._graves).mkdir(exist_ok=True)
        grave = self._graves / f"{self.count}-{len(self._changes)}"
        self._real["link"](path, grave, follow_symlinks=False)
        return grave

    def _dig_up(self, path: Any, grave: Path | None) -> None:
        if grave is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._real["rename"](grave, path)

    def _note(self, path: str, undo: Undo) -> None:
        if self._random is not None:
            self._changes.append((str(Path(path).parent), undo))

    def _follow(self, source: str, target: str) -> None:
        """Keep track of a renamed file that has unsynced bytes or is open."""
        if source in self._unsynced:
            self._unsynced[target] = self._unsynced.pop(source)
        for fd, path in self._fds.items():
            if path == source:
                self._fds[fd] = target


def _settled(folder: str, synced: str) -> bool:
    """Tell whether the sync of a directory has settled a change: one in it, or in one that was removed from it."""
    return folder == synced or (folder.startswith(f"{synced}/") and not Path(folder).exists())
