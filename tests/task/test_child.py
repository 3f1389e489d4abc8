"""Children: what they say arrives, their errors are raised, and none outlives the wish for its result."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.errors import EngineError, InvalidRequest, LcrtError, StoreError
from lcrt.task import child
from lcrt.task.child import Said

_HEAD = """
import os, sys, time
from lcrt.errors import *
from lcrt.task.child import Said, say, serve
def work(task):
"""
_FOOT = """
sys.exit(serve(work, dict))
"""


class Workshop:
    """Writes modules that children run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def module(self, *lines: str) -> str:
        (self._folder / "task_of_test.py").write_text(_HEAD + "".join(f"    {line}\n" for line in lines) + _FOOT)
        return "task_of_test"

    def run(self, *lines: str, task: object = None) -> Iterator[Said]:
        return child.run(self.module(*lines), {} if task is None else task, "testing")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Workshop(tmp_path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_gets_its_task_and_is_heard(workshop: Workshop) -> None:
    said = list(workshop.run("say(Said(completed=task['n'], total=9))", "say(Said(note='so'))", task={"n": 4}))
    assert said[0] == Said(completed=4, total=9)
    assert said[-1] == Said(note="so")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        ("InvalidRequest('no such thing', 'try another')", InvalidRequest, "no such thing"),
        ("InvalidGrammar('odd')", InvalidRequest, "odd"),
        ("StoreError('no room')", StoreError, "no room"),
        ("ModelFormatError('no model')", EngineError, "no model"),
        ("Conflict('later')", LcrtError, "later"),
        ("OSError(28, 'No space left on device')", StoreError, "cannot write the model: No space left on device"),
        ("MemoryError", StoreError, "not enough memory to write the model"),
    ],
)
def test_an_error_of_a_child_is_raised_here(
    workshop: Workshop, raised: str, kind: type[LcrtError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        list(workshop.run(f"raise {raised}"))
    assert caught.value.message == message
    assert caught.value.hint == ("try another" if "try another" in raised else None)


def test_a_crash_tells_the_last_words(workshop: Workshop) -> None:
    with pytest.raises(EngineError, match="testing failed: its process ended with status 1") as caught:
        list(workshop.run("raise ValueError('the end')"))
    assert "the end" in (caught.value.hint or "")


def test_a_killed_child_is_an_error(workshop: Workshop) -> None:
    said = workshop.run("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    os.kill(int(next(said).note), signal.SIGKILL)
    with pytest.raises(EngineError, match="ended by signal 9"):
        list(said)


def test_a_child_that_is_not_wanted_any_more_is_ended(workshop: Workshop) -> None:
    said = workshop.run("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    pid = int(next(said).note)
    said.close()  # type: ignore[attr-defined]
    assert not _is_alive(pid)


def test_while_a_child_computes_its_numbers_are_repeated(workshop: Workshop) -> None:
    said = workshop.run("say(Said(completed=1, total=2))", "say(Said(note='slow'))", "time.sleep(60)")
    heard = [next(said) for _ in range(4)]
    said.close()  # type: ignore[attr-defined]
    assert heard == [Said(completed=1, total=2), Said(note="slow"), *[Said(completed=1, total=2)] * 2]


def test_a_long_line_and_many_at_once_arrive_whole(workshop: Workshop) -> None:
    said = list(workshop.run("for i in range(300): say(Said(note='ä' * i * 100))"))
    assert [len(one.note) for one in said] == [i * 100 for i in range(300)]


def test_a_child_ends_when_its_parent_is_killed(workshop: Workshop) -> None:
    module = workshop.module("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    code = (
        f"from lcrt.task import child\nfor said in child.run('{module}', {{}}, 'testing'): print(said.note, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert not _is_alive(pid)
