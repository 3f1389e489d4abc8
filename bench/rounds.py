"""Alternating rounds: every contender once per round, so that a busy minute hits all of them alike."""

import argparse
import statistics
from collections.abc import Callable, Mapping

Measure = Callable[[], float]
Samples = dict[str, list[float]]


def arguments(description: str, rounds: int = 5, threads: int = 2) -> argparse.ArgumentParser:
    """The options that all scripts of this folder share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=threads, help="threads of every engine")
    return parser


def alternate(contenders: Mapping[str, Measure], rounds: int) -> Samples:
    """Measure all contenders ``rounds`` times; the order turns around every round."""
    samples: Samples = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        for name in order:
            samples[name].append(contenders[name]())
        order.reverse()
    return samples


def table(title: str, samples: Samples, reference: str, unit: str) -> str:
    """Median, extremes, and the median of the per-round ratios of ``reference`` to each other contender."""
    width = max(map(len, samples)) + 2
    lines = [
        f"{title}  ({len(samples[reference])} rounds)",
        f"{'':{width}}{'median':>10}{'min':>10}{'max':>10}  {unit}",
    ]
    for name, values in samples.items():
        line = f"{name:{width}}{statistics.median(values):>10.2f}{min(values):>10.2f}{max(values):>10.2f}"
        if name != reference:
            pairs = [ours / theirs for ours, theirs in zip(samples[reference], values, strict=True) if theirs]
            line += f"  {reference} is {statistics.median(pairs):.3f} x this" if pairs else ""
        lines.append(line)
    return "\n".join(lines) + "\n"
