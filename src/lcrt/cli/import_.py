"""``lcrt import``: models from an archive, a GGUF file, or the folders of other programs."""

import argparse
import contextlib
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lcrt.cli.advice import advised
from lcrt.cli.app import FAILED, OK
from lcrt.cli.local import local_store
from lcrt.cli.output.bars import Steps, steps
from lcrt.cli.output.table import table
from lcrt.cli.output.terminal import put, say
from lcrt.core.name import ModelName, ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, LcrtError
from lcrt.gguf.reader import is_gguf
from lcrt.modelfile.create import create
from lcrt.store.archive import import_archive
from lcrt.store.intake import Taken
from lcrt.store.store import Store
from lcrt.store.trees import Found, hub_folder, lm_studio_folder, read_tree

_SHOWN_DIGITS = len("sha256:") + 12
_TREES = {"lmstudio": lm_studio_folder, "huggingface": hub_folder}
_WORDS = """\
SOURCE is one of
  an archive that `lcrt export` wrote
  a GGUF file; its model gets the NAME
  lmstudio or huggingface: what those programs have downloaded
  a folder that one of them has filled

Bytes are shared with the source where the file system can: by reflink, else by
hard link, else the file is used where it lies and checked before each use."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare source and name."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _WORDS
    parser.add_argument("source", metavar="SOURCE", help="what to import")
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the name of a model, or which of many")
    parser.add_argument("--copy", action="store_true", help="copy files: the models do not depend on the source")
    parser.add_argument("--dry-run", action="store_true", help="only list what a folder has")


def run(given: argparse.Namespace) -> int:
    """Import; models of a folder that cannot be made are named, the others are made."""
    if given.source in _TREES and not Path(given.source).exists():
        return _tree(_TREES[given.source](os.environ, Path.home()), given)
    path = Path(given.source).expanduser()
    if path.is_dir():
        return _tree(path, given)
    if not path.is_file():
        raise InvalidRequest(f"{path}: no such file or folder", "lcrt import --help lists what can be imported")
    store = local_store(must_exist=False)
    with steps() as shown:
        if is_gguf(path):
            name = _parse(given.name or path.stem)
            _make(store, Found(name, (path,)), shown, copy=given.copy)
            names = [name]
        else:
            names = import_archive(store, path, given.name, partial(_show, shown))
    put("".join(f"imported '{name.short}'\n" for name in names))
    return OK


def _tree(folder: Path, given: argparse.Namespace) -> int:
    if not folder.is_dir():
        raise InvalidRequest(f"there is no folder {folder}", "name the folder: lcrt import FOLDER")
    wanted = given.name.lower()
    found = [model for model in read_tree(folder) if wanted in model.name.short.lower()]
    if not found:
        raise InvalidRequest(
            f"no GGUF models in {folder}" + (f" with '{given.name}' in their names" if wanted else ""),
            "`--dry-run` without a name lists what is there" if wanted else "name another folder: lcrt import FOLDER",
        )
    if given.dry_run:
        put(table(("name", "files"), [(model.name.short, str(model.files[0])) for model in found]))
        return OK
    return _make_all(found, copy=given.copy)


def _make_all(found: Iterable[Found], *, copy: bool) -> int:
    code = OK
    store = local_store(must_exist=False)
    for model in found:
        try:
            with steps() as shown:
                _make(store, model, shown, copy=copy)
        except LcrtError as error:
            say(f"Error: {model.name.short}: {advised(str(error))}")
            code = FAILED
        else:
            put(f"imported '{model.name.short}'\n")
    return code


def _make(store: Store, model: Found, shown: Steps, *, copy: bool) -> None:
    """Make one model; where that fails, or is stopped, nothing of it stays."""
    taken: dict[str, Taken] = {}
    try:
        for path in model.files:
            size = path.stat().st_size
            report = partial(shown.update, f"reading {path.name}", total=size)
            taken[path.name] = store.take_in(path, report, link=not copy)
            shown.update(f"{path.name}: {taken[path.name].way}")
        files = {name: each.digest for name, each in taken.items()}
        for progress in create(store, CreateRequest(model.name.full, files=files)):
            shown.update(progress.status, progress.completed, progress.total)
    except BaseException:
        with contextlib.suppress(LcrtError):
            store.give_back(taken.values())
        raise


def _parse(text: str) -> ModelName:
    try:
        return ModelRef.parse(text).name
    except ValueError as error:
        raise InvalidRequest(f"invalid model name: {text}", "say another: lcrt import FILE NAME") from error


def _show(shown: Steps, digest: str, done: int, total: int) -> None:
    shown.update(f"reading {digest[:_SHOWN_DIGITS]}", done, total)
