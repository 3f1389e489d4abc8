import pytest

from lcrt.errors import InvalidRequest
from lcrt.store import digest

HEX = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha256-{HEX}", f"sha256:{HEX.upper()}"])
def test_every_spelling_is_one_digest(text: str) -> None:
    assert digest.parse_digest(text) == f"sha256:{HEX}"


@pytest.mark.parametrize(
    "text", ["", "xyz", HEX, f"sha256:{HEX[1:]}", f"sha256:{HEX}0", f"sha256:../{HEX[3:]}", f"md5:{HEX}"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid digest format"):
        digest.parse_digest(text)


def test_file_names_and_digests_belong_together() -> None:
    assert digest.digest_of(b"hello") == f"sha256:{HEX}"
    assert digest.file_name(f"sha256:{HEX}") == f"sha256-{HEX}"
    assert digest.digest_of_file_name(f"sha256-{HEX}") == f"sha256:{HEX}"
    assert digest.hex_part(f"sha256:{HEX}") == HEX


@pytest.mark.parametrize("name", [f"sha256-{HEX}-partial", f"sha256-{HEX}-partial-0", "sha256-123", f"sha256:{HEX}"])
def test_other_files_are_no_blobs(name: str) -> None:
    assert digest.digest_of_file_name(name) is None or name.startswith("sha256:")
