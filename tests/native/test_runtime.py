import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.errors import BusyError, ModelFormatError
from lcrt.native.context import Context
from lcrt.native.model import Model
from lcrt.native.runtime import devices, init, set_log
from lcrt.native.values import ContextParams


@pytest.fixture(autouse=True)
def silence_afterwards() -> Iterator[None]:
    yield
    set_log(None)


def test_the_cpu_is_a_device_with_memory() -> None:
    cpu = next(device for device in devices() if device.name == "CPU")
    assert 0 < cpu.memory_free <= cpu.memory_total
    assert cpu.description
    assert not cpu.gpu


def test_starting_twice_is_fine() -> None:
    init()
    init()


def test_messages_arrive_from_their_level_on(tiny_path: Path) -> None:
    quiet: list[tuple[int, str]] = []
    loud: list[tuple[int, str]] = []
    set_log(lambda level, text: quiet.append((level, text)), 30)
    Model(tiny_path).close()
    set_log(lambda level, text: loud.append((level, text)), 20)
    Model(tiny_path).close()
    set_log(None)
    assert {level for level, _ in loud} >= {20}
    assert all(level >= 30 for level, _ in quiet)
    assert any("llama" in text for _, text in loud)
    assert not any(text.endswith("\n") for _, text in loud)


def test_failures_are_logged_too(tmp_path: Path) -> None:
    seen: list[str] = []
    set_log(lambda _, text: seen.append(text), 40)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelFormatError):
        Model(tmp_path / "bad.gguf")
    set_log(None)
    assert seen


def test_a_sink_that_raises_disturbs_nothing(tiny_path: Path) -> None:
    def fail(_level: int, _text: str) -> None:
        raise ZeroDivisionError

    set_log(fail, 10)
    Model(tiny_path).close()


class HangingSink:
    """Begins to write the first message and waits; what it gets then is in ``seen``."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def write(self, _level: int, text: str) -> None:
        self.begun.set()
        self.may_end.wait(10)
        self.seen.append(text)

    def end(self) -> None:
        self.may_end.set()
        set_log(None)


@pytest.fixture
def hanging(tiny_path: Path) -> HangingSink:
    sink = HangingSink()
    set_log(sink.write, 10)
    Model(tiny_path).close()
    assert sink.begun.wait(10)
    return sink


def test_who_computes_does_not_wait_for_who_writes(tiny_path: Path, hanging: HangingSink) -> None:
    Model(tiny_path).close()
    assert hanging.seen == []
    hanging.end()
    assert len(hanging.seen) > 1


def test_what_finds_no_room_is_counted(tiny_path: Path, hanging: HangingSink) -> None:
    for _ in range(250):
        Model(tiny_path).close()
    hanging.end()
    assert sum(map(len, hanging.seen)) < 2**20 + 1000
    assert re.fullmatch(r"\d+ messages were lost", hanging.seen[-1])


def test_none_silences(tiny_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    set_log(lambda _, text: seen.append(text), 10)
    set_log(None)
    Model(tiny_path).close()
    assert seen == []
    assert capfd.readouterr() == ("", "")


def test_a_full_context_is_an_answer_and_not_in_the_log(model: Model) -> None:
    seen: list[str] = []
    context = Context(model, ContextParams(n_ctx=256, n_parallel=2, kv_cells_max=256, n_threads=1))
    set_log(lambda _, text: seen.append(text), 30)
    context.decode([260] * 200, seq=0)
    with pytest.raises(BusyError):
        context.decode([260] * 100, seq=1)
    set_log(None)
    assert seen == []
