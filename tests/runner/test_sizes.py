"""Context and slots."""

import pytest

from lcrt.runner.sizes import N_CELLS_AUTO, N_SLOTS_AUTO, N_SLOTS_MAX, cell_count, context_length, slot_count


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


@pytest.mark.parametrize(("wanted", "n"), [(0, N_SLOTS_AUTO), (1, 1), (32, 32), (1000, N_SLOTS_MAX)])
def test_the_slots_are_what_was_asked_for_within_reason(wanted: int, n: int) -> None:
    assert slot_count(wanted) == n


@pytest.mark.parametrize(
    ("n_parallel", "n_ctx", "n_slots", "n_cells"),
    [
        (4, 4096, 4, 16_384),
        (0, 4096, 8, N_CELLS_AUTO),
        (0, 100, 8, 800),
        (0, 32_768, 8, 32_768),
    ],
)
def test_the_pool_holds_at_least_one_whole_context(n_parallel: int, n_ctx: int, n_slots: int, n_cells: int) -> None:
    assert cell_count(n_parallel, n_ctx, n_slots) == n_cells
