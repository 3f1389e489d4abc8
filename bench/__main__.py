"""All measurements with their defaults, one after another; takes the better part of an hour."""

import subprocess
import sys

RUNS = (
    ("bench_decode",),
    ("bench_streams", "--streams", "8"),
    ("bench_streams", "--streams", "32"),
    ("bench_streams", "--streams", "8", "--one-layer", "--threads", "1"),
    ("bench_streams", "--streams", "32", "--one-layer", "--threads", "1"),
    ("bench_slots",),
    ("bench_stall",),
    ("bench_latency",),
    ("bench_cpu",),
    ("bench_idle",),
    ("bench_start",),
    ("bench_prefix",),
    ("bench_turns",),
    ("bench_turns", "--conversations", "8"),
    ("bench_return",),
    ("bench_format",),
    ("bench_schemas", "--count", "60", "--seeds", "1"),
    ("bench_speculation",),
    ("bench_embed",),
    ("bench_sampler",),
    ("bench_attention",),
    ("bench_store",),
    ("bench_convert",),
    ("bench_quantize",),
    ("bench_pull",),
)


def main() -> None:
    """Run every script in a process of its own."""
    for name, *options in RUNS:
        print(f"# {name} {' '.join(options)}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}", *options], check=True)


if __name__ == "__main__":
    main()
