"""How well the global model serves each client: on its own label mix, for evaluators only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.training import make_trainer

SEEDS = np.array([3, 4, 5])


def world_of(name="volunteers", seeds=SEEDS, rounds=4, transfer=0, **changes):
    world = FederatedWorld(load_scenario(name, **changes), len(seeds))
    world.reset(np.ones(len(seeds), dtype=bool), np.asarray(seeds))
    for _ in range(rounds):
        chosen, ones = world.situation().clients.available, np.ones(len(seeds))
        steps, sent = (np.where(chosen, value, 0).astype(np.int32) for value in (20, transfer))
        world.step(RoundPlan(steps, sent, ones, 0 * ones))
    return world


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_all_trainers_measure_the_same_accuracy_per_label(model):
    data = load_dataset("digits")
    built = make_model(model, data)
    rng = np.random.default_rng(0)
    params = rng.normal(0, 0.3, (3, built.num_parameters)).astype(np.float32)
    reference = make_trainer("numpy", data, built)
    expected = reference.class_accuracy(params, "test")
    counts = np.bincount(data.y_test, minlength=10)
    total = (expected * counts).sum(axis=1) / counts.sum()
    np.testing.assert_allclose(total, reference.evaluate(params, "test")[0])
    for name in ("fused", "torch"):
        measured = make_trainer(name, data, built).class_accuracy(params, "test")
        np.testing.assert_allclose(measured, expected, atol=1.5 / counts.min())
        assert np.abs(measured - expected).mean() < 0.002


def test_a_label_without_rows_has_no_accuracy():
    data = load_dataset("digits")
    few = replace(data, x_test=data.x_test[data.y_test != 7], y_test=data.y_test[data.y_test != 7])
    for name in ("numpy", "fused", "torch"):
        built = make_model("softmax", few)
        accuracy = make_trainer(name, few, built).class_accuracy(built.init(0)[None], "test")
        np.testing.assert_array_equal(np.isnan(accuracy[0]), np.arange(10) == 7)


def test_it_is_the_accuracy_on_test_rows_drawn_by_the_clients_label_mix():
    world = world_of()
    scores = world.client_test_accuracy()
    assert scores.shape == world.situation().clients.available.shape
    assert scores.min() >= 0 and scores.max() <= 1
    data, task = world.source.dataset, world.source.draw(4).task
    weight, bias = world.source.model.layers(world.parameters()[1])[0]
    hit = (data.x_test @ weight.T + bias).argmax(axis=1) == data.y_test
    rng = np.random.default_rng(0)
    for k in (0, 3):
        own = data.y_train[task.rows[task.offset[k] : task.offset[k] + task.own[k]]]
        drawn = [rng.choice(hit[data.y_test == label]) for label in rng.choice(own, 20_000)]
        assert np.mean(drawn) == pytest.approx(scores[1, k], abs=0.015)


def test_clients_that_share_one_mix_get_the_servers_accuracy():
    world = world_of(partition="iid", clients=4)
    accuracy = world.test_scores()[0]
    np.testing.assert_allclose(world.client_test_accuracy().mean(axis=1), accuracy, atol=0.03)


def test_rows_sent_by_the_hub_do_not_change_whom_the_model_must_serve():
    world = world_of(transfer=20)
    core = world._core
    assert (core.held > core.own).any()
    mix = core.label_mix()
    np.testing.assert_array_equal(mix, world_of(rounds=0)._core.label_mix())
    np.testing.assert_allclose(mix.sum(axis=2), 1.0)


def test_clients_without_data_stand_for_what_they_may_be_sent():
    world = world_of("spotmarket")
    assert (world._core.own == 0).any()
    assert np.isfinite(world.client_test_accuracy()).all()


@pytest.mark.parametrize("name", ["volunteers", "quadratic"])
def test_every_environment_of_a_batch_is_the_single_one(name):
    batch = world_of(name).client_test_accuracy()
    for row, seed in enumerate(SEEDS):
        np.testing.assert_array_equal(batch[row], world_of(name, [seed]).client_test_accuracy()[0])


def test_a_quadratic_client_is_served_as_well_as_its_loss_is_small():
    world = world_of("quadratic", rounds=8)
    losses = world._core.client_losses(np.ones((3, world.scenario.clients), dtype=bool))
    scores = world.client_test_accuracy()
    assert (scores > 0).all() and (scores <= 1).all()
    np.testing.assert_array_equal(np.argsort(scores, axis=1), np.argsort(-losses, axis=1))
    # With everybody at one optimum, every client sees what the server sees.
    world = world_of("quadratic", rounds=3, quadratic={"zone_spread": 0.0, "client_spread": 0.0})
    mean = (1 / world.client_test_accuracy()).mean(axis=1)
    np.testing.assert_allclose(mean, 1 / world.test_scores()[0], rtol=0.2)
