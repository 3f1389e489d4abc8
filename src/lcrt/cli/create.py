"""``lcrt create``: a model made from a Modelfile."""

import argparse
import sys
from functools import partial
from pathlib import Path

import msgspec

from lcrt.cli.app import UsageError
from lcrt.cli.local import shared_store
from lcrt.cli.output.bars import Steps, steps
from lcrt.cli.target import daemon
from lcrt.client.api import Api
from lcrt.client.progress import hash_file, pieces
from lcrt.core.name import ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, StoreError
from lcrt.modelfile.parse import Command, parse_modelfile
from lcrt.modelfile.quantize import TYPES, target_type
from lcrt.modelfile.request import Plan, plan
from lcrt.store.store import Store

_DEFAULT_FILE = "Modelfile"
_STDIN = "-"
_SHOWN_DIGITS = len("sha256:") + 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name, the Modelfile and the quantization."""
    parser.add_argument("model", metavar="MODEL", help="the name of the new model")
    parser.add_argument("-f", "--file", metavar="FILE", help="the Modelfile (default: Modelfile), or - for stdin")
    parser.add_argument("--from", dest="base", metavar="FILE", help="a GGUF file, a folder or a model, in place of -f")
    parser.add_argument("--link", action="store_true", help="use the files where they lie, if they are on this machine")
    parser.add_argument("-q", "--quantize", default="", metavar="TYPE", help="quantize the weights, for example q4_K_M")
    parser.add_argument("--draft-quantize", default="", metavar="TYPE", help="the same for the DRAFT model")
    parser.add_argument("--imatrix", metavar="FILE", help="an importance matrix in GGUF format, to quantize better")


def run(given: argparse.Namespace) -> None:
    """Upload what the daemon does not have yet, and let it make the model."""
    try:
        ModelRef.parse(given.model)
    except ValueError as error:
        raise InvalidRequest(f"invalid model name: {given.model}") from error
    commands, directory = _commands(given)
    wanted = plan(commands, directory, given.model, given.quantize)
    for warning in wanted.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    _check_base(wanted.request.from_)
    _check_types(given.quantize, given.draft_quantize)
    if given.draft_quantize and not wanted.drafts:
        raise InvalidRequest("--draft-quantize requires a DRAFT model")
    if given.imatrix and not given.quantize:
        raise UsageError("--imatrix is of use with --quantize only\nRun 'lcrt create --help' for usage.")
    api = daemon()
    with steps() as shown:
        digests = _give_files(api, wanted, shown, link=given.link)
        request = msgspec.structs.replace(
            wanted.with_digests(digests),
            draft_quantize=given.draft_quantize,
            imatrix=_upload(api, Path(given.imatrix), shown) if given.imatrix else "",
        )
        with api.create(_wire(request)) as statuses:
            for status in statuses:
                shown.update(status.status, status.completed, status.total)


def _check_base(text: str) -> None:
    """Refuse what FROM names when it is no file here and can be no model either."""
    if not text:
        return
    try:
        ModelRef.parse(text)
    except ValueError as error:
        raise InvalidRequest(
            f"there is no file {text}, and no model has such a name", "check what FROM says"
        ) from error


def _check_types(*wanted: str) -> None:
    for name in wanted:
        try:
            target_type(name)
        except StoreError as error:
            raise InvalidRequest(f"unknown type of weights: {name}", f"known are {', '.join(TYPES)}") from error


def _commands(given: argparse.Namespace) -> tuple[tuple[Command, ...], Path]:
    if given.base and given.file:
        raise UsageError("--from stands in place of a Modelfile\nRun 'lcrt create --help' for usage.")
    return ((Command("model", given.base),), Path.cwd()) if given.base else _modelfile(given.file)


def _modelfile(name: str | None) -> tuple[tuple[Command, ...], Path]:
    """Read the Modelfile; return its commands and the folder that its paths start from."""
    if name == _STDIN:
        return parse_modelfile(sys.stdin.buffer.read()), Path.cwd()
    path = Path(name or _DEFAULT_FILE).expanduser()
    try:
        return parse_modelfile(path.read_bytes()), path.resolve().parent
    except FileNotFoundError as error:
        if name is None:
            return (Command("model", "."),), Path.cwd()
        raise InvalidRequest("specified Modelfile wasn't found") from error
    except OSError as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}") from error


def _give_files(api: Api, wanted: Plan, shown: Steps, *, link: bool) -> dict[Path, str]:
    """Make a blob of every file: in the daemon's own store if that is on this machine, else by upload."""
    paths = wanted.paths
    store = shared_store(api) if paths else None
    if store is not None:
        return {path: _take_in(store, path, shown, link=link) for path in paths}
    if link and paths:
        raise InvalidRequest(
            "--link needs a daemon that keeps its models on this machine, in a folder that you may write to",
            "set LCRT_MODELS to that folder, or leave --link away",
        )
    return {path: _upload(api, path, shown) for path in paths}


def _take_in(store: Store, path: Path, shown: Steps, *, link: bool) -> str:
    taken = store.take_in(path, partial(shown.update, f"copying {path.name}", total=_size(path)), link=link)
    shown.update(f"{path.name}: {taken.way}")
    return taken.digest


def _upload(api: Api, path: Path, shown: Steps) -> str:
    """Hash a file and send it if it is new to the daemon."""
    file = hash_file(path, partial(shown.update, f"reading {path.name}", total=_size(path)))
    if not api.has_blob(file.digest):
        title = f"copying file {file.digest[:_SHOWN_DIGITS]}"
        api.upload(file.digest, pieces(path, partial(shown.update, title, total=file.size)), file.size)
    return file.digest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}") from error


def _wire(request: CreateRequest) -> dict[str, object]:
    """Spell a request as the daemon reads it, without what is empty."""
    body: dict[str, object] = {
        "model": request.model,
        "from": request.from_,
        "files": request.files,
        "adapters": request.adapters,
        "draft_files": request.draft_files,
        "quantize": request.quantize,
        "draft_quantize": request.draft_quantize,
        "imatrix": request.imatrix,
        "template": request.template,
        "system": request.system,
        "license": request.license,
        "parameters": request.parameters,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "renderer": request.renderer,
        "parser": request.parser,
        "requires": request.requires,
    }
    return {name: value for name, value in body.items() if value}
