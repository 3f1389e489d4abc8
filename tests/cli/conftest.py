"""Runs commands against a fake daemon."""

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from lcrt.cli.app import main
from tests.client.fake import FakeDaemon


class Result(tuple[int, str, str]):
    """Exit code, stdout and stderr of a command."""

    __slots__ = ()

    @property
    def code(self) -> int:
        return self[0]

    @property
    def out(self) -> str:
        return self[1]

    @property
    def err(self) -> str:
        return self[2]


Lcrt = Callable[..., Result]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        monkeypatch.setenv("LCRT_HOST", daemon.host)
        yield daemon


@pytest.fixture
def lcrt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lcrt:
    """Run a command in this process; ``stdin`` is what is piped in."""

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result((code, captured.out, captured.err))

    return run
