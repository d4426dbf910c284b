"""A SuperLink and SuperNodes as processes on loopback: a kill and a return, TLS and authentication."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frugalfl.agents.deploy.rehearsal import LocalCluster, make_security
from frugalfl.agents.deploy.run import load_round, load_state

pytest.importorskip("flwr")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
DEADLINE_S = 60.0


@pytest.fixture
def deploy():
    """Starts `frugalfl deploy`, and ends what a failed test has left running."""
    running = []

    def start(*arguments):
        running.append(start_deploy(*arguments))
        return running[-1]

    yield start
    for run in running:
        if run.poll() is None:
            run.kill()
        run.communicate()


def start_deploy(cluster, out, rounds, nodes, *more):
    # A world of another name: nothing was tuned there, so nobody waits an hour for greener power.
    world = out.with_suffix(".yaml")
    world.write_text("base: volunteers\nname: lab\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "frugalfl.agents.commands.main",
        "deploy",
        "--superlink",
        cluster.superlink,
    ]
    command += [
        "--env",
        str(world),
        "--scheduler",
        "all-available",
        "--clients",
        "3",
        "--rounds",
        str(rounds),
    ]
    if "--deadline-s" not in more:
        more = (*more, "--deadline-s", str(DEADLINE_S))
    command += ["--min-nodes", str(nodes), "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows_of(out):
    with (out / "rounds.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def await_rounds(out, count, limit_s=300.0):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if (out / "rounds.csv").exists() and len(rows_of(out)) >= count:
            return
        time.sleep(0.2)
    raise TimeoutError(f"{count} rounds in {out}")


def processes_with(text):
    """Ids of the processes whose environment mentions a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        if text.encode() in environment and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def test_a_killed_node_comes_back_and_the_model_is_the_simulators(tmp_path):
    script = [sys.executable, str(ROOT / "benchmarks" / "sim_to_real.py"), "--rounds", "6"]
    script += ["--kill-in", "2", "--back-in", "4", "--deadline-s", str(DEADLINE_S), "--out", str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    rows = result["rows"]
    assert len(rows) == 6 and result["model_difference"] < 1e-5
    assert "oven" in rows[1]["lost"] and "oven" in rows[-1]["completed"]
    assert max(row["measured_s"] for row in rows) < DEADLINE_S + 10.0
    for row in rows:
        assert row["same"] and abs(row["simulated_loss"] - row["measured_loss"]) < 1e-5
    log = (tmp_path / "deploy.log").read_text(encoding="utf-8")
    assert "oven is back" in log


def test_a_cut_network_and_a_polite_leave_cost_at_most_the_deadline(deploy, tmp_path):
    out, deadline_s, rounds = tmp_path / "out", 30.0, 6
    with LocalCluster(tmp_path / "logs") as cluster:
        for name in ("desk", "lamp", "oven"):
            cluster.start_node(name)
        run = deploy(cluster, out, rounds, 3, "--deadline-s", str(deadline_s))
        await_rounds(out, 1)
        cluster.freeze("oven")
        await_rounds(out, 3)
        cluster.thaw("oven")
        await_rounds(out, 4)
        cluster.kill("lamp", signal.SIGTERM)
        said = run.communicate(timeout=600)[0]
    assert run.returncode == 0, said
    rows = rows_of(out)
    assert len(rows) == rounds
    assert max(float(row["duration_s"]) for row in rows) < deadline_s + 10.0
    completed = [float(row["completed"]) for row in rows]
    assert completed[0] == 3 and min(completed) >= 1, "those who are there go on training"
    assert min(completed[1:3]) < 3, "the frozen node is missing"
    assert "lamp (client" in said and "has left" in said


def test_tls_with_known_keys_a_stranger_and_a_coordinator_that_is_stopped(deploy, tmp_path):
    security = make_security(tmp_path / "keys", ("desk", "lamp", "thief"))
    authority = ("--root-certificates", str(security.authority))
    out = tmp_path / "out"
    with LocalCluster(tmp_path / "logs", security) as cluster:
        cluster.register("desk")
        cluster.register("lamp")
        for name in ("desk", "lamp", "thief"):
            cluster.start_node(name)
        run = deploy(cluster, out, 4, 2, *authority)
        await_rounds(out, 1)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=120)[0]
        assert run.returncode == 130, said
        stopped = load_state(out)[1]
        assert 1 <= stopped < 4
        again = deploy(cluster, out, 4, 2, *authority, "--resume")
        said = again.communicate(timeout=600)[0]
        assert again.returncode == 0, said
        assert "desk" in said and "lamp" in said and "thief" not in said
    _, decisions, _ = load_state(out)
    assert decisions == 4 and [float(row["round"]) for row in rows_of(out)] == [1, 2, 3, 4]
    assert all(load_round(out, number)[2].completed.sum() == 2 for number in (0, 3))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_nothing_is_left_behind(tmp_path):
    with LocalCluster(tmp_path) as cluster:
        cluster.start_node("desk")
        time.sleep(5.0)
        assert processes_with(str(tmp_path)), "its processes name their folder"
    end = time.monotonic() + 10.0
    while processes_with(str(tmp_path)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not processes_with(str(tmp_path))


OWN_ROWS = """
import numpy as np
from frugalfl.fl_core.data import load_dataset


def load(node):
    data = load_dataset("digits")
    first = int(node["first-row"])
    return data.x_test[first : first + 40], data.y_test[first : first + 40]
"""


def test_nodes_train_on_rows_of_their_own_machines(deploy, tmp_path, monkeypatch):
    (tmp_path / "mylab.py").write_text(OWN_ROWS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    out = tmp_path / "out"
    with LocalCluster(tmp_path / "logs") as cluster:
        for place, name in enumerate(("desk", "lamp", "oven")):
            cluster.start_node(name, data="mylab:load", first_row=40 * place)
        run = deploy(cluster, out, 3, 3, "--own-samples", "30")
        said = run.communicate(timeout=600)[0]
    assert run.returncode == 0, said
    assert "own_samples: 40, expected at most 30; cut" in said
    situation, _, outcome = load_round(out, 2)[:3]
    assert outcome.completed.sum() == 3
    assert situation.clients.samples_held.tolist() == [[30, 30, 30]]
    assert float(rows_of(out)[-1]["loss"]) < float(rows_of(out)[0]["loss"])
