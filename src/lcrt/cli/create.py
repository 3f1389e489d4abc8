"""``lcrt create``: a model made from a Modelfile."""

import argparse
import sys
from functools import partial
from pathlib import Path

from lcrt.cli.output.bars import Steps, steps
from lcrt.cli.target import daemon
from lcrt.client.api import Api
from lcrt.client.progress import File, hash_file, pieces
from lcrt.core.name import ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.parse import Command, parse_modelfile
from lcrt.modelfile.request import Plan, plan

_DEFAULT_FILE = "Modelfile"
_STDIN = "-"
_SHOWN_DIGITS = len("sha256:") + 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name, the Modelfile and the quantization."""
    parser.add_argument("model", metavar="MODEL", help="the name of the new model")
    parser.add_argument("-f", "--file", metavar="FILE", help="the Modelfile (default: Modelfile), or - for stdin")
    parser.add_argument("-q", "--quantize", default="", metavar="TYPE", help="quantize the weights, for example q4_K_M")


def run(given: argparse.Namespace) -> None:
    """Upload what the daemon does not have yet, and let it make the model."""
    try:
        ModelRef.parse(given.model)
    except ValueError as error:
        raise InvalidRequest(f"invalid model name: {given.model}") from error
    commands, directory = _modelfile(given.file)
    wanted = plan(commands, directory, given.model, given.quantize)
    for warning in wanted.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    api = daemon()
    with steps() as shown:
        request = wanted.with_digests(_give_files(api, wanted, shown))
        with api.create(_wire(request)) as statuses:
            for status in statuses:
                shown.update(status.status, status.completed, status.total)


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


def _give_files(api: Api, wanted: Plan, shown: Steps) -> dict[Path, str]:
    """Hash every file and upload those that are new to the daemon."""
    digests: dict[Path, str] = {}
    for path in dict.fromkeys([*wanted.files.values(), *wanted.adapters.values()]):
        file = _hash(path, shown)
        if not api.has_blob(file.digest):
            title = f"copying file {file.digest[:_SHOWN_DIGITS]}"
            api.upload(file.digest, pieces(path, partial(shown.update, title, total=file.size)), file.size)
        digests[path] = file.digest
    return digests


def _hash(path: Path, shown: Steps) -> File:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}") from error
    return hash_file(path, partial(shown.update, f"reading {path.name}", total=size))


def _wire(request: CreateRequest) -> dict[str, object]:
    """Spell a request as the daemon reads it, without what is empty."""
    body: dict[str, object] = {
        "model": request.model,
        "from": request.from_,
        "files": request.files,
        "adapters": request.adapters,
        "quantize": request.quantize,
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
