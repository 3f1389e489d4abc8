"""What every test may rely on: settings of the person running them do not reach it, and a failure can be repeated."""

import os
import signal

import pytest
from hypothesis import settings

FOR_THE_TESTS = {"LCRT_CONFORMANCE_DIR", "LCRT_TEST_MODEL"}
"""Variables that steer the tests themselves."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background is not to be interrupted, but what the tests start is.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("lcrt", deadline=None, print_blob=True)
settings.load_profile("lcrt")


@pytest.fixture(autouse=True, scope="session")
def no_settings_from_outside() -> None:
    """Forget the LCRT_* and OLLAMA_* variables of the shell."""
    for name in list(os.environ):
        if name.startswith(("LCRT_", "OLLAMA_")) and name not in FOR_THE_TESTS:
            del os.environ[name]
