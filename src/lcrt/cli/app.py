"""The table of commands, and the one place where errors become words and exit codes."""

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, cast

from lcrt.errors import LcrtError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Command(NamedTuple):
    """A line of the overview; ``module`` is imported when the command is run."""

    module: str
    help: str
    aliases: tuple[str, ...] = ()


class Module(Protocol):
    """What the module of a command has."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare flags and arguments."""

    def run(self, given: argparse.Namespace) -> int | None:
        """Do it and return the exit code; None is success."""


COMMANDS = {
    "serve": Command("serve", "Start the lcrt server", ("start",)),
    "run": Command("run", "Run a model: answer a prompt, or chat"),
    "create": Command("create", "Make a model from a Modelfile"),
    "list": Command("list", "List models", ("ls",)),
    "ps": Command("ps", "List loaded models"),
    "show": Command("show", "Show information about a model"),
    "cp": Command("cp", "Copy a model"),
    "rm": Command("rm", "Remove models"),
    "stop": Command("stop", "Unload a model"),
    "import": Command("import_", "Make models of an archive, a GGUF file or another program's folder"),
    "export": Command("export", "Write a model to one file"),
    "store": Command("store", "Check, clean and measure the folder of models"),
    "bench": Command("bench", "Measure a model, or any Ollama or OpenAI server"),
    "pull": Command("pull", "Download a model"),
    "push": Command("push", "Upload a model"),
    "signin": Command("absent", "Sign in to a registry (not available yet)", ("login",)),
}
_ALIASES = {alias: name for name, command in COMMANDS.items() for alias in command.aliases}


class UsageError(Exception):
    """Arguments that make no sense together; shown with a pointer to --help."""


class Parser(argparse.ArgumentParser):
    """argparse with this program's words for a usage error."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        raise UsageError(f"{message}\nRun '{self.prog} --help' for usage.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(arguments) or OK
    except UsageError as error:
        return _fail(str(error), USAGE)
    except LcrtError as error:
        return _fail(_advised(str(error)), FAILED)
    except BrokenPipeError:
        # The reader of stdout left: keep Python from complaining about it at exit.
        sys.stdout = None
        return FAILED
    except OSError as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int | None:
    word = arguments[0] if arguments else "help"
    name = _ALIASES.get(word, word)
    if name in COMMANDS:
        return _run(name, arguments[1:])
    if word in ("-v", "--version"):
        return _load("version").run(argparse.Namespace())
    if word in ("help", "-h", "--help"):
        return _help(arguments[1:])
    kind = "flag" if word.startswith("-") else "command"
    raise UsageError(f"unknown {kind} '{word}'\nRun 'lcrt --help' for usage.")


def _run(name: str, arguments: list[str]) -> int | None:
    command, module = COMMANDS[name], _load(COMMANDS[name].module)
    parser = Parser(prog=f"lcrt {name}", description=command.help, allow_abbrev=False)
    module.arguments(parser)
    given = parser.parse_intermixed_args(_join_flags(arguments))
    given.command = name
    return module.run(given)


def _join_flags(arguments: list[str]) -> list[str]:
    """Write two flags of ``run`` as argparse understands them.

    ``--think`` may stand without a value; the value of ``--keepalive`` may begin with a minus.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words: list[str] = []
    for word in arguments[:end]:
        if words and words[-1] == "--keepalive":
            words[-1] = f"--keepalive={word}"
        else:
            words.append("--think=true" if word == "--think" else word)
    return words + arguments[end:]


def _load(module: str) -> Module:
    return cast("Module", importlib.import_module(f"lcrt.cli.{module}"))


def _help(arguments: list[str]) -> int | None:
    if arguments and _ALIASES.get(arguments[0], arguments[0]) in COMMANDS:
        return _run(_ALIASES.get(arguments[0], arguments[0]), ["--help"])
    names = {name: ", ".join([name, *command.aliases]) for name, command in COMMANDS.items()}
    width = max(map(len, names.values()))
    rows = "".join(f"  {names[name]:{width}}  {command.help}\n" for name, command in COMMANDS.items())
    sys.stdout.write(
        "Run language models on this machine.\n\n"
        "Usage:\n  lcrt COMMAND [ARGUMENTS]\n\n"
        f"Commands:\n{rows}\n"
        "Flags:\n  -h, --help     Show this, or the help of a command: lcrt COMMAND --help\n"
        "  -v, --version  Show the versions of server and client\n\n"
        "LCRT_HOST or OLLAMA_HOST say where the server is (127.0.0.1:11434).\n"
    )
    return OK


def _advised(message: str) -> str:
    from lcrt.cli.advice import advised  # many expressions, and most commands do not fail

    return advised(message)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"Error: {message}\n")
    return code
