"""What clients use in the end: how well it serves them, and that its costs are charged."""

from __future__ import annotations

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = np.array([3, 4])
WAYS = [
    {"personal": "knn", "neighbours": 5, "share": 0.5},
    {"personal": "blocks", "blocks": 3},
    {"personal": "mixture", "components": 2},
]
SKEWED = {"kind": "zone", "zone_alpha": 0.1, "client_alpha": 0.3}


def world_of(evaluation=None, seeds=SEEDS, name="volunteers", **changes):
    return begun(plain(name, evaluation=evaluation or {}, **changes), seeds)


def play(world, rounds=6, steps=20):
    for _ in range(rounds):
        chosen, ones = world.situation().clients.available, np.ones(world.num_envs)
        nothing = np.zeros(chosen.shape, dtype=np.int32)
        world.step(RoundPlan(np.where(chosen, steps, 0).astype(np.int32), nothing, ones, 0 * ones))
    return world


def test_by_default_everybody_uses_the_global_model_for_free():
    world = play(world_of())
    before, scores = world.totals(), world.client_scores()
    np.testing.assert_array_equal(scores.accuracy, world.client_test_accuracy())
    assert not scores.moved_bytes.any() and not scores.energy_j.any()
    for name, values in world.totals().items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("way", WAYS[:2])
def test_it_changes_nothing_in_training(way):
    plain, other = play(world_of()), play(world_of(way))
    np.testing.assert_array_equal(plain.parameters(), other.parameters())
    for name, values in plain.totals().items():
        np.testing.assert_array_equal(values, other.totals()[name])


@pytest.mark.parametrize("way", WAYS)
def test_every_environment_of_a_batch_is_the_single_one(way):
    batch = play(world_of(way), 3)
    together = batch.client_scores()
    for row, seed in enumerate(SEEDS):
        world = play(world_of(way, [seed]), 3)
        for name, values in vars(world.client_scores()).items():
            np.testing.assert_array_equal(getattr(together, name)[row], values[0], err_msg=name)
        for name, values in world.totals().items():
            np.testing.assert_array_equal(batch.totals()[name][row], values[0], err_msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_what_it_costs_is_charged_once(way):
    world = play(world_of(way), 2)
    s, before, scores = world.situation(), world.totals(), world.client_scores()
    after = world.totals()
    spent = {
        "gigabytes": scores.moved_bytes.sum(axis=1) / 1e9,
        "kilowatt_hours": scores.energy_j.sum(axis=1) / 3.6e6,
        "kilograms": scores.emissions_g.sum(axis=1) / 1e3,
    }
    for name, values in spent.items():
        assert (scores.energy_j > 0).all()
        np.testing.assert_allclose(after[name] - before[name], values)
    prices = world.prices
    paid = prices[:, 1] * spent["gigabytes"] + prices[:, 2] * spent["kilograms"]
    np.testing.assert_allclose(before["net_points"] - after["net_points"], paid)
    np.testing.assert_allclose(scores.emissions_g, scores.energy_j / 3.6e6 * s.client_carbon)
    world.client_scores()
    for name, values in world.totals().items():
        np.testing.assert_array_equal(values, after[name])


def test_neighbours_cost_one_forward_pass_over_the_own_rows():
    world = play(world_of(WAYS[0]), 2)
    s, scores = world.situation(), world.client_scores()
    batches = np.ceil(s.clients.samples_held / world.source.training.batch_size)
    np.testing.assert_allclose(scores.compute_s, batches * s.clients.step_s / 3)
    np.testing.assert_allclose(scores.energy_j, scores.compute_s * s.clients.compute_watts)
    assert not scores.moved_bytes.any()


def test_a_snapshot_costs_one_download():
    world = play(world_of(WAYS[1]), 2)
    s, scores = world.situation(), world.client_scores()
    np.testing.assert_allclose(scores.moved_bytes, s.terms.model_bytes[0])
    np.testing.assert_allclose(scores.energy_j, s.terms.model_bytes[0] * s.clients.network_j_per_byte)


def test_components_are_charged_like_further_models_in_every_round():
    plain, mixed = world_of(seeds=[3]), world_of(WAYS[2], [3])
    one, three = plain.situation(), mixed.situation(clairvoyant=True)
    assert three.terms.model_bytes[0] == 3 * one.terms.model_bytes[0]
    np.testing.assert_array_equal(three.clients.step_s, 3 * one.clients.step_s)
    safe = three.clients.available & (three.future.session_left_s > 2 * three.round_s(5))
    nothing, ones = np.zeros(safe.shape, dtype=np.int32), np.ones(1)
    plan = RoundPlan(np.where(safe, 5, 0).astype(np.int32), nothing, ones, 0 * ones)
    first, second = plain.step(plan).outcome, mixed.step(plan).outcome
    done = first.completed & second.completed
    assert done.any()
    np.testing.assert_allclose(second.up_bytes[done], 3 * first.up_bytes[done])
    forward_s = (
        2 * np.ceil(one.clients.samples_held / plain.source.training.batch_size) * one.clients.step_s / 3
    )
    np.testing.assert_allclose(second.compute_s[done], (3 * first.compute_s + forward_s)[done])


def test_clients_with_few_labels_are_served_better_by_their_own_way():
    light = {"partition": SKEWED, "workload": {"step_s": 0.1, "model_bytes": 1e5}}
    plain, knn, mixture = (
        play(world_of(way, **light), 12).client_scores().accuracy.mean() for way in ({}, WAYS[0], WAYS[2])
    )
    assert knn > plain + 0.02 and mixture > plain


def test_a_client_uses_the_snapshot_of_the_hours_in_which_it_was_seen():
    world = play(world_of(WAYS[1], [3]), 25)
    personal = world._execution.personal
    taken, seen = personal._taken[0], personal._seen[0]
    assert taken.sum() >= 2 and (seen.sum(axis=1) <= 25).all()
    scores = world.client_scores().accuracy[0]
    each = world._core.trainer.class_accuracy(personal._snapshots[0], "test")
    mix = world._core.label_mix()[0]
    for k, block in enumerate(seen.argmax(axis=1)):
        if taken[block]:
            np.testing.assert_allclose(scores[k], mix[k] @ each[block], rtol=1e-12)


def test_worlds_without_own_data_have_scores_too():
    world = play(world_of(WAYS[0], name="spotmarket"), 2)
    assert np.isfinite(world.client_scores().accuracy).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"personal": "kn"}}, "evaluation.personal: 'kn'"),
        ({"evaluation": {"personal": "knn", "blocks": 3}}, "blocks: 3, expected only with personal: blocks"),
        ({"evaluation": {"personal": "knn", "share": 1.5}}, "evaluation.share: 1.5"),
        ({"evaluation": {"personal": "mixture"}, "late": {"kind": "keep"}}, "neither late updates"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        FederatedWorld(plain("volunteers", **changes))
    with pytest.raises(ValueError, match="in a world of quadratics"):
        load_scenario("quadratic", evaluation={"personal": "knn"})
