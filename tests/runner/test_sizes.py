"""Context and slots."""

import pytest

from lcrt.runner.sizes import N_SLOTS_MAX, context_length, halved, share


@pytest.mark.parametrize(
    ("wanted", "default", "trained", "n_ctx"),
    [
        (None, 0, 8192, 4096),
        (None, 0, 2048, 2048),
        (None, 9000, 8192, 8192),
        (100, 9000, 8192, 100),
        (20_000, 0, 8192, 8192),
        (20_000, 0, 0, 20_000),
        (0, 500, 8192, 4),
        (1, 0, 8192, 4),
        (-5, 0, 8192, 4),
    ],
)
def test_the_context_is_what_was_asked_for_within_reason(
    wanted: int | None, default: int, trained: int, n_ctx: int
) -> None:
    assert context_length(wanted, default, trained) == n_ctx


SMALL, LARGE = 23 << 10, 128 << 10


@pytest.mark.parametrize(
    ("n_parallel", "n_ctx", "cell_size", "shared"),
    [
        (1, 4096, LARGE, (1, 4096)),
        (32, 4096, LARGE, (32, 131_072)),
        (1000, 10, SMALL, (N_SLOTS_MAX, 10 * N_SLOTS_MAX)),
        (0, 4096, SMALL, (4, 16_384)),
        (0, 4096, LARGE, (8, 8192)),
        (0, 32_768, SMALL, (8, 32_768)),
        (0, 512, 1 << 20, (8, 4096)),
    ],
)
def test_slots_have_whole_contexts_when_they_were_named_or_are_small_and_else_a_pool(
    n_parallel: int, n_ctx: int, cell_size: int, shared: tuple[int, int]
) -> None:
    assert share(n_parallel, n_ctx, cell_size) == shared


@pytest.mark.parametrize(
    ("had", "keep_ctx", "smaller"),
    [
        ((4096, 4, 16_384), False, (4096, 2, 8192)),
        ((4096, 4, 16_384), True, (4096, 2, 8192)),
        ((4096, 8, 8192), True, (4096, 4, 4096)),
        ((4096, 1, 4096), False, (2048, 1, 2048)),
        ((32_768, 8, 32_768), False, (16_384, 4, 16_384)),
        ((32_768, 8, 32_768), True, None),
        ((4, 1, 4), False, None),
    ],
)
def test_the_second_try_takes_half_but_no_context_that_was_named(
    had: tuple[int, int, int], keep_ctx: bool, smaller: tuple[int, int, int] | None
) -> None:
    assert halved(*had, keep_ctx=keep_ctx) == smaller
