"""An engine that needs no other process, and a small world in a file."""

from __future__ import annotations

import pytest

from frugalfl.agents.execution import Landed


class InProcess:
    """An engine for tests that need no other process; may be interrupted."""

    def __init__(self, stop_after=None):
        self.played, self.stop_after = 0, stop_after

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        pass

    def run(self, function, work):
        for key, arguments in work.items():
            if self.played == self.stop_after:
                raise KeyboardInterrupt
            self.played += 1
            yield Landed(key, function(*arguments))


@pytest.fixture(scope="session")
def in_process():
    return InProcess


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    """A YAML file of a quadratic world with few rounds."""
    path = tmp_path_factory.mktemp("worlds") / "small.yaml"
    path.write_text("base: quadratic\nname: small\nmax_rounds: 8\n")
    return str(path)
