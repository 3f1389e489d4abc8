import subprocess
import sys

import pytest

import lcrt


@pytest.mark.parametrize("name", lcrt.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(lcrt, name) is not None
    assert name in dir(lcrt)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="Modell"):
        _ = lcrt.Modell  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import lcrt", "numpy msgspec lcrt.native lcrt.errors"),
        ("import lcrt; lcrt.Engine, lcrt.Model, lcrt.Chat, lcrt.Sampling", "numpy"),
    ],
)
def test_names_are_imported_when_they_are_used(code: str, absent: str) -> None:
    check = f"{code}; import sys; assert not set({absent.split()!r}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
