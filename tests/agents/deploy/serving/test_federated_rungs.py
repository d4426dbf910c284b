"""A model that a federation has trained is served, in the simulator and on nodes, as its folder has it."""

import json

import numpy as np
import pytest

from frugalfl.agents.deploy import DeploySettings
from frugalfl.agents.deploy.run import Coordinator
from frugalfl.agents.deploy.serving import LiveServing
from frugalfl.common.files import write_npz
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.serving import (
    FleetSource,
    ServingPlan,
    ServingWorld,
    load_serving,
    trained_ladder,
)
from frugalfl.fl_core.data import load_dataset

TIMES = 1e5
SOFTMAX_BYTES = 4 * (64 + 1) * 10


@pytest.fixture
def train(scenario, transport_of, tmp_path):
    """Lets a federation of four nodes train for some rounds; its coordinator."""

    def run(rounds=4, name="trained", resume=False, **changes):
        world = load_scenario(scenario, **changes)
        settings = DeploySettings(
            scenario=world.model_dump(),
            scheduler="all-available",
            scheduler_settings={"local_steps": 20},
            out=str(tmp_path / name),
            resume=resume,
            **{"min_nodes": 4, "poll_s": 0.05, "seed": 3},
        )
        transport = transport_of(world, 3)
        for client in range(4):
            transport.join(client, 0.1)
        coordinator = Coordinator(settings, transport, clock=transport.clock())
        coordinator.world.runner._wall = transport.time
        coordinator.run(rounds)
        return coordinator

    return run


def served(three, folder, **models):
    """A small model that is trained here, and behind it the federation's."""
    rungs = [{"pool": 2}, {"folder": str(folder)}]
    return load_serving(
        three, models={"rungs": rungs, "noise": 0.0} | models, profile={"kind": "sized", "times": TIMES}
    )


def test_its_accuracy_is_that_of_its_federation_on_the_worlds_rows(train, three):
    coordinator = train()
    ladder = trained_ladder(served(three, coordinator.out).models)
    assert ladder.asked["test"].accuracy[0, 1] == pytest.approx(coordinator.world.test_scores()[0][0])
    assert ladder.asked["test"].accuracy[0, 1] > 0.7
    assert np.array_equal(ladder.parameters[0][1], coordinator.world.parameters()[0].astype(np.float32))


def test_questions_about_labels_are_answered_with_their_probabilities(train, three):
    models = served(three, train().out).models
    ladder, rows = trained_ladder(models), load_dataset("digits").x_test
    labels = ladder.readers[0][1].probabilities(ladder.parameters[0][1], rows)
    for task, yes in enumerate(models.questions.values()):
        if yes:
            agreed = labels[:, yes].sum(axis=1)
            assert np.array_equal(ladder.asked["test"].choice[task, 1], agreed > 0.5)
            assert ladder.asked["test"].confidence[task, 1] == pytest.approx(np.maximum(agreed, 1 - agreed))
    # Whoever finds the label nearly always finds what it means too, and is right about some others.
    assert (ladder.asked["test"].accuracy[1:, 1] >= ladder.asked["test"].accuracy[0, 1]).all()


def test_its_size_and_cost_are_those_of_its_parameters(train, three):
    scenario = served(three, train().out)
    profile = FleetSource(scenario, "test").profile
    assert profile.gigabytes[1] == pytest.approx(SOFTMAX_BYTES * TIMES / 1e9)
    chat = FleetSource(load_serving(scenario, profile="sized")).profile
    assert chat.hardware["cpu"].ms[1] == pytest.approx(300.0 * SOFTMAX_BYTES / 0.4e9), "in proportion"
    half = {"kind": "sized", "times": np.sqrt(0.8e9 * 1.9e9) / SOFTMAX_BYTES}
    between = FleetSource(load_serving(scenario, profile=half)).profile.hardware["cpu"]
    assert between.ms[1] == pytest.approx(np.sqrt(600.0 * 1430.0)), "a power law between two rungs"
    assert between.joules[1][0] == pytest.approx(0.065 * between.ms[1])


def test_a_world_loads_it_and_is_charged_for_it(train, three):
    world = ServingWorld(served(three, train().out), 1, "test")
    world.reset(np.ones(1, dtype=bool), np.array([5]))
    there = world.situation().slots.available[0]
    load = np.where(there, 1 + 0 * 2 + 1, 0)[None]
    moved = world.step(ServingPlan(load, np.zeros((1, 4)), np.ones(1))).outcome.bytes.sum()
    whole = there.sum() * SOFTMAX_BYTES * TIMES
    assert 0 < moved <= whole * (1 + 1e-9)


def test_nodes_answer_with_it(train, three, nodes, settings):
    scenario = served(three, train().out)
    for client in range(3):
        nodes.join(client)
    given = settings(load_serving(scenario, hub={"share": 0.0}))
    world = LiveServing(given, nodes, nodes.clock(), nodes.time)
    world.gather(3, 60.0)
    asked, right = 0, 0
    for load in (
        [2, 4, 8],
        [0, 0, 0],
        [0, 0, 0],
    ):  # the federation's rung of three tasks, two of them yes or no
        world.situation()
        world.step(ServingPlan(np.array([load]), np.zeros((1, 4)), np.ones(1)))
    answers, rows = world.source.ladder.asked["test"], world.source.ladder.rows["test"]
    for node in nodes.listed.values():
        for question in (question for order in node.orders for question in order.questions):
            task, rung = divmod(question.model, 2)
            assert rung == 1 and question.classes == (10 if task == 0 else 2)
            place = [int(np.flatnonzero((rows == x).all(axis=1))[0]) for x in question.rows]
            right += int(answers.right[task, rung, place].sum())
            asked += len(place)
    totals = world.totals()
    assert (asked, right) == (totals["answered"][0], totals["right"][0]) and asked > 0


def test_a_federation_that_goes_on_is_read_anew(train, three):
    models = served(three, train(1).out).models
    before = trained_ladder(models)
    assert trained_ladder(models) is before
    coordinator = train(3, resume=True)
    after = trained_ladder(models)
    assert not np.array_equal(after.parameters[0][1], before.parameters[0][1])
    assert np.array_equal(after.parameters[0][1], coordinator.world.parameters()[0].astype(np.float32))


def refused(three, folder, said, **models):
    with pytest.raises(ValueError, match=said) as caught:
        ServingWorld(served(three, folder, **models), 1, "test")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_federations_model_is_refused_by_what_is_missing(train, three, tmp_path):
    refused(three, tmp_path / "nowhere", "nowhere: no such folder")
    (tmp_path / "empty").mkdir()
    refused(three, tmp_path / "empty", r"deployment\.json: not there \(no federation has trained there\)")
    (tmp_path / "empty" / "config.json").write_text("{}")
    refused(three, tmp_path / "empty", r"what was trained there is a scheduler")
    out = train(1).out
    (out / "state.npz").unlink()
    refused(three, out, r"state\.npz: not there, expected the model after the first round")


def test_damaged_folders_are_refused_and_nothing_is_unpickled(train, three):
    out = train(1).out
    state, about = out / "state.npz", json.loads((out / "deployment.json").read_text())
    kept = dict(np.load(state))
    write_npz(state, kept | {"core/params": np.full((1, 650), np.nan)}, compress=False)
    refused(three, out, "'core/params' is missing, not finite or not of shape")
    write_npz(state, kept | {"core/params": np.zeros((1, 7))}, compress=False)
    refused(three, out, "7 parameters, expected 650 of its model 'softmax'")
    np.savez(state, **{"core/params": np.array([object()], dtype=object)}, allow_pickle=True)
    refused(three, out, r"models: rungs: .*state\.npz")
    (out / "deployment.json").write_text(json.dumps(about | {"format": "other"}))
    refused(three, out, "format 'other', expected 'frugalfl-deployment-2'")


def test_models_that_do_not_fit_are_refused(train, three):
    out = train(1).out
    alone = {"rungs": [{"folder": str(out)}], "dataset": "synthetic"}
    refused(three, out, "trained on 'digits', expected 'synthetic' as models: dataset", **alone)
    exits = train(1, name="exits", model={"kind": "exits", "hidden": [8]})
    refused(three, exits.out, r"model: .*exits.* expected a dense one")


def test_a_folder_that_served_has_trained_nothing(three, tmp_path):
    said = {"format": "frugalfl-deployment-2", "settings": json.dumps({"scenario": three.model_dump()})}
    (tmp_path / "deployment.json").write_text(json.dumps(said))
    refused(three, tmp_path, "it served and trained no model")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": {"rungs": [{"folder": "x", "pool": 2}]}}, "pool: 2, expected none beside a folder"),
        ({"models": {"rungs": [{"folder": 3}]}}, r"models\.rungs\.0\.folder: 3, expected a valid string"),
        ({"profile": {"kind": "sized", "like": "sized"}}, "expected a ladder with figures of its own"),
        ({"profile": {"kind": "sized", "times": 0}}, "times: 0, expected"),
    ],
)
def test_documents_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        load_serving("serving", **changes)
