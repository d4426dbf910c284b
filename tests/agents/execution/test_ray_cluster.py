"""Ray comes to exactly what this machine's processes come to, also when one of its nodes dies."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from frugalfl.agents.evaluation import load_result
from frugalfl.agents.execution import make_engine

HERE = Path(__file__).parents[1]
ALONE = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def network_of_its_own():
    """Whether this machine lets us have one; Ray's nodes must not meet those of others."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.skipif(not network_of_its_own(), reason="no network namespaces here")
def test_a_killed_node_costs_a_retry_and_no_result(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    from ray_two_nodes import PLAYERS, STUDY

    from frugalfl.agents.evaluation import sweep
    from frugalfl.agents.players import name_players

    script = [*ALONE, sys.executable, str(HERE / "ray_two_nodes.py"), str(tmp_path)]
    played = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert played.returncode == 0, played.stderr
    story = json.loads(played.stdout.splitlines()[-1])
    assert story["nodes"] == 2
    assert any("second node killed" in line for line in story["log"])

    with make_engine("local", jobs=2) as engine:
        local = sweep(STUDY, name_players(PLAYERS), tmp_path / "local", engine)
    assert story["failures"] == local.failures
    assert list(local.failures.values()) == ["RuntimeError: no luck"]
    ours, theirs = load_result(tmp_path / "ray"), load_result(tmp_path / "local")
    columns = [name for name in theirs.episodes.columns if name != "decision_ms"]
    pd.testing.assert_frame_equal(ours.episodes[columns], theirs.episodes[columns], check_exact=True)
    pd.testing.assert_frame_equal(ours.curves, theirs.curves, check_exact=True)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize(
    ("address", "message"), [("127.0.0.1:1", "nobody listens there"), ("somewhere", "expected HOST:PORT")]
)
def test_a_wrong_address_is_refused_at_once(address, message):
    with make_engine("ray", address=address) as engine, pytest.raises(ValueError, match=message):
        list(engine.run(len, {"a": ("b",)}))
