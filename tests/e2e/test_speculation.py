"""Guessed tokens as a client meets them: told in usage and by ``/api/ps``, and the answer is the same without."""

from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.e2e.conftest import SMOL, Daemon, add_smollm2, lcrt, start_daemon, stop_daemon
from tests.e2e.test_return import start, states
from tests.native.layers import first_layers
from tests.native.test_drafts import REAL_TIE

TEXT = (
    "The harbour lies at the mouth of a slow brown river. Every morning at six the boats come back, and the market "
    "behind the old customs house fills with noise. In winter the council closes the eastern pier."
)
N_TRIES = 12
COPY = f"{TEXT}\n\n{TEXT}\n\nThe harbour lies at the mouth"


def complete(daemon: Daemon) -> dict[str, Any]:
    body = {"model": "smollm2", "prompt": COPY, "max_tokens": 48, "temperature": 0}
    reply = httpx.post(daemon.url + "/v1/completions", json=body, timeout=300)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def drafted(daemon: Daemon) -> dict[str, int]:
    models = httpx.get(daemon.url + "/api/ps", timeout=10).json()["models"]
    counts: dict[str, int] = next(model["drafted_tokens"] for model in models if model["name"] == "smollm2:latest")
    return counts


def test_a_text_that_is_copied_is_guessed_unless_that_is_off(daemon: Daemon, tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []
    n_accepted = n_rejected = 0
    while n_accepted == 0 and len(answers) < N_TRIES:  # a busy machine makes guesses look dear for a while
        answers.append(complete(daemon))
        details = answers[-1]["usage"].get("completion_tokens_details", {})
        n_accepted += details.get("accepted_prediction_tokens", 0)
        n_rejected += details.get("rejected_prediction_tokens", 0)
    assert n_accepted > 0
    counts = drafted(daemon)
    assert counts["accepted"] >= n_accepted
    assert counts["drafted"] >= n_accepted + n_rejected
    plain = start_daemon(tmp_path, LCRT_SPECULATION="off")
    try:
        add_smollm2(plain, tmp_path)
        answer = complete(plain)
        assert drafted(plain) == {"drafted": 0, "accepted": 0}
    finally:
        stop_daemon(plain)
    assert "completion_tokens_details" not in answer["usage"]
    assert all(found["choices"][0]["text"][:40] in TEXT for found in (*answers, answer))


class Written(NamedTuple):
    """An answer's tokens, how much likelier each was than the next one, and how long the prompt was."""

    text: str
    tokens: list[str]
    leads: list[float]
    n_prompt: int


def write(daemon: Daemon, prompt: str) -> Written:
    body = {"model": "smollm2", "prompt": prompt, "raw": True, "stream": False, "logprobs": True, "top_logprobs": 2}
    reply = httpx.post(daemon.url + "/api/generate", json=body | {"options": {"num_predict": 48}}, timeout=300)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    entries = answer["logprobs"]
    leads = [entry["top_logprobs"][0]["logprob"] - entry["top_logprobs"][1]["logprob"] for entry in entries]
    return Written(answer["response"], [entry["token"] for entry in entries], leads, answer["prompt_eval_count"])


def write_guessed(daemon: Daemon, prompt: str, want: Written) -> None:
    """Ask until some guess was right. A token computed along with others may be another one where two are as likely."""
    for _ in range(N_TRIES):
        before = drafted(daemon)["accepted"] if loaded(daemon) else 0
        got = write(daemon, prompt)
        assert len(got.tokens) == len(want.tokens)
        same = [mine == other for mine, other in zip(got.tokens, want.tokens, strict=True)]
        assert all(same) or want.leads[same.index(False)] < REAL_TIE
        if drafted(daemon)["accepted"] > before:
            return
    raise AssertionError("nothing was guessed")


def loaded(daemon: Daemon) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = httpx.get(daemon.url + "/api/ps", timeout=10).json()["models"]
    return models


def test_what_was_guessed_is_stored_and_found_again_by_the_next_daemon(tmp_path: Path) -> None:
    plain = start(tmp_path, LCRT_CACHE_DISK="off", LCRT_CACHE_RAM="off", LCRT_SPECULATION="off")
    add_smollm2(plain, tmp_path)
    first = write(plain, COPY)
    longer = f"{COPY}{first.text} The harbour lies at the mouth"
    second = write(plain, longer)
    assert drafted(plain) == {"drafted": 0, "accepted": 0}
    assert stop_daemon(plain) == 0
    assert states(tmp_path) == []

    guessing = start(tmp_path, LCRT_SPECULATION="auto")
    write_guessed(guessing, COPY, first)
    assert stop_daemon(guessing) == 0
    assert len(states(tmp_path)) == 1

    again = start(tmp_path, LCRT_SPECULATION="auto")
    write_guessed(again, longer, second)
    (process,) = loaded(again)
    assert process["cached_tokens"]["disk"] > first.n_prompt + len(first.tokens) - 5
    assert stop_daemon(again) == 0


def test_a_draft_model_is_created_loaded_and_asked(daemon: Daemon, tmp_path: Path) -> None:
    first_layers(SMOL, tmp_path / "draft.gguf", 8)
    (tmp_path / "Modelfile").write_text(f"FROM {SMOL}\nDRAFT {tmp_path / 'draft.gguf'}\nPARAMETER temperature 0\n")
    made = lcrt(daemon.env, "create", "drafted", "-f", str(tmp_path / "Modelfile"))
    assert made.returncode == 0, made.stderr
    body = {"prompt": "A story about a fox:", "raw": True, "stream": False, "options": {"num_predict": 24}}
    texts = []
    for model in ("smollm2", "drafted"):
        reply = httpx.post(daemon.url + "/api/generate", json=body | {"model": model}, timeout=300)
        assert reply.status_code == 200, reply.text
        texts.append(reply.json()["response"])
    assert texts[0][:20] == texts[1][:20]
    models = httpx.get(daemon.url + "/api/ps", timeout=10).json()["models"]
    sizes = {model["name"].split(":")[0]: model["size"] for model in models}
    assert sizes["drafted"] > sizes.get("smollm2", 0)
    assert next(model for model in models if model["name"] == "drafted:latest")["drafted_tokens"]["drafted"] > 0
    shown = httpx.post(daemon.url + "/api/show", json={"model": "drafted"}, timeout=10).json()
    assert "\nDRAFT " in shown["modelfile"]
