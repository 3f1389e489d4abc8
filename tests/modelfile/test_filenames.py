"""Names of files in a request: every one that is accepted can be laid out, and no other."""

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lcrt.errors import InvalidRequest
from lcrt.modelfile.filenames import check_files

DIGEST = "sha256:" + "0" * 64
PARTS = st.sampled_from(["a", "b", "c.json", ".", "..", "", "\0", "é", "x" * 255, "x" * 256, "é" * 128, "\ud800", "\n"])
NAMES = st.one_of(st.lists(PARTS, max_size=4).map("/".join), st.text(max_size=8))


def can_be_laid_out(names: list[str]) -> bool:
    """Whether a folder can hold files of these names, all of them within it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in names:
            path = folder / each
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to("/nonexistent")
            except (OSError, ValueError):
                return False
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink()}
    return found == set(names)


@settings(max_examples=300, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
@example(names=["a", "a/b"])
@example(names=["a/b/c", "a/b"])
@example(names=["/".join("x" * 5)])
def test_what_is_accepted_can_be_laid_out(names: list[str]) -> None:
    with suppress(InvalidRequest):
        check_files(dict.fromkeys(names, DIGEST))
        assert can_be_laid_out(names)


@settings(max_examples=100, deadline=None)
@given(names=st.lists(st.lists(st.sampled_from(["a", "b.c", "é"]), min_size=1, max_size=3), max_size=4))
def test_what_can_be_laid_out_is_accepted(names: list[list[str]]) -> None:
    paths = list(dict.fromkeys("/".join(parts) for parts in names))
    if can_be_laid_out(paths):
        check_files(dict.fromkeys(paths, DIGEST))
