from lcrt.cli.output.summary import summary
from lcrt.client.wire import Chunk


def test_counts_durations_and_rates_are_laid_out() -> None:
    last = Chunk(
        total_duration=2_500_000_000,
        load_duration=1_000_000,
        prompt_eval_count=26,
        prompt_eval_duration=130_000_000,
        eval_count=100,
        eval_duration=2_000_000_000,
    )
    assert summary(last).splitlines() == [
        "total duration:       2.5s",
        "load duration:        1ms",
        "prompt eval count:    26 token(s)",
        "prompt eval duration: 130ms",
        "prompt eval rate:     200.00 tokens/s",
        "eval count:           100 token(s)",
        "eval duration:        2s",
        "eval rate:            50.00 tokens/s",
    ]


def test_what_is_unknown_is_left_out() -> None:
    assert summary(Chunk(eval_count=3)) == "eval count:           3 token(s)\n"
