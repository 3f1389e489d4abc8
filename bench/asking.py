"""Whole answers with their counts, from lcrt and from llama-server: how many prompt tokens were really computed."""

import json
import random
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

SYLLABLES = ("ka", "lo", "mi", "ter", "an", "sol", "ve", "ri", "du", "pen", "ga", "ost", "el", "bru", "shi", "nor")

Messages = Sequence[Mapping[str, str]]


class Answer(msgspec.Struct, frozen=True):
    """The text, tokens of the prompt, and how many of these were computed."""

    text: str
    n_prompt: int
    n_computed: int
    held: tuple[bytes, ...] = ()
    """The answer's tokens that the model has read, when asked for: not the one that a limit made the last."""


def words(seed: str, n: int) -> str:
    """``n`` words that no other seed has."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(SYLLABLES, k=2)) for _ in range(n))


def ask(url: str, messages: Messages, n_tokens: int, *, ignore_eos: bool = True, pieces: bool = False) -> Answer:
    """One greedy answer without a stream, with its tokens on demand, which costs llama-server time."""
    body = {"model": "m", "messages": messages, "max_tokens": n_tokens, "temperature": 0, "cache_prompt": True}
    answer = call(f"{url}/v1/chat/completions", {**body, "ignore_eos": ignore_eos, "logprobs": pieces})
    usage = answer["usage"]
    n_prompt = usage["prompt_tokens"]
    n_cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    n_computed = answer["timings"]["prompt_n"] if "timings" in answer else n_prompt - n_cached
    choice = answer["choices"][0]
    held = tuple(bytes(token["bytes"]) for token in (choice.get("logprobs") or {}).get("content") or ())
    last = len(held) - (choice["finish_reason"] == "length")
    return Answer(choice["message"]["content"], n_prompt, n_computed, held[: max(last, 0)])


def call(url: str, body: Mapping[str, object]) -> dict[str, Any]:
    """Send JSON, read JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def tokens_of(rival: str, messages: Messages) -> list[int]:
    """The prompt's tokens, as a llama-server that has the same model renders and cuts it."""
    prompt = call(f"{rival}/apply-template", {"messages": messages})["prompt"]
    body = {"content": prompt, "add_special": True, "parse_special": True}
    found: list[int] = call(f"{rival}/tokenize", body)["tokens"]
    return found


def pieces_of(rival: str, messages: Messages) -> list[bytes]:
    """The same as what each token stands for."""
    return pieces_in(rival, call(f"{rival}/apply-template", {"messages": messages})["prompt"], special=True)


def pieces_in(rival: str, text: str, *, special: bool = False) -> list[bytes]:
    """What the tokens of a text stand for."""
    body = {"content": text, "add_special": special, "parse_special": special, "with_pieces": True}
    pieces = [token["piece"] for token in call(f"{rival}/tokenize", body)["tokens"]]
    return [piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces]


def distinct(prompts: Iterable[Sequence[int]]) -> int:
    """Tokens of all prompts, common beginnings counted once."""
    ordered = sorted(map(tuple, prompts))
    n = 0
    before: tuple[int, ...] = ()
    for tokens in ordered:
        n += len(tokens) - common(before, tokens)
        before = tokens
    return n


def common(a: Sequence[object], b: Sequence[object]) -> int:
    """How long two lists are the same."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n
