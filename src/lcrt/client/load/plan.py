"""What is to be sent: distinct prompts of a given length, the same ones for the same seed."""

import random
from typing import Literal

import msgspec

from lcrt.config.address import Address

Api = Literal["ollama", "openai"]

# fmt: off
_WORDS = (
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state",
    "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company",
    "system", "program", "question", "work", "number", "night", "point", "home", "water", "room", "mother",
    "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye", "job", "word", "business",
    "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game", "line",
    "end", "member", "law", "car", "city",
)
# fmt: on
_PATHS = {
    ("ollama", False): "/api/chat",
    ("ollama", True): "/api/generate",
    ("openai", False): "/v1/chat/completions",
    ("openai", True): "/v1/completions",
}


class Plan(msgspec.Struct, frozen=True):
    """A load. ``n_prompt`` is in words of about one token; ``raw`` sends prompts without a chat template.

    ``extra`` is merged into each request's JSON, one level deep. ``timeout`` in seconds, per request.
    """

    address: Address
    model: str
    api: Api = "ollama"
    concurrency: int = 1
    n_requests: int = 1
    n_prompt: int = 32
    max_tokens: int = 128
    seed: int = 0
    raw: bool = False
    extra: dict[str, object] = {}
    timeout: float = 600.0


def prompt(plan: Plan, index: int) -> str:
    """Return the prompt of request ``index``; no two of a plan begin with the same two words."""
    n_words = len(_WORDS)
    place = random.Random(plan.seed).randrange(n_words**2) + index  # noqa: S311 -- text, not a secret
    numbers = random.Random(f"{plan.seed}/{index}")  # noqa: S311
    first = [_WORDS[place % n_words], _WORDS[place // n_words % n_words]]
    return " ".join([*first, *numbers.choices(_WORDS, k=max(plan.n_prompt - 2, 0))])


def request(plan: Plan, index: int) -> bytes:
    """Return the bytes of request ``index``: head and body."""
    body = msgspec.json.encode(_merge(_body(plan, prompt(plan, index)), plan.extra))
    path = plan.address.path + _PATHS[plan.api, plan.raw]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {plan.address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer none\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _body(plan: Plan, text: str) -> dict[str, object]:
    content: dict[str, object] = {"prompt": text} if plan.raw else {"messages": [{"role": "user", "content": text}]}
    common = {"model": plan.model, "stream": True, **content}
    if plan.api == "openai":
        return {**common, "max_tokens": plan.max_tokens, "stream_options": {"include_usage": True}}
    options = {"num_predict": plan.max_tokens}
    return {**common, "options": options, "raw": True} if plan.raw else {**common, "options": options}


def _merge(body: dict[str, object], extra: dict[str, object]) -> dict[str, object]:
    merged = dict(body)
    for name, value in extra.items():
        old = merged.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
