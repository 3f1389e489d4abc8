from pathlib import Path

import pytest

from lcrt.errors import StoreError
from lcrt.store.room import check_room


def test_what_fits_may_begin_and_what_does_not_is_told_with_both_sizes(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(StoreError, match=r"not enough space: .* are needed, .* are free in") as refused:
        check_room(tmp_path, 2**62)
    assert "LCRT_MODELS" in (refused.value.hint or "")


def test_a_folder_that_is_still_to_come_is_looked_for_where_it_will_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a lot is to come, .* are free in .*/a/b"):
        check_room(tmp_path / "a" / "b", 2**62, "of a lot is to come")


def test_more_may_be_left_free_than_usual(tmp_path: Path) -> None:
    check_room(tmp_path, 1, margin=1)
    with pytest.raises(StoreError, match="not enough space: 1 B are needed"):
        check_room(tmp_path, 1, margin=2**62)
