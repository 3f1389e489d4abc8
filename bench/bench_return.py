"""The next turn of a 4000-token conversation after another model took the place, and after a restart.

On attention, a sliding window and a hybrid; against llama-server, alone and with its slot saved to a file and
restored by hand. Time to first token, without loading the weights; tokens computed of the prompt.
"""

import json
import random
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import msgspec

from bench.hybrid import hybrid
from bench.peers import MODELS, ROOT, SMOL, free_port, lcrt_create, llama_server, one_layer, running
from bench.rounds import arguments

GEMMA = MODELS / "gemma-3-270m-q4_k_m.gguf"
KINDS: dict[str, Callable[[], Path]] = {"attention": lambda: SMOL, "window": lambda: GEMMA, "hybrid": hybrid}
CHATML = ("<|im_start|>{}\n{}<|im_end|>\n", "<|im_start|>assistant\n", "<|im_end|>\n")
GEMMA_TURNS = ("<start_of_turn>{}\n{}<end_of_turn>\n", "<start_of_turn>model\n", "<end_of_turn>\n")
N_WORDS, N_WORDS_LATER = 1960, 6
N_ANSWER = 32
SYLLABLES = ("ka", "lo", "mi", "ter", "an", "sol", "ve", "ri", "du", "pen", "ga", "ost")


class Turn(msgspec.Struct, frozen=True):
    """One answer: seconds to its first token, tokens of the prompt, and how many of these were computed."""

    ttft: float
    n_prompt: int
    n_computed: int


Ask = Callable[[str], tuple[Turn, str]]


class Conversation:
    """What was said so far, as text with its marks; ``say`` says one thing more."""

    def __init__(self, model: Path, seed: int) -> None:
        self._message, self._opening, self._closing = GEMMA_TURNS if model == GEMMA else CHATML
        self._random = random.Random(seed)
        self._text = self._message.format("system", "You tell stories.")
        self._n_words = N_WORDS

    def say(self, ask: Ask) -> Turn:
        """Say something new, long the first time, and take the answer in."""
        words = ("".join(self._random.choices(SYLLABLES, k=2)) for _ in range(self._n_words))
        self._n_words = N_WORDS_LATER
        self._text += self._message.format("user", " ".join(words)) + self._opening
        turn, text = ask(self._text)
        self._text += text + self._closing
        return turn


def ask_lcrt(url: str, prompt: str) -> tuple[Turn, str]:
    """Stream one greedy answer of a fixed length to a prompt without a template."""
    options = {"num_predict": N_ANSWER, "temperature": 0, "ignore_eos": True}
    before = n_found(url)
    first, lines = stream(f"{url}/api/generate", {"model": "m", "prompt": prompt, "raw": True, "options": options})
    n_prompt = lines[-1]["prompt_eval_count"]
    return Turn(first, n_prompt, n_prompt - n_found(url) + before), "".join(line["response"] for line in lines)


def n_found(url: str) -> int:
    """Prompt tokens that the loaded model has found in any tier so far."""
    with urllib.request.urlopen(f"{url}/api/ps") as answer:
        (model,) = json.load(answer)["models"]
    return sum(model["cached_tokens"].values())


def ask_rival(url: str, prompt: str) -> tuple[Turn, str]:
    """Do the same with llama-server."""
    body = {"prompt": prompt, "n_predict": N_ANSWER, "temperature": 0, "ignore_eos": True, "cache_prompt": True}
    first, lines = stream(f"{url}/completion", body)
    timings = lines[-1]["timings"]
    turn = Turn(first, timings["prompt_n"] + timings["cache_n"], timings["prompt_n"])
    return turn, "".join(line["content"] for line in lines)


def stream(url: str, body: Mapping[str, object]) -> tuple[float, list[dict[str, Any]]]:
    """Send JSON, and read lines of it until the end; also the seconds to the first."""
    first = 0.0
    lines: list[dict[str, Any]] = []
    started = time.monotonic()
    with post(url, {**body, "stream": True}) as answer:
        for line in answer:
            text = line.strip().removeprefix(b"data: ")
            if text.startswith(b"{"):
                first = first or time.monotonic() - started
                lines.append(json.loads(text))
    return first, lines


@contextmanager
def post(url: str, body: Mapping[str, object]) -> Iterator[HTTPResponse]:
    """Send JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        yield answer


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """``lcrt serve`` with its store and cache in ``folder``, one model at a time."""
    port = free_port()
    env = {
        "LCRT_HOST": f"127.0.0.1:{port}",
        "LCRT_MODELS": str(folder / "models"),
        "LCRT_CACHE_DIR": str(folder / "cache"),
        "LCRT_MAX_LOADED_MODELS": "1",
        "LCRT_CONTEXT_LENGTH": "8192",
    }
    url = f"http://127.0.0.1:{port}"
    with running([str(ROOT / ".venv" / "bin" / "lcrt"), "serve"], f"{url}/api/version", env):
        yield url


def load(url: str, model: str) -> None:
    """Have a model loaded, whichever has to go for it."""
    with post(f"{url}/api/generate", {"model": model}) as answer:
        answer.read()


def measure_lcrt(model: Path, seed: int, threads: int) -> dict[str, Turn]:
    """Through another model and a restart of the daemon."""
    turns: dict[str, Turn] = {}
    talk = Conversation(model, seed)
    with tempfile.TemporaryDirectory(prefix="lcrt-return-") as name:
        folder = Path(name)
        with daemon(folder) as url:
            lcrt_create(url, folder, "m", model, threads)
            lcrt_create(url, folder, "other", one_layer(SMOL), threads)
            load(url, "m")
            turns["full prefill"] = talk.say(partial(ask_lcrt, url))
            turns["next turn"] = talk.say(partial(ask_lcrt, url))
            load(url, "other")
            load(url, "m")
            turns["after another model"] = talk.say(partial(ask_lcrt, url))
        with daemon(folder) as url:
            load(url, "m")
            turns["after a restart"] = talk.say(partial(ask_lcrt, url))
    return turns


def measure_rival(model: Path, seed: int, threads: int, *, save: bool) -> dict[str, Turn]:
    """llama-server, which has one model; with ``save`` a client writes the slot and restores it after the restart."""
    turns: dict[str, Turn] = {}
    talk = Conversation(model, seed)
    with tempfile.TemporaryDirectory(prefix="lcrt-return-") as folder:
        flags = ["-t", str(threads), "-np", "1", "-c", "8192", "--slot-save-path", folder]
        with llama_server(model, *flags) as (url, _):
            turns["full prefill"] = talk.say(partial(ask_rival, url))
            turns["next turn"] = talk.say(partial(ask_rival, url))
            if save:
                slot(url, "save")
        with llama_server(model, *flags) as (url, _):
            started = time.monotonic()
            if save:
                slot(url, "restore")
            restored = time.monotonic() - started if save else 0.0
            turn = talk.say(partial(ask_rival, url))
            turns["after a restart"] = Turn(turn.ttft + restored, turn.n_prompt, turn.n_computed)
    return turns


def slot(url: str, action: str) -> None:
    """Save the conversation's slot to a file, or restore it."""
    with post(f"{url}/slots/0?action={action}", {"filename": "slot.bin"}) as answer:
        answer.read()


def show(title: str, turns: dict[str, Turn]) -> None:
    """One line a turn."""
    full = turns["full prefill"].ttft
    for name, turn in turns.items():
        part = f"{turn.ttft / full * 100:6.1f} % of a full prefill" if name != "full prefill" else ""
        print(f"{title:28}{name:22}{turn.ttft * 1e3:9.1f} ms{turn.n_computed:7} of {turn.n_prompt:5} tokens  {part}")


def main() -> None:
    """Measure every kind of memory that is asked for."""
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    options = parser.parse_args()
    for kind in options.kinds:
        model = KINDS[kind]()
        for seed in range(options.rounds):
            show(f"{kind}: lcrt", measure_lcrt(model, seed, options.threads))
            show(f"{kind}: llama-server", measure_rival(model, seed, options.threads, save=False))
            show(f"{kind}: with saved slot", measure_rival(model, seed, options.threads, save=True))


if __name__ == "__main__":
    main()
