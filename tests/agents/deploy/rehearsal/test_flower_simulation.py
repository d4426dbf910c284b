"""Over Flower, on its simulation engine in this process, the model is the simulator's."""

import csv
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from frugalfl.agents.deploy.run import load_round, load_state
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.federation import TrainingOrders

pytest.importorskip("flwr")
pytest.importorskip("ray")

ROUNDS, NODES, SEED = 4, 3, 7

CHANGES = {
    "name": "lab",
    "clients": NODES,
    "max_rounds": ROUNDS,
    "model": "mlp",
    "workload": {"deadline_s": 120.0, "overhead_s": 1.0},
}

PROGRAM = """
import os
from frugalfl.agents.deploy.run.app_folder import QUIET
os.environ.update(QUIET)
from flwr.simulation import run_simulation
from frugalfl.agents.deploy.nodes.client import make_client_app
from frugalfl.agents.deploy.run.server import make_server_app
from frugalfl.agents.deploy.settings import DeploySettings
from frugalfl.envs.scenario.loading import load_scenario

settings = DeploySettings(
    scenario=load_scenario("volunteers", **{changes}).model_dump(),
    scheduler="random-m",
    scheduler_settings={{"participants": 2, "local_steps": 6, "transfer_samples": 20}},
    seed={seed},
    out={out!r},
    min_nodes={nodes},
    poll_s=0.02,
)
backend = {{"client_resources": {{"num_cpus": 1, "num_gpus": 0.0}}, "init_args": {{"num_cpus": 2}}}}
apps = make_server_app(settings), make_client_app(settings)
run_simulation(*apps, num_supernodes={nodes}, backend_config=backend)
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a federation that ran over Flower's engine, in a process of its own."""
    folder = tmp_path_factory.mktemp("flower")
    program = PROGRAM.format(changes=CHANGES, seed=SEED, out=str(folder / "run"), nodes=NODES)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "run"


def test_everybody_it_asked_has_answered(out):
    for number in range(ROUNDS):
        _, plan, outcome = load_round(out, number)
        assert plan.invited.sum() == 2 and np.array_equal(outcome.completed, plan.invited)


def test_nobody_takes_a_node_for_the_slow_machine_that_was_drawn(out):
    known = load_round(out, 0)[0].clients
    drawn_s = PopulationSource(load_scenario("volunteers", **CHANGES), "test").draw(SEED).devices["step_s"]
    assert (known.step_s[0] < drawn_s).all() and (known.step_s > 0).all()


def test_the_global_model_is_the_simulators_to_1e_5(out):
    scenario = load_scenario("volunteers", **CHANGES)
    source = PopulationSource(scenario, "test")
    draw = source.draw(SEED)
    core = source.make_core(1)
    core.reset(0, draw.task, draw.model_seed)
    held, losses = core.own.astype(np.int64), []
    for number in range(ROUNDS):
        _, plan, outcome = load_round(out, number)
        held = np.minimum(held + np.where(plan.invited, plan.transfer_samples, 0), core.capacity)
        core.hold(held)
        result = core.run_round(
            TrainingOrders(plan.local_steps, plan.weights, np.array([number]), np.ones((1, NODES)))
        )
        np.testing.assert_allclose(outcome.reported_loss, result.reported_loss, atol=1e-5)
        accuracy, loss = core.evaluate()
        losses.append(float(loss[0]))
        np.testing.assert_allclose(outcome.loss, loss, atol=1e-5)
        np.testing.assert_allclose(outcome.accuracy, accuracy)
    state, decisions, _ = load_state(out)
    assert decisions == ROUNDS
    np.testing.assert_allclose(state["core/params"], core.parameters(), rtol=0, atol=1e-5)
    assert losses[-1] < losses[0]


def test_samples_that_were_sent_are_kept_by_the_nodes(out):
    last, _, _ = load_round(out, ROUNDS - 1)
    assert last.clients.samples_sent.sum() > 0


def test_the_command_of_the_docs_trains_three_rounds_and_ends(tmp_path):
    command = [
        sys.executable,
        "-m",
        "frugalfl.agents.commands.main",
        "deploy",
        "--simulate",
        "2",
        "--env",
        "phones",
    ]
    command += ["--scheduler", "random-m", "--rounds", "3", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with (tmp_path / "out" / "rounds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["invited"]) > 0 for row in rows) == 3
    assert len(rows) >= 3


ASKED = """base: streams
name: asked
clients: 3
budgets: {hours: 1}
arrivals: {kind: poisson, per_hour: 240, profile: local-day, burst: 4, zipf: 0}
memory: {rule: fifo, rows: 40, label_delay_s: 300}
levels: {wait_s: [0, 300, 600, .inf]}
workload: {overhead_s: 600, deadline_s: 600}
"""


def test_nodes_that_are_asked_things_answer_over_flower(tmp_path):
    world, out = tmp_path / "asked.yaml", tmp_path / "out"
    world.write_text(ASKED, encoding="utf-8")
    command = [sys.executable, "-m", "frugalfl.agents.commands.main", "deploy", "--simulate", "3"]
    command += ["--env", str(world), "--scheduler", "random-m", "--rounds", "5", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with (out / "rounds.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        assert row["came"] == row["answered"] + row["unanswered"] + row["waiting"]
    last = rows[-1]
    assert sum(row["completed"] for row in rows) > 0 and last["waiting"] == 0
    assert last["unanswered"] < 0.05 * last["came"], "only what came before the nodes had said who they are"
    assert 0 < last["right"] < last["answered"]
    assert load_round(out, len(rows) - 1)[2].served is not None
