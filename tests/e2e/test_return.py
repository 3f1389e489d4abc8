"""A conversation goes on where it was: after unloading, a runner's end, and a restart of the daemon."""

import os
import signal
from pathlib import Path

import httpx

from tests.e2e.conftest import Daemon, add_smollm2, lcrt, start_daemon, stop_daemon
from tests.e2e.test_robustness import children, wait_for
from tests.native import tiny

STORY = " ".join(f"The {animal} went to town {number}." for number in range(8) for animal in ("fox", "hen", "cow"))


class Talk:
    """A chat that says one thing more each time."""

    def __init__(self) -> None:
        self.messages = [{"role": "user", "content": f"Remember this: {STORY}"}]

    def say(self, daemon: Daemon, text: str = "") -> tuple[str, dict[str, int]]:
        """The answer, and the prompt tokens that were found so far, by tier, in the runner that answered."""
        if text:
            self.messages.append({"role": "user", "content": text})
        body = {"model": "smollm2", "messages": self.messages, "stream": False, "options": {"num_predict": 12}}
        answer = httpx.post(daemon.url + "/api/chat", json=body, timeout=300)
        assert answer.status_code == 200, answer.text
        content: str = answer.json()["message"]["content"]
        self.messages.append({"role": "assistant", "content": content})
        (process,) = httpx.get(daemon.url + "/api/ps").json()["models"]
        return content, process["cached_tokens"]


def start(folder: Path, **variables: str) -> Daemon:
    return start_daemon(folder, LCRT_CACHE_DIR=str(folder / "cache"), LCRT_NUM_PARALLEL="2", **variables)


def states(folder: Path) -> list[Path]:
    return list((folder / "cache").rglob("*.state"))


def unload(daemon: Daemon) -> None:
    httpx.post(daemon.url + "/api/generate", json={"model": "smollm2", "keep_alive": 0}, timeout=300)
    assert wait_for(lambda: not httpx.get(daemon.url + "/api/ps").json()["models"])


def test_a_conversation_goes_on_where_it_was(tmp_path: Path) -> None:
    questions = ("", "Which animals?", "Which towns?", "Who was first?")
    plain, talk = start(tmp_path, LCRT_CACHE_DISK="off", LCRT_CACHE_RAM="off"), Talk()
    add_smollm2(plain, tmp_path)
    want = [talk.say(plain, question)[0] for question in questions]
    assert stop_daemon(plain) == 0
    assert states(tmp_path) == []

    first, talk = start(tmp_path), Talk()
    answers = [talk.say(first, questions[0])]
    assert states(tmp_path) == []
    unload(first)
    assert len(states(tmp_path)) == 1
    answers.append(talk.say(first, questions[1]))
    (runner,) = children(first.process.pid)
    os.kill(runner, signal.SIGTERM)
    assert wait_for(lambda: runner not in children(first.process.pid))
    answers.append(talk.say(first, questions[2]))
    assert stop_daemon(first) == 0
    assert first.log.read_text().count("states stored: 1") == 3
    assert len(states(tmp_path)) == 1

    second = start(tmp_path)
    answers.append(talk.say(second, questions[3]))
    assert [text for text, _ in answers] == want
    assert all(found["disk"] > 100 for _, found in answers[1:])
    unload(second)
    assert lcrt(second.env, "rm", "smollm2").returncode == 0
    assert states(tmp_path) == []
    assert stop_daemon(second) == 0


def test_a_conversation_outlives_another_model_in_its_place_and_a_runner_that_is_killed(tmp_path: Path) -> None:
    questions = ("", "Which animals?", "Which towns?")
    plain, talk = start(tmp_path, LCRT_CACHE_DISK="off", LCRT_CACHE_RAM="off"), Talk()
    add_smollm2(plain, tmp_path)
    made = lcrt(plain.env, "create", "other", "--from", str(tiny.llama(tmp_path / "other.gguf")))
    assert made.returncode == 0, made.stderr
    want = [talk.say(plain, question)[0] for question in questions]
    assert stop_daemon(plain) == 0

    daemon, talk = start(tmp_path, LCRT_MAX_LOADED_MODELS="1"), Talk()
    answers = [talk.say(daemon, questions[0])]
    swap = {"model": "other", "prompt": "a", "raw": True, "stream": False, "options": {"num_predict": 1}}
    assert httpx.post(daemon.url + "/api/generate", json=swap, timeout=300).status_code == 200
    assert len(states(tmp_path)) == 1
    answers.append(talk.say(daemon, questions[1]))
    (runner,) = children(daemon.process.pid)
    os.kill(runner, signal.SIGKILL)
    assert wait_for(lambda: runner not in children(daemon.process.pid))
    answers.append(talk.say(daemon, questions[2]))
    assert [text for text, _ in answers] == want
    assert all(found["disk"] > 100 for _, found in answers[1:])
    assert stop_daemon(daemon) == 0


def test_damaged_files_are_removed_and_nobody_notices(tmp_path: Path) -> None:
    daemon, talk = start(tmp_path), Talk()
    add_smollm2(daemon, tmp_path)
    want = talk.say(daemon)[0]
    unload(daemon)
    (path,) = states(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (path.parent / "foreign.state").write_bytes(b"no state at all")
    again = Talk()
    answer, found = again.say(daemon)
    assert answer == want
    assert found == {"device": 0, "host": 0, "disk": 0}
    assert states(tmp_path) == []
    assert stop_daemon(daemon) == 0
    assert len(states(tmp_path)) == 1
