"""What a load showed: rates, and how times are spread. Times in seconds."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from lcrt.client.load.connection import Record


class Spread(msgspec.Struct, frozen=True):
    """How values are spread; all zero when there are none."""

    n: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """One load. Tokens are the server's own counts, events where it does not tell.

    ``ttft``: request sent to first text; ``itl``: text to next text; ``latency``: whole requests;
    ``decode``: tokens per second of each stream after its first. ``client_cpu`` is this process's
    time per event that showed text.
    """

    n_requests: int
    n_failed: int
    n_prompt: int
    n_tokens: int
    n_events: int
    seconds: float
    tokens_per_second: float
    requests_per_second: float
    ttft: Spread
    itl: Spread
    latency: Spread
    decode: Spread
    client_cpu: float
    errors: dict[str, int]


def spread(values: Sequence[float]) -> Spread:
    """Summarise values; a percentile is the smallest value that so many do not exceed."""
    if not values:
        return Spread()
    ordered = sorted(values)
    n = len(ordered)
    p50, p90, p99 = (ordered[-(-n * percent // 100) - 1] for percent in (50, 90, 99))
    return Spread(n, sum(ordered) / n, p50, p90, p99, ordered[-1])


def report(records: Sequence[Record], seconds: float, cpu: float) -> Report:
    """Summarise the answers to a plan that took ``seconds``, ``cpu`` of them busy here."""
    good = [record for record in records if not record.error]
    shown = [record for record in good if record.n_events]
    n_events = sum(record.n_events for record in records)
    n_tokens = sum(record.n_tokens or record.n_events for record in good)
    return Report(
        n_requests=len(records),
        n_failed=len(records) - len(good),
        n_prompt=sum(record.n_prompt for record in good),
        n_tokens=n_tokens,
        n_events=n_events,
        seconds=seconds,
        tokens_per_second=n_tokens / seconds if seconds else 0.0,
        requests_per_second=len(good) / seconds if seconds else 0.0,
        ttft=spread([record.first - record.started for record in shown]),
        itl=spread([gap for record in good for gap in record.gaps]),
        latency=spread([record.ended - record.started for record in good]),
        decode=spread([rate for record in shown if (rate := _decode_rate(record))]),
        client_cpu=cpu / n_events if n_events else 0.0,
        errors=dict(Counter(record.error for record in records if record.error).most_common()),
    )


def _decode_rate(record: Record) -> float:
    n = (record.n_tokens or record.n_events) - 1
    return n / (record.last - record.first) if n > 0 and record.last > record.first else 0.0


def as_text(what: Report) -> str:
    """Lay out a report for a person; times in milliseconds."""
    head = (
        f"requests            {what.n_requests} ({what.n_failed} failed) in {what.seconds:.2f} s\n"
        f"prompt tokens       {what.n_prompt}\n"
        f"generated tokens    {what.n_tokens} ({what.tokens_per_second:.1f} tokens/s in all)\n"
        f"client              {what.client_cpu * 1e6:.1f} us of CPU per event\n\n"
        f"{'':20}{'mean':>10}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}\n"
    )
    rows = (
        _row("first token, ms", what.ttft, 1e3),
        _row("between tokens, ms", what.itl, 1e3),
        _row("whole request, ms", what.latency, 1e3),
        _row("stream, tokens/s", what.decode, 1.0),
    )
    failures = "".join(f"\n{count} x {error}" for error, count in what.errors.items())
    return head + "".join(rows) + (f"{failures}\n" if failures else "")


def _row(title: str, values: Spread, factor: float) -> str:
    figures = (values.mean, values.p50, values.p90, values.p99, values.max)
    return f"{title:20}" + "".join(f"{value * factor:>10.2f}" for value in figures) + "\n"
