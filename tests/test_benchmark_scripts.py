"""The scripts behind the published tables: every case is a valid world, and a table counts losses too."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

import frugalfl
from frugalfl.agents.evaluation import EvaluationResult
from frugalfl.envs.scenario import load_scenario

BENCHMARKS = Path(frugalfl.__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def script():
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmarks are not installed")
    spec = importlib.util.spec_from_file_location("generalisation", BENCHMARKS / "generalisation.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["generalisation"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("world", ["volunteers", "phones", "spotmarket"])
def test_every_case_changes_its_world_and_is_valid(script, world):
    home, names = load_scenario(world), set()
    for case in script.cases(world, None):
        if case.lacking:
            continue
        changed = load_scenario(world, **case.changes)
        assert (changed == home) == (case.name == script.AT_HOME), case.name
        names.add(case.name)
    assert {"ten-times", "dirichlet", "synthetic-data", "mlp", "wrong-carbon-forecast"} <= names
    lacking = {case.name for case in script.cases(world, None) if case.lacking}
    assert "real-carbon" in lacking


def result(ours, theirs):
    rows = [
        {"scheduler": name, "kind": kind, "episode": episode, "net_points": points, "kilograms": kg}
        for name, kind, values, kg in (("x", "learned", ours, 1.0), ("y", "handcrafted", theirs, 2.0))
        for episode, points in enumerate(values)
    ]
    return EvaluationResult("volunteers", "test", pd.DataFrame(rows), pd.DataFrame())


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [([5.0, 6.0, 7.0, 6.5], "win"), ([-5.0, -6.0, -7.0, -6.5], "loss"), ([5, -5, 4, -4], "tie")],
)
def test_wins_and_losses_alike_stand_in_the_table(script, gain, verdict):
    base = [50.0, 51.0, 49.0, 50.5]
    row = script.row_of("volunteers", "case", result([b + g for b, g in zip(base, gain, strict=True)], base))
    assert row["verdict"] == verdict
    assert row["co2_change"] == pytest.approx(-0.5)
    page = script.page([row], ["phones/real-phones (no data)"], 4, "python x")
    assert f"1 x {verdict}." in page
    assert "Left out: phones/real-phones (no data)." in page
