"""Three nodes that answer, one killed with rows in its hands: nothing is lost without being counted."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flwr")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.exhaustive  # minutes of real waiting; without Flower the same kill is among the fast tests
def test_no_accepted_request_is_lost_when_a_node_is_killed(tmp_path):
    script = [sys.executable, str(ROOT / "benchmarks" / "serve_live.py"), "--steps", "5", "--kill-in", "2"]
    script += ["--back-in", "3", "--step-s", "60", "--patience-s", "30", "--seconds-per-answer", "0.2"]
    done = subprocess.run([*script, "--out", str(tmp_path)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    with (tmp_path / "run" / "steps.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    sums = {name: sum(row[name] for row in rows) for name in rows[0]}
    assert len(rows) == 5 and sums["requests"] == sums["answered"] + sums["dropped"] > 0
    # How many rows the killed node had in its hands, and whether models were there in time, is the machine's.
    assert sums["lost"] > 0
    assert 0 <= sums["right"] <= sums["answered"]
    assert all(row["measured_ms"] > 0 for row in rows if row["by_slots"] > 0)
    log = (tmp_path / "deploy.log").read_text(encoding="utf-8")
    assert f"{sums['requests']:.0f} accepted = {sums['answered']:.0f} answered" in log


def test_it_is_rehearsed_on_flowers_engine(tmp_path):
    pytest.importorskip("ray")
    world = tmp_path / "three.yaml"
    machines = "machines: [{hardware: cpu, machines: 3, devices: {kind: volunteers, gpu: 0}}]\n"
    requests = "arrivals: {kind: poisson, per_hour: 30}\nmodels: {steps: 60, copies: 1}\n"
    world.write_text("base: serving\nname: three\n" + machines + requests, encoding="utf-8")
    command = [sys.executable, "-m", "frugalfl.agents.commands.main", "deploy", "--serve", "--simulate", "3"]
    command += ["--env", str(world), "--rounds", "2", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with (tmp_path / "out" / "steps.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and sum(float(row["by_slots"]) for row in rows) > 0
