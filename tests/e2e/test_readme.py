"""Every command and example of the README does what it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.e2e.conftest import ROOT, Daemon, add_adapter

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(word: str) -> list[str]:
    """The shell lines that begin with a word, without their comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line).removesuffix(" &") for line in lines if line.startswith(word)]


def run(line: str, daemon: Daemon, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line with this Python's ``lcrt``, against this test's daemon."""
    line = line.replace("http://127.0.0.1:11434", daemon.url)
    argv = shlex.split(line)
    if argv[0] == "lcrt":
        argv = [sys.executable, "-m", *argv]
    return subprocess.run(
        argv,
        env=daemon.env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("line", commands("curl"))
def test_requests_are_answered(line: str, daemon: Daemon, tmp_path: Path) -> None:
    if "pirate" in line:
        add_adapter(daemon, tmp_path, "pirate")
    answer = run(line, daemon, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert '"error"' not in answer.stdout
    assert re.search(r'"(response|content)":\s*"[^"]', answer.stdout)


@pytest.mark.parametrize("line", [line for line in commands("lcrt run") if '"' in line])
def test_prompts_are_answered(line: str, daemon: Daemon, tmp_path: Path) -> None:
    answer = run(line, daemon, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()


def test_a_model_is_made_from_a_file(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(ROOT / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf")
    [written] = commands("printf")
    subprocess.run(["/bin/sh", "-c", written], cwd=tmp_path, check=True)
    [line] = commands("lcrt create")
    for wanted in (line, *commands("lcrt store"), *commands("lcrt export")):
        answer = run(wanted, daemon, tmp_path)
        assert answer.returncode == 0, answer.stderr
    for wanted in ("lcrt rm mine", "lcrt import mine.tar", "lcrt rm mine"):
        answer = run(wanted, daemon, tmp_path)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("block", blocks("python"))
def test_python_examples_run(block: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_conversation_is_had(daemon: Daemon) -> None:
    [line] = [line for line in commands("lcrt run") if '"' not in line]
    _, *arguments = shlex.split(line)
    with Terminal(*arguments, LCRT_HOST=daemon.env["LCRT_HOST"], HOME=daemon.env["HOME"]) as terminal:
        terminal.expect(">>> ")
        terminal.type("What is the capital of France?\r")
        terminal.expect("Paris")
        terminal.expect(">>> ")
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_make_run_ends_with_an_answer(daemon: Daemon) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), daemon.env["PATH"]])
    recipe = ["make", "--no-print-directory", "--dry-run", "run", "MODEL=demo"]
    last = subprocess.run(recipe, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    done = subprocess.run(
        ["/bin/sh", "-c", last],
        env=daemon.env | {"PATH": path},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert run("lcrt rm demo", daemon, ROOT).returncode == 0


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(lcrt [a-z]* ?--[a-z-]+)`", README))))
def test_commands_in_the_text_say_something(line: str, daemon: Daemon, tmp_path: Path) -> None:
    answer = run(line, daemon, tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout


TARGETS = re.findall(r"`make ([a-z]+)`", (ROOT / "CONTRIBUTING.md").read_text())


@pytest.mark.parametrize("target", sorted({*TARGETS, *(line.split()[1] for line in commands("make"))}))
def test_what_make_is_asked_for_exists(target: str) -> None:
    assert subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False).returncode == 0
