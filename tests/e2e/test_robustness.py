"""What must hold when things go wrong: killed processes, clients that leave, full queues."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Daemon, add_smollm2, lcrt, start_daemon, stop_daemon

LONG = {"model": "smollm2", "prompt": "Tell me a long story.", "options": {"num_predict": 2000, "temperature": 1.0}}


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that a test may break."""
    started = start_daemon(tmp_path, LCRT_NUM_PARALLEL="2")
    add_smollm2(started, tmp_path)
    yield started
    stop_daemon(started)


def children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def gone(pid: int) -> bool:
    """True when a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: object, timeout: float = 10.0) -> bool:
    """Poll a callable until it is true or time is up."""
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def lines(response: httpx.Response) -> Iterator[dict[str, object]]:
    """The objects of an NDJSON stream."""
    return (json.loads(line) for line in response.iter_lines())


def test_a_killed_runner_ends_its_request_with_an_error_and_the_next_gets_a_new_one(own_daemon: Daemon) -> None:
    with httpx.stream("POST", own_daemon.url + "/api/generate", json=LONG, timeout=60) as response:
        stream = lines(response)
        next(stream)
        [runner] = children(own_daemon.process.pid)
        os.kill(runner, signal.SIGKILL)
        rest = list(stream)
    assert "error" in rest[-1]
    again = httpx.post(
        own_daemon.url + "/api/generate",
        timeout=60,
        json={"model": "smollm2", "prompt": "Hi", "stream": False, "options": {"num_predict": 3}},
    )
    assert again.status_code == 200
    assert again.json()["eval_count"] == 3


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_right_after_a_runner_was_killed_gets_a_new_one(own_daemon: Daemon, stream: bool) -> None:
    request = {"model": "smollm2", "prompt": "Hi", "stream": stream, "options": {"num_predict": 3}}
    for _ in range(3):
        httpx.post(own_daemon.url + "/api/generate", json={"model": "smollm2"}, timeout=60).raise_for_status()
        [runner] = children(own_daemon.process.pid)
        os.kill(runner, signal.SIGKILL)
        answer = httpx.post(own_daemon.url + "/api/generate", json=request, timeout=60)
        assert (answer.status_code, json.loads(answer.text.splitlines()[-1]).get("eval_count")) == (200, 3)


def test_runners_end_when_the_daemon_is_killed(own_daemon: Daemon) -> None:
    httpx.post(own_daemon.url + "/api/generate", json={"model": "smollm2"}, timeout=60).raise_for_status()
    [runner] = children(own_daemon.process.pid)
    own_daemon.process.kill()
    own_daemon.process.wait()
    assert wait_for(lambda: gone(runner))


def test_a_client_that_leaves_frees_its_slot(own_daemon: Daemon) -> None:
    for _ in range(6):
        with httpx.stream("POST", own_daemon.url + "/api/generate", json=LONG, timeout=60) as response:
            next(lines(response))
    started = time.monotonic()
    answer = httpx.post(
        own_daemon.url + "/api/generate",
        timeout=60,
        json={"model": "smollm2", "prompt": "Hi", "stream": False, "options": {"num_predict": 1}},
    )
    assert answer.json()["done_reason"] == "length"
    assert time.monotonic() - started < 10


def test_sigterm_lets_a_running_answer_end(own_daemon: Daemon) -> None:
    request = {**LONG, "options": {"num_predict": 60, "temperature": 1.0}}
    done: list[dict[str, object]] = []
    started = threading.Event()

    def ask() -> None:
        with httpx.stream("POST", own_daemon.url + "/api/generate", json=request, timeout=60) as response:
            for line in lines(response):
                done.append(line)
                started.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(30)
    own_daemon.process.send_signal(signal.SIGTERM)
    thread.join(60)
    assert done[-1].get("done") is True
    assert own_daemon.process.wait(20) == 0


def test_stop_unloads_the_model(own_daemon: Daemon) -> None:
    httpx.post(own_daemon.url + "/api/generate", json={"model": "smollm2"}, timeout=60).raise_for_status()
    [runner] = children(own_daemon.process.pid)
    assert lcrt(own_daemon.env, "stop", "smollm2").returncode == 0
    assert wait_for(lambda: gone(runner))
    assert httpx.get(own_daemon.url + "/api/ps").json() == {"models": []}


def test_a_file_that_is_no_model_is_refused_and_the_daemon_lives(own_daemon: Daemon, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(64))
    modelfile = tmp_path / "bad.Modelfile"
    modelfile.write_text(f"FROM {bad}\n")
    made = lcrt(own_daemon.env, "create", "bad", "-f", str(modelfile))
    assert made.returncode == 1
    assert made.stderr.strip()
    assert httpx.get(own_daemon.url + "/api/tags").status_code == 200
