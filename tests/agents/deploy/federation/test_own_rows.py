"""Nodes may bring rows of their own: the model is that of a federation in which everybody was dealt these."""

import sys
import types

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from frugalfl.agents.deploy import Defence, DeploySettings
from frugalfl.agents.deploy.nodes import own_node
from frugalfl.fl_core.data import ClientRows, Dataset
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders

SIZES = (30, 7, 120)
OWN = Defence(own_samples=1000)


def rows_of(client, dataset):
    """What client number so many has on its own disk: some of the evaluators' rows."""
    first = sum(SIZES[:client])
    return dataset.x_test[first : first + SIZES[client]], dataset.y_test[first : first + SIZES[client]]


@pytest.fixture
def mylab(monkeypatch):
    """A module that every node can import; `load` is what stands in it."""
    module = types.ModuleType("mylab")
    monkeypatch.setitem(sys.modules, "mylab", module)
    return module


@pytest.fixture
def lab(federation, mylab):
    """Three of four nodes have brought rows of their own."""
    world = federation(nodes=0, defence=OWN)
    mylab.load = lambda node: rows_of(node["client"], world.source.dataset)
    for client, size in enumerate(SIZES):
        node = world.transport.join(client, own_samples=size)
        node.local = own_node(world.scenario, "test", {"data": "mylab:load", "client": client})
    world.transport.join(3)
    world.gather(4, 60.0)
    return world


@pytest.fixture
def simulated(lab):
    """The simulator's core in which everybody was dealt what the nodes of the lab have."""
    core, data, dealt = lab.core, lab.source.dataset, lab.draw.task
    last = dealt.rows[dealt.offset[3] : dealt.offset[3] + dealt.own[3]]
    brought = [rows_of(client, data) for client in range(3)]
    x = np.concatenate([x for x, _ in brought] + [data.x_train[last]])
    y = np.concatenate([y for _, y in brought] + [data.y_train[last]])
    sizes = np.array([*SIZES, last.size])
    alike = Dataset("alike", x, y, data.x_val, data.y_val, data.x_test, data.y_test, data.num_classes)
    parts = ClientRows(
        np.arange(y.size, dtype=np.int32),
        np.concatenate([[0], np.cumsum(sizes)]),
        sizes.astype(np.int32),
        sizes / sizes.sum(),
    )
    twin = FederatedCore(alike, core.model, 1, 4, core.training, lab.scenario.aggregator)
    twin.reset(0, parts, lab.draw.model_seed)
    return twin


def test_the_model_is_that_of_a_federation_that_was_dealt_these_rows(lab, simulated, order_all):
    for index in range(3):
        plan = order_all(lab.situation(), steps=4 + index)
        assert lab.step(plan).outcome.completed.all()
        simulated.run_round(TrainingOrders(plan.local_steps, None, np.array([index])))
        np.testing.assert_allclose(lab.parameters(), simulated.parameters(), rtol=0, atol=1e-5)
    assert np.array_equal(lab.core.target_weight, simulated.target_weight)


def test_schedulers_are_told_how_many_and_nobody_is_sent_any_others(lab, order_all):
    known = lab.situation().clients
    own = np.array([True, True, True, False])
    assert known.samples_held[0, own].tolist() == list(SIZES)
    assert (known.storage_left[0, own] == 0).all() and known.storage_left[0, 3] > 0
    outcome = lab.step(order_all(lab.situation(), transfer=20)).outcome
    assert (outcome.sample_bytes[0] > 0).tolist() == [False, False, False, True]
    assert all(order.sent_y.size == 0 for _, _, order in lab.transport.sent if order.client != 3)


def test_what_a_node_has_may_become_more_or_be_left_at_home(lab, order_all):
    lab.situation()
    node = next(node for node in lab.transport.listed.values() if node.client == 1)
    node.profile["own_samples"] = 90
    lab.step(order_all(lab.situation()))
    assert lab.situation().clients.samples_held[0, 1] == 90
    lab.transport.drop(node)
    lab.situation()
    lab.transport.join(1)
    lab.transport.time.sleep(5.0)
    for _ in range(2):
        lab.runner.listen()
        lab.transport.time.sleep(5.0)
    assert lab.situation().clients.samples_held[0, 1] == lab.draw.task.own[1]
    np.testing.assert_allclose(lab.core.target_weight.sum(), 1.0)


def test_a_claim_of_a_billion_rows_is_cut(federation, caplog):
    world = federation(nodes=0, defence=OWN)
    world.transport.join(0, own_samples=10**9)
    world.gather(1, 60.0)
    assert world.situation().clients.samples_held[0, 0] == 1000
    assert "own_samples: 1000000000, expected at most 1000; cut" in caplog.text


def test_who_brings_rows_where_none_may_is_refused(federation, caplog):
    world = federation(nodes=0)
    world.transport.join(0, own_samples=30)
    world.transport.join(1)
    world.gather(1, 60.0)
    world.transport.time.sleep(5.0)
    assert world.situation().clients.available.tolist() == [[False, True, False, False]]
    assert "--own-samples" in caplog.text


def test_a_stopped_federation_goes_on_with_what_was_brought(lab, federation, order_all):
    lab.step(order_all(lab.situation()))
    again = federation(nodes=0, defence=OWN)
    again.load_state(lab.state())
    assert again.core.own[0, :3].tolist() == list(SIZES)
    assert np.array_equal(again.core.target_weight, lab.core.target_weight)
    assert np.array_equal(again.parameters(), lab.parameters())


@pytest.mark.parametrize("as_torch", [False, True])
def test_rows_are_two_arrays_or_a_torch_data_set(scenario, mylab, as_torch):
    x, y = np.random.default_rng(0).random((12, 8, 8)), np.arange(12) % 10
    mylab.load = lambda node: TensorDataset(torch.tensor(x), torch.tensor(y)) if as_torch else (x, y)
    assert own_node(scenario, "test", {"data": "mylab:load"}).own == 12


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ((np.zeros((3, 5)), np.zeros(3)), r"features of shape \(3, 5\) and 3 labels"),
        ((np.zeros((0, 64)), np.zeros(0)), r"at least one"),
        ((np.zeros((3, 64)), np.full(3, 10)), r"y_train: 10 to 10, expected labels in \[0, 10\)"),
        ((np.full((3, 64), np.nan), np.zeros(3)), r"x_train: nan in row 0"),
        ((np.zeros((3, 64)),), r"data: 1 values, expected two arrays"),
        ([1, 2], r"expected pairs"),
    ],
)
def test_rows_unlike_the_federations_are_refused(scenario, mylab, rows, wrong):
    mylab.load = lambda node: rows
    with pytest.raises(ValueError, match=wrong):
        own_node(scenario, "test", {"data": "mylab:load"})


def test_code_is_refused_where_the_node_refuses_code(scenario, mylab, monkeypatch):
    monkeypatch.setenv("FRUGALFL_NO_CODE", "1")
    with pytest.raises(ValueError, match="--no-code refuses"):
        own_node(scenario, "test", {"data": "mylab:load"})


def test_nodes_that_are_asked_things_bring_none(scenario):
    streams = {"arrivals": {"kind": "poisson"}}
    with pytest.raises(ValueError, match="own_samples: 5, expected 0 where nodes are asked things"):
        DeploySettings(scenario=streams, out="out", defence=Defence(own_samples=5))


def test_a_flower_node_says_how_many_rows_it_brings_and_trains_on_them(scenario, mylab, lab, order_all):
    app = pytest.importorskip("flwr.app")
    from frugalfl.agents.deploy.nodes import carrier

    lab.step(order_all(lab.situation(), steps=3))
    order = next(order for _, _, order in lab.transport.sent if order.client == 1)
    said = DeploySettings(scenario=scenario.model_dump(), seed=3, out="out").text()
    config = {"data": "mylab:load", "client": 1}
    context = types.SimpleNamespace(node_config=config, state=app.RecordDict())
    update = carrier(order, said, context)()
    assert update.held == SIZES[1]
    assert np.array_equal(update.delta, lab_update(lab, 1, order))


def lab_update(lab, client, order):
    node = next(node for node in lab.transport.listed.values() if node.client == client)
    return node.local.train(order)[0].delta
