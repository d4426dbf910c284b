"""The rules of the world: what is charged, who trains, what ends an episode."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from own_worlds import plain

from frugalfl.envs.contract import STOP_S, RoundPlan
from frugalfl.envs.world import FederatedWorld

WORLDS = ["phones", "volunteers", "spotmarket"]
SEEDS = np.array([3, 4])
ALL = np.ones(2, dtype=bool)


def world_of(name, num_envs=2, split="train", **changes):
    world = FederatedWorld(plain(name, **changes), num_envs, split)
    world.reset(np.ones(num_envs, dtype=bool), SEEDS[:num_envs])
    return world


def plan_of(world, steps=10, transfer=0, quorum=1.0, wait_s=0.0, only=None, weights=None):
    e = world.num_envs
    chosen = world.situation().clients.available if only is None else only
    return RoundPlan(
        local_steps=np.where(chosen, steps, 0).astype(np.int32),
        transfer_samples=np.where(chosen, transfer, 0).astype(np.int32),
        quorum=np.full(e, quorum),
        wait_s=np.full(e, float(wait_s)),
        weights=weights,
    )


@pytest.fixture(params=WORLDS)
def world(request):
    return world_of(request.param)


def test_costs_are_the_sum_over_clients_and_rounds(world):
    spent = np.zeros((2, 4))
    for quorum in (1.0, 0.5, 0.8, 1.0):
        outcome = world.step(plan_of(world, 20, 20, quorum)).outcome
        moved = outcome.down_bytes + outcome.up_bytes
        spent += np.stack(
            [outcome.duration_s / 3600, moved.sum(1) / 1e9, outcome.energy_j.sum(1) / 3.6e6,
             outcome.emissions_g.sum(1) / 1e3], axis=1)  # fmt: skip
        groups = outcome.completed.astype(int) + outcome.lost + outcome.cancelled
        np.testing.assert_array_equal(groups, outcome.invited)
        assert (outcome.stop_s <= outcome.duration_s[:, None]).all()
        assert not moved[~outcome.invited].any() and not outcome.energy_j[~outcome.invited].any()
    totals = world.totals()
    for index, name in enumerate(["hours", "gigabytes", "kilowatt_hours", "kilograms"]):
        np.testing.assert_allclose(totals[name], spent[:, index])
    np.testing.assert_allclose(world.time_s, totals["hours"] * 3600)


def test_a_completed_client_pays_for_the_whole_model_and_its_samples(world):
    before = world.situation()
    outcome = world.step(plan_of(world, 5, 20)).outcome
    done = outcome.completed
    sent = world.situation().clients.samples_sent - before.clients.samples_sent
    assert done.any()
    np.testing.assert_allclose(outcome.up_bytes[done], world.source.model_bytes)
    still = done if not world.scenario.hub.ephemeral else done & (sent > 0)
    expected = world.source.model_bytes + sent[still] * before.terms.sample_bytes[0]
    np.testing.assert_allclose(outcome.down_bytes[still], expected)


def test_emissions_equal_a_one_second_integration():
    world = world_of("volunteers", 1)
    for _ in range(3):
        start_s, situation = world.time_s[0], world.situation()
        outcome = world.step(plan_of(world, 10, 20, 0.8)).outcome
        p = world._population
        for k in np.flatnonzero(outcome.invited[0]):
            down_s = outcome.down_bytes[0, k] / situation.clients.down_bytes_per_s[0, k]
            up_s = outcome.up_bytes[0, k] / situation.clients.up_bytes_per_s[0, k]
            compute_s = outcome.compute_s[0, k]
            per_byte = situation.clients.network_j_per_byte[0, k]
            phases = [
                (down_s, situation.clients.down_bytes_per_s[0, k] * per_byte),
                (compute_s, situation.clients.compute_watts[0, k]),
                (up_s, situation.clients.up_bytes_per_s[0, k] * per_byte),
            ]
            grams, now_s = 0.0, start_s
            for length_s, watts in phases:
                for second in np.arange(0.0, length_s, 1.0):
                    slice_s = min(1.0, length_s - second)
                    middle_s = np.array([now_s + second + slice_s / 2])
                    grams += watts * slice_s / 3.6e6 * world.carbon.now(middle_s)[0, p.zone[0, k]]
                now_s += length_s
            assert outcome.emissions_g[0, k] == pytest.approx(grams, rel=1e-3, abs=1e-9)
            if up_s > 0:
                assert down_s + compute_s + up_s == pytest.approx(outcome.stop_s[0, k])


def test_reward_is_accuracy_gained_minus_priced_costs(world):
    result = world.step(plan_of(world, 20))
    totals, prices = world.totals(), world.prices
    np.testing.assert_allclose(result.terms[:, 0], 100 * (totals["accuracy"] - totals["accuracy_start"]))
    for index, name in enumerate(["hours", "gigabytes", "kilograms"]):
        np.testing.assert_allclose(result.terms[:, 1 + index], -prices[:, index] * totals[name])
    np.testing.assert_allclose(result.reward, result.terms.sum(axis=1))
    np.testing.assert_allclose(totals["net_points"], result.reward)


def test_an_update_of_a_lost_client_never_reaches_the_model():
    """Two worlds that differ only in the orders of clients that will be lost end with the same model."""
    probe, without = world_of("volunteers", 1), world_of("volunteers", 1)
    for _ in range(12):
        situation = probe.situation(clairvoyant=True)
        doomed = situation.clients.available & (situation.future.session_left_s < situation.round_s(40))
        if doomed.any():
            break
        for world in (probe, without):
            world.step(plan_of(world, 0, wait_s=1800))
    assert doomed.any(), "no session was about to end; the test needs other seeds"
    steps = np.where(doomed, 40, np.where(situation.clients.available, 5, 0)).astype(np.int32)
    zeros, one = np.zeros_like(steps), np.ones(1)
    lost = probe.step(RoundPlan(steps, zeros, one, zeros[:, 0].astype(float))).outcome
    kept = without.step(RoundPlan(np.where(lost.completed, steps, 0), zeros, one, zeros[:, 0].astype(float)))
    assert (lost.lost | lost.cancelled).any() and lost.completed.any()
    np.testing.assert_array_equal(kept.outcome.completed, lost.completed)
    np.testing.assert_array_equal(probe.parameters(), without.parameters())
    assert lost.wasted_j[0][lost.lost[0]].min() > 0


def test_a_round_without_arrivals_costs_and_changes_nothing_else(world):
    before = world.parameters()
    plan = plan_of(world, 10_000)
    result = world.step(plan)
    assert not result.outcome.completed.any()
    np.testing.assert_array_equal(world.parameters(), before)
    assert (result.terms[:, 0] == 0).all() and (world.totals()["hours"] > 0).all()
    assert (world.totals()["wasted_share"] == 1).all()


def test_inviting_who_is_away_is_repaired_and_counted(world):
    away = ~world.situation().clients.available
    outcome = world.step(plan_of(world, 5, only=np.ones_like(away))).outcome
    assert not outcome.invited[away].any()
    assert (outcome.repairs >= away.sum(axis=1)).all()


def test_waiting_only_passes_time(world):
    before = world.parameters()
    result = world.step(plan_of(world, 10, wait_s=1800))
    np.testing.assert_array_equal(world.time_s, [1800, 1800])
    np.testing.assert_array_equal(world.parameters(), before)
    assert not result.outcome.invited.any() and (result.terms[:, [0, 2, 3]] == 0).all()


def test_waiting_for_ever_ends_the_run_for_free(world):
    result = world.step(plan_of(world, 10, wait_s=STOP_S))
    assert result.terminated.all() and not result.truncated.any() and (result.reward == 0).all()


def test_an_ended_episode_is_frozen():
    world = world_of("volunteers")
    plan = plan_of(world, 10)
    plan.wait_s[0] = STOP_S
    world.step(plan)
    before = world.totals()
    result = world.step(plan_of(world, 10))
    assert result.active.tolist() == [False, True]
    for name, values in world.totals().items():
        assert values[0] == before[name][0]
    assert result.reward[0] == 0 and not result.outcome.invited[0].any()


def test_the_round_limit_truncates_and_a_budget_terminates():
    world = world_of("volunteers", max_rounds=2)
    assert not world.step(plan_of(world, 5)).truncated.any()
    result = world.step(plan_of(world, 5))
    assert result.truncated.all() and not result.terminated.any()
    world = world_of("volunteers", budgets={"gigabytes": 0.5})
    result = world.step(plan_of(world, 5))
    assert result.terminated.all() and (result.cost > 0).all()


def test_reaching_the_target_terminates():
    world = world_of("volunteers", target_accuracy=0.2)
    for _ in range(5):
        result = world.step(plan_of(world, 20))
        if result.terminated.all():
            break
    assert (world.totals()["accuracy"] >= 0.2).all()


def test_full_quorum_without_losses_is_plain_fedavg():
    world = world_of("volunteers", 1)
    situation = world.situation(clairvoyant=True)
    safe = situation.clients.available & (situation.future.session_left_s > situation.round_s(5) + 1)
    safe &= situation.round_s(5) < situation.terms.deadline_s[:, None]
    start = world.parameters()
    sizes = situation.clients.samples_held[0].astype(float)
    outcome = world.step(plan_of(world, 5, only=safe)).outcome
    np.testing.assert_array_equal(outcome.completed, safe)
    together = world.parameters()[0]
    average, total = np.zeros_like(together, dtype=float), sizes[safe[0]].sum()
    for k in np.flatnonzero(safe[0]):
        alone = world_of("volunteers", 1)
        np.testing.assert_array_equal(alone.parameters(), start)
        mine = np.zeros_like(safe)
        mine[0, k] = True
        alone.step(plan_of(alone, 5, only=mine))
        average += sizes[k] / total * alone.parameters()[0]
    np.testing.assert_allclose(together, average, atol=1e-5)


def test_a_plans_own_weights_replace_the_aggregators():
    one, other, both = (world_of("volunteers", 1) for _ in range(3))
    here = np.flatnonzero(both.available[0])
    single = np.eye(both.scenario.clients)[here[:2], None]
    for world, weights in zip(
        (one, other, both), (single[0], single[1], 3 * single[0] + single[1]), strict=True
    ):
        world.step(plan_of(world, 1, weights=weights))
    mixed = 0.75 * one.parameters() + 0.25 * other.parameters()
    np.testing.assert_allclose(both.parameters(), mixed, atol=1e-6)


def test_test_data_never_reaches_training_observation_or_reward():
    clean, poisoned = world_of("volunteers"), FederatedWorld(plain("volunteers"), 2)
    data = poisoned.source.dataset
    flags = data.x_test.flags.writeable
    data.x_test.flags.writeable = True
    kept = data.x_test.copy()
    try:
        data.x_test[...] = np.nan
        poisoned.reset(ALL, SEEDS)
        for _ in range(3):
            a, b = clean.step(plan_of(clean, 10, 20)), poisoned.step(plan_of(poisoned, 10, 20))
            np.testing.assert_array_equal(a.reward, b.reward)
        np.testing.assert_array_equal(clean.parameters(), poisoned.parameters())
        for name in ("last_loss", "accuracy", "loss"):
            x, y = clean.situation().flat()[name], poisoned.situation().flat()[name]
            np.testing.assert_array_equal(x, y)
    finally:
        data.x_test[...] = kept
        data.x_test.flags.writeable = flags


def test_splits_share_no_episode():
    """The same seeds in another split give other traces, data and devices."""
    a, b = world_of("volunteers", split="train"), world_of("volunteers", split="test")
    assert (a.situation().clients.step_s != b.situation().clients.step_s).any()
    assert (a._population.start_utc_s != b._population.start_utc_s).all()


def test_a_bad_plan_is_refused_and_leaves_the_world_as_it_was(world):
    plan = plan_of(world, 5)
    before = world.totals()
    bad = RoundPlan(plan.local_steps[:, :-1], plan.transfer_samples, plan.quorum, plan.wait_s)
    with pytest.raises(ValueError, match="local_steps: shape"):
        world.step(bad)
    with pytest.raises(ValueError, match="quorum"):
        world.step(RoundPlan(plan.local_steps, plan.transfer_samples, plan.quorum * 0, plan.wait_s))
    for name, values in world.totals().items():
        np.testing.assert_array_equal(values, before[name])


def test_ephemeral_storage_is_wiped_when_the_session_ends():
    world = world_of("spotmarket", 1)
    assert (world.situation().clients.samples_held == 0).all()
    held_once = np.zeros((1, world.scenario.clients), dtype=bool)
    wiped = False
    for _ in range(20):
        result = world.step(plan_of(world, 10, 20))
        samples = world.situation().clients.samples_held
        held_once |= samples > 0
        wiped |= bool((held_once & (samples == 0) & result.outcome.lost).any())
    assert held_once.any() and wiped


def test_a_row_of_nan_weights_leaves_that_environment_to_the_aggregator():
    mixed, plain = world_of("volunteers"), world_of("volunteers")
    weights = np.full((2, mixed.scenario.clients), np.nan)
    weights[1] = 0.05
    mixed.step(plan_of(mixed, 5, weights=weights))
    plain.step(plan_of(plain, 5))
    np.testing.assert_array_equal(mixed.parameters()[0], plain.parameters()[0])
    assert (mixed.parameters()[1] != plain.parameters()[1]).any()


@pytest.mark.parametrize(
    "trainer",
    ["auto", "torch", pytest.param({"kind": "torch", "workers": 2}, marks=pytest.mark.slow)],
    ids=["auto", "torch", "workers"],
)
def test_a_copied_and_an_unpickled_world_go_on_alike(trainer):
    world = world_of("volunteers", trainer=trainer)
    world.step(plan_of(world))
    copies = [copy.deepcopy(world), pickle.loads(pickle.dumps(world))]
    want = world.step(plan_of(world))
    for other in copies:
        got = other.step(plan_of(other))
        assert np.array_equal(got.reward, want.reward)
        assert np.array_equal(got.outcome.accuracy, want.outcome.accuracy)
