"""Pieces of the objects that generate and chat send."""

import msgspec

from lcrt.server.clock import nanoseconds
from lcrt.server.inference import Answer


class Metrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of tokens and durations in nanoseconds; zeros are not sent."""

    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


def metrics(answer: Answer) -> Metrics:
    """Spell the usage; what was done took at least a nanosecond."""
    usage = answer.finish.usage
    return Metrics(
        total_duration=max(nanoseconds(answer.total), 1),
        load_duration=max(nanoseconds(answer.load), 1),
        prompt_eval_count=usage.n_prompt,
        prompt_eval_duration=max(nanoseconds(usage.prefill), 1) if usage.n_prompt else 0,
        eval_count=usage.n_sampled,
        eval_duration=max(nanoseconds(usage.decode), 1) if usage.n_sampled else 0,
    )


def done_reason(answer: Answer) -> str:
    """Say why it ended; calling a tool is an ordinary end here."""
    return "stop" if answer.finish.reason == "tool_calls" else answer.finish.reason


def join(*parts: msgspec.Struct) -> bytes:
    """Encode Structs as one object; empty ones vanish."""
    encoded = (msgspec.json.encode(part) for part in parts)
    return b"{" + b",".join(part[1:-1] for part in encoded if part != b"{}") + b"}"
