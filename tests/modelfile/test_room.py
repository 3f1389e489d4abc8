from pathlib import Path

import pytest

from lcrt.errors import StoreError
from lcrt.modelfile.room import check_room


def test_what_fits_may_begin_and_what_does_not_is_told_with_both_sizes(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(StoreError, match=r"not enough space: the new file takes .* are free in") as refused:
        check_room(tmp_path, 2**62)
    assert "LCRT_MODELS" in (refused.value.hint or "")
