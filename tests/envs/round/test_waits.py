"""Rounds, waits and decisions: a wait uses hours, a round is what trains, and every loop ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_worlds import begun

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.episode import MOST_DECISIONS_PER_ROUND, participation_rates
from frugalfl.envs.scenario import load_scenario

SEEDS = np.array([3, 4])


def rates_of(world, arrived):
    return participation_rates(world.ledger.completions, world.ledger.rounds, arrived)


def world_of(name="volunteers", seeds=SEEDS, **changes):
    return begun(load_scenario(name, **changes), seeds)


def train(world, steps=3, invited=None):
    chosen = world.situation().clients.available if invited is None else invited
    nothing, ones = np.zeros(chosen.shape, dtype=np.int32), np.ones(world.num_envs)
    return RoundPlan(np.where(chosen, steps, 0).astype(np.int32), nothing, ones, 0 * ones)


def wait(world, wait_s):
    return replace(train(world), wait_s=np.full(world.num_envs, float(wait_s)))


def probe(world, samples=8):
    plan = train(world, steps=0)
    return replace(plan, probe_samples=np.full(plan.local_steps.shape, samples, dtype=np.int32))


PLANS = {"train": train, "wait": lambda world: wait(world, 60.0), "probe": probe}


@settings(max_examples=15, deadline=None)
@given(kinds=st.lists(st.sampled_from(list(PLANS)), min_size=1, max_size=8), seed=st.integers(0, 30))
def test_only_training_is_a_round(kinds, seed):
    world = world_of("quadratic", seeds=[seed])
    limit = world.scenario.max_rounds
    for done, kind in enumerate(kinds, start=1):
        asked = PLANS[kind](world)
        if kind == "probe" and not asked.probed.any():
            kinds[done - 1] = "train"
        world.step(asked)
        rounds, run = kinds[:done].count("train"), world.situation().run
        assert run.round_index == rounds == world.totals()["rounds"] and run.rounds_left == limit - rounds
        assert world.ledger.decisions == done
        assert run.looks == 1 + done - kinds[:done].count("probe")


def test_a_round_to_which_nobody_could_be_invited_counts():
    world = world_of()
    away = ~world.situation().clients.available
    for invited in (away, np.zeros_like(away)):
        world.step(train(world, invited=invited))
    assert (world.totals()["rounds"] == 2).all() and (world.totals()["invitations"] == 0).all()


def test_what_is_counted_in_rounds_stays_over_a_wait():
    world = world_of()
    world.step(train(world))
    nobody = np.zeros(world.available.shape, dtype=bool)
    before, rates = world.situation(), rates_of(world, nobody)
    world.step(wait(world, 60.0))
    after = world.situation()
    for name in ("round_index", "rounds_left", "rounds_since", "recent_gain"):
        np.testing.assert_array_equal(after.flat()[name], before.flat()[name], err_msg=name)
    np.testing.assert_array_equal(rates_of(world, nobody), rates)
    np.testing.assert_array_equal(after.run.looks, before.run.looks + 1)
    np.testing.assert_array_equal(after.clients.sightings, before.clients.sightings + after.clients.available)


def test_the_first_rounds_know_nobody_as_rare_or_frequent():
    """With the rates of all subsets that could arrive first, the mean step is that of everybody."""
    world, n = world_of("quadratic", seeds=[1]), 20
    rates = lambda who: rates_of(world, who)[0]
    whoever = np.array([np.isin(np.arange(n), np.arange(first, first + 4) % n) for first in range(n)])
    each = np.mean([who / rates(who[None]) for who in whoever], axis=0)
    np.testing.assert_allclose(each, 1.0)
    chance = np.linspace(0.1, 0.9, n)
    rng, counts = np.random.default_rng(0), world.ledger.completions
    for index in range(4000):
        world.ledger.rounds[:] = index
        arrived = rng.random((1, n)) < chance
        known = rates_of(world, arrived)
        assert ((known > 0) & (known <= 1)).all()
        counts += arrived
    np.testing.assert_allclose(known[0], chance, atol=0.03)


@pytest.mark.parametrize("late", ["drop", "keep"])
def test_waits_between_rounds_do_not_repeat_a_minibatch(late):
    """Every round names its draws anew; with a wait too short to matter the model is the same to the bit."""
    plain, patient = world_of(late={"kind": late}), world_of(late={"kind": late})
    names = []
    order = patient._core.run_round
    patient._core.run_round = lambda orders: names.append(orders) or order(orders)
    for _ in range(4):
        plan = train(plain)
        plain.step(plan)
        patient.step(wait(patient, 1e-6))
        patient.step(plan)
    np.testing.assert_array_equal(plain.parameters(), patient.parameters())
    used = [set(one.round_index[0][one.local_steps[0] > 0].tolist()) if late == "keep" else
            {int(one.round_index[0])} for one in names if (one.local_steps[0] > 0).any()]  # fmt: skip
    assert len(used) > 1 and not set.intersection(*used)


def test_a_probe_asked_twice_before_a_round_answers_on_the_same_samples():
    world = world_of()
    world.step(train(world, steps=20))  # the untrained model has one loss for every sample
    first, again = world.step(probe(world)).outcome, world.step(probe(world)).outcome
    both = first.answered & again.answered
    assert both.any()
    np.testing.assert_array_equal(first.probed_loss[both], again.probed_loss[both])
    world.step(wait(world, 1e-6))
    waited = world.step(probe(world)).outcome
    both &= waited.answered
    np.testing.assert_array_equal(first.probed_loss[both], waited.probed_loss[both])
    world.step(train(world, invited=np.zeros_like(both)))  # a round that leaves the model as it is
    later = world.step(probe(world)).outcome
    assert (later.probed_loss != first.probed_loss)[both & later.answered].any()


def test_who_always_waits_runs_out_of_hours():
    world = world_of(budgets={"hours": 2.0}, max_rounds=1)
    for _ in range(4):
        assert world.running.all()
        result = world.step(wait(world, 1800.0))
    assert result.terminated.all() and not result.truncated.any()
    assert (world.totals()["rounds"] == 0).all()


@pytest.mark.parametrize("kinds", [("wait",), ("probe",), ("wait", "probe")], ids="-".join)
def test_decisions_are_limited_too(kinds):
    world = world_of(max_rounds=2)
    limit = 2 * MOST_DECISIONS_PER_ROUND
    for decision in range(limit):
        assert world.running.all()
        result = world.step(PLANS[kinds[decision % len(kinds)]](world))
    assert result.truncated.all() and not result.terminated.any()
    assert (world.ledger.decisions == limit).all() and (world.totals()["rounds"] == 0).all()


def test_waits_leave_all_rounds_of_the_limit():
    world = world_of(max_rounds=3, budgets={"hours": 500.0})
    for _ in range(3):
        for _ in range(3):
            assert not world.step(wait(world, 60.0)).truncated.any()
        result = world.step(train(world))
    assert result.truncated.all() and (world.totals()["rounds"] == 3).all()
