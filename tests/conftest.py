"""What all tests need, wherever the test run itself was started."""

import signal
import sys
from pathlib import Path

import pytest

# One plug-in of each kind, for every test that brings its own: `own_plugins`.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A test run that a shell started in the background ignores SIGINT, as would all it starts."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
