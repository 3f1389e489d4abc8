"""Children: what they say arrives, their errors are raised, and none outlives the wish for its result."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.errors import EngineError, InvalidRequest, LcrtError, ModelFormatError, OutOfMemory, StoreError
from lcrt.task import child
from lcrt.task.child import Said
from tests.children import children

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


def told(said: Iterator[Said]) -> Iterator[Said]:
    """Leave out what is repeated of a child that has said nothing yet, however long it takes to start."""
    return (one for one in said if one != Said())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_gets_its_task_and_is_heard(workshop: Workshop) -> None:
    said = list(told(workshop.run("say(Said(completed=task['n'], total=9))", "say(Said(note='so'))", task={"n": 4})))
    assert said[0] == Said(completed=4, total=9)
    assert said[-1] == Said(note="so")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        ("InvalidRequest('no such thing', 'try another')", InvalidRequest, "no such thing"),
        ("InvalidGrammar('odd')", InvalidRequest, "odd"),
        ("StoreError('no room')", StoreError, "no room"),
        ("ModelFormatError('no model')", ModelFormatError, "no model"),
        ("LoadError('no way')", EngineError, "no way"),
        ("Conflict('later')", LcrtError, "later"),
    ],
)
def test_an_error_of_a_child_is_raised_here(
    workshop: Workshop, raised: str, kind: type[LcrtError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        list(workshop.run(f"raise {raised}"))
    assert caught.value.message == message
    assert caught.value.hint == ("try another" if "try another" in raised else None)
    assert type(caught.value) is kind


def test_an_error_of_the_system_in_a_child_is_one_here(workshop: Workshop) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        list(workshop.run("open('/nowhere/at/all')"))
    assert caught.value.strerror == "No such file or directory"


def test_one_without_a_number_is_one_of_reading_or_writing(workshop: Workshop) -> None:
    with pytest.raises(OSError, match="odd") as caught:
        list(workshop.run("raise OSError('odd')"))
    assert caught.value.errno == errno.EIO


def test_a_child_without_memory_says_what_to_do(workshop: Workshop) -> None:
    with pytest.raises(OutOfMemory, match="testing failed: there is not enough memory") as caught:
        list(workshop.run("raise MemoryError"))
    assert "lcrt stop" in (caught.value.hint or "")


def test_a_crash_tells_the_last_words(workshop: Workshop) -> None:
    with pytest.raises(EngineError, match="testing failed: its process ended with status 1") as caught:
        list(workshop.run("raise ValueError('the end')"))
    assert "the end" in (caught.value.hint or "")


def test_a_killed_child_is_an_error(workshop: Workshop) -> None:
    said = workshop.run("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    os.kill(int(next(told(said)).note), signal.SIGKILL)
    with pytest.raises(EngineError, match="ended by signal 9"):
        list(said)


def test_a_child_that_is_not_wanted_any_more_is_ended(workshop: Workshop) -> None:
    said = workshop.run("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    pid = int(next(told(said)).note)
    said.close()  # type: ignore[attr-defined]
    assert not _is_alive(pid)


def test_a_child_that_has_said_nothing_yet_can_be_given_up(workshop: Workshop) -> None:
    others = children()
    said = workshop.run("time.sleep(60)")
    assert next(said) == Said()
    (pid,) = children() - others
    said.close()  # type: ignore[attr-defined]
    assert not _is_alive(pid)


def test_while_a_child_computes_its_numbers_are_repeated(workshop: Workshop) -> None:
    said = workshop.run("say(Said(completed=1, total=2))", "say(Said(note='slow'))", "time.sleep(60)")
    heard = list(itertools.islice(told(said), 4))
    said.close()  # type: ignore[attr-defined]
    assert heard == [Said(completed=1, total=2), Said(note="slow"), *[Said(completed=1, total=2)] * 2]


def test_a_long_line_and_many_at_once_arrive_whole(workshop: Workshop) -> None:
    said = list(told(workshop.run("for i in range(300): say(Said(note='ä' * i * 100 + '.'))")))
    assert [len(one.note) for one in said] == [i * 100 + 1 for i in range(300)]


def test_a_child_ends_when_its_parent_is_killed(workshop: Workshop) -> None:
    module = workshop.module("say(Said(note=str(os.getpid())))", "time.sleep(60)")
    code = (
        f"from lcrt.task import child\nfor said in child.run('{module}', {{}}, 'testing'):\n"
        " if said.note: print(said.note, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert not _is_alive(pid)
