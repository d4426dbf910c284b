"""What all tests need, wherever the test run itself was started."""

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A machine may be slow or busy, or compile in the first example: no test has a clock unless it says so.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

# One plug-in of each kind, for every test that brings its own: `own_plugins`.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A test run that a shell started in the background ignores SIGINT, as would all it starts."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
