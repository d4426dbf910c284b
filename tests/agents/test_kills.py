"""A command that is killed at any change of the file system and given again ends like an unkilled one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent / "crash_points.py"
WINDOWS = {
    "train": ["rename step-000000000256", "rename removed.step-000000000000"],
    "evaluate": ["rename config.json", "rename random-m"],
    "tune": ["open random-m.2.journal", "rename small.json"],
    "deploy": ["rename state.npz", "rename rounds.csv"],
}
"""Points where something was once lost, or might be."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks for every try")


def killed_at(command, folder, points):
    run = [sys.executable, str(SCRIPT), command, str(folder), *points]
    done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("command", WINDOWS)
def test_some_points(command, tmp_path):
    found = killed_at(command, tmp_path, WINDOWS[command])
    assert found["tried"] == len(WINDOWS[command])
    assert found["lost"] == []


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("command", WINDOWS)
def test_every_point(command, tmp_path):
    found = killed_at(command, tmp_path, [])
    assert found["tried"] == found["points"] > 30
    assert found["lost"] == []
