"""An error stays what it was on its way through a process boundary."""

import pytest

from lcrt import errors
from lcrt.core.event import Failure
from lcrt.runner.failure import error_of, failure_of

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LcrtError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_as_itself(kind: type[errors.LcrtError]) -> None:
    error = error_of(failure_of(kind("no room", "take less")))
    assert type(error) is kind
    assert str(error) == "no room\ntake less"


@pytest.mark.parametrize("name", ["Nonsense", "Exception", ""])
def test_an_unknown_kind_is_an_engine_error(name: str) -> None:
    assert type(error_of(Failure(name, "odd"))) is errors.EngineError
