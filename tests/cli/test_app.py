import os
import subprocess
import sys

import pytest

from lcrt.cli.app import COMMANDS
from lcrt.cli.version import client_version
from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, objects

HEAVY = ("hypercorn", "numpy", "lcrt.native", "lcrt.server", "rich", "prompt_toolkit", "cyclopts", "anyio", "asyncio")


def test_no_arguments_and_help_show_every_command(lcrt: Lcrt) -> None:
    for arguments in ((), ("--help",), ("-h",), ("help",)):
        result = lcrt(*arguments)
        assert result.code == 0
        assert all(f"  {name}" in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(lcrt: Lcrt, name: str) -> None:
    result = lcrt(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: lcrt {name}")
    assert lcrt("help", name).out == result.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nosuch",), "unknown command 'nosuch'"),
        (("--nosuch",), "unknown flag '--nosuch'"),
        (("list", "--nosuch"), "unrecognized arguments: --nosuch"),
        (("show",), "required: MODEL"),
        (("run", "--verb", "x"), "unrecognized arguments: --verb"),
    ],
)
def test_wrong_usage_exits_with_2_and_points_to_help(lcrt: Lcrt, arguments: tuple[str, ...], text: str) -> None:
    result = lcrt(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: ")
    assert text in result.err
    assert "--help' for usage." in result.err


@pytest.mark.parametrize("command", ["signin", "login"])
def test_absent_commands_say_so(lcrt: Lcrt, command: str) -> None:
    result = lcrt(command, "x")
    assert result.code == 1
    assert "is not available yet" in result.err


@pytest.mark.parametrize(
    "command", [("list",), ("ps",), ("show", "x"), ("cp", "a", "b"), ("rm", "x"), ("stop", "x")], ids=lambda c: c[0]
)
def test_without_a_daemon_there_is_advice(
    lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LCRT_HOST", "127.0.0.1:9")
    assert lcrt(*command) == (1, "", "Error: could not connect to lcrt server, run 'lcrt serve' to start it\n")


def test_lcrt_host_comes_before_ollama_host(lcrt: Lcrt, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.on("GET", "/api/tags", objects({"models": []}))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert lcrt("list").code == 0
    monkeypatch.setenv("OLLAMA_HOST", fake.host)
    monkeypatch.delenv("LCRT_HOST")
    assert lcrt("list").code == 0


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (
            {"version": "0.33.0", "lcrt": "99.1"},
            "lcrt version is 99.1 (API of Ollama 0.33.0)\nWarning: client version is ",
        ),
        (
            {"version": "0.33.0", "lcrt": client_version()},
            f"lcrt version is {client_version()} (API of Ollama 0.33.0)\n",
        ),
        ({"version": "0.33.0"}, "ollama version is 0.33.0\nWarning: client version is "),
    ],
)
def test_versions_are_shown_and_compared(lcrt: Lcrt, fake: FakeDaemon, answer: dict[str, str], shown: str) -> None:
    fake.on("GET", "/api/version", objects(answer))
    result = lcrt("--version")
    assert result.code == 0
    assert result.out.startswith(shown)
    assert ("Warning" in result.out) is ("Warning" in shown)


def test_a_version_without_a_server_is_a_warning(lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCRT_HOST", "127.0.0.1:9")
    result = lcrt("-v")
    assert result.code == 0
    assert "Warning: could not connect to a running lcrt instance" in result.out


@pytest.mark.parametrize("command", ["list", "ps", "show x", "stop x", "run x hello"])
def test_common_commands_import_nothing_heavy(fake: FakeDaemon, command: str) -> None:
    fake.on("GET", "/api/tags", objects({"models": []}))
    fake.on("GET", "/api/ps", objects({"models": []}))
    fake.on("POST", "/api/show", objects({"capabilities": ["completion"]}))
    fake.on("POST", "/api/generate", objects({"response": "hi", "done": True}))
    code = f"import sys; from lcrt.cli.app import main; code = main({command.split()!r}); print(code, *sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    last, *modules = ended.stdout.splitlines()[-1].split(" ")
    assert last == "0", ended.stderr
    assert "lcrt.client.api" in modules
    assert not [module for module in modules if module.startswith(HEAVY)]


def test_a_reader_that_leaves_early_is_no_traceback(fake: FakeDaemon) -> None:
    models = [{"name": f"model-{n}:latest", "digest": "0" * 64} for n in range(5000)]
    fake.on("GET", "/api/tags", objects({"models": models}))
    code = "import sys; from lcrt.cli.app import main; sys.exit(main(['list']))"
    # Python's unbuffered mode loses the error of a write that was cut short.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
