"""What ``--verbose`` says after an answer."""

from lcrt.client.wire import Chunk
from lcrt.units import format_duration

_NS = 1e9
_LABEL_WIDTH = 22


def summary(last: Chunk) -> str:
    """Lay out counts, durations and rates of the last piece of an answer; what is zero is left out."""
    rows = (
        ("total duration", _duration(last.total_duration)),
        ("load duration", _duration(last.load_duration)),
        ("prompt eval count", _tokens(last.prompt_eval_count)),
        ("prompt eval duration", _duration(last.prompt_eval_duration)),
        ("prompt eval rate", _rate(last.prompt_eval_count, last.prompt_eval_duration)),
        ("eval count", _tokens(last.eval_count)),
        ("eval duration", _duration(last.eval_duration)),
        ("eval rate", _rate(last.eval_count, last.eval_duration)),
    )
    return "".join(f"{label + ':':{_LABEL_WIDTH}}{value}\n" for label, value in rows if value)


def _duration(nanoseconds: int) -> str:
    return format_duration(nanoseconds / _NS) if nanoseconds > 0 else ""


def _tokens(count: int) -> str:
    return f"{count} token(s)" if count > 0 else ""


def _rate(count: int, nanoseconds: int) -> str:
    return f"{count / (nanoseconds / _NS):.2f} tokens/s" if count > 0 and nanoseconds > 0 else ""
