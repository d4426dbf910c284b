"""The dynamic program of tiny worlds against all schedules, and the clairvoyant that follows it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers.serving import make_policy
from frugalfl.agents.schedulers.serving.exact import best_schedule, small_enough
from frugalfl.envs.serving import KEEP, NOTHING
from frugalfl.envs.serving_view import gain_of, ladder_of

STEPS, STEP_S = 6, 600.0


def tiny(situations, seed):
    """2 slots, 2 tasks, 2 rungs, 6 steps; one slot is away for a while, loads take a step or less."""
    situation = situations(
        [seed], clairvoyant=True, slots=2, tasks=2, rungs=2, zones=2, ahead=STEPS, held=False
    )
    shares = np.ones((1, 2, STEPS))
    shares[0, 1, 2:4] = 0.0
    slots = replace(
        situation.slots,
        available=np.ones((1, 2), dtype=bool),
        load_s=np.array([[[60.0, 500.0], [90.0, 700.0]]]),
        load_points=np.array([[[0.0005, 0.002], [0.0004, 0.003]]]),
        capacity_per_step=np.array([[[300.0, 90.0], [250.0, 60.0]]]),
    )
    future = replace(
        situation.future, available_share=shares, session_left_s=np.array([[STEPS * STEP_S, 2 * STEP_S]])
    )
    return replace(situation, slots=slots, future=future)


def ladders_of(situation):
    """The ladder of every step."""
    requests = situation.future.requests
    return [ladder_of(situation, requests[..., h], away=True, hub_last=True) for h in range(STEPS)]


def played(situation, ladders, schedule):
    """What a schedule `[H, S]` gains, told in the plainest way; None if it orders what cannot be done."""
    total, loads_s = 0.0, np.tile(situation.slots.load_s[0], (1, 2))
    prices = np.tile(situation.slots.load_points[0], (1, 2)) * situation.terms.expected_requests[0]
    content, ready_s = np.full(2, NOTHING), np.zeros(2)
    for h, orders in enumerate(schedule):
        there = situation.future.available_share[0, :, h] > 0
        content[~there], ready_s[~there] = NOTHING, 0.0
        for slot, j in enumerate(orders):
            if j == NOTHING:
                continue
            if not there[slot] or ready_s[slot] > h * STEP_S or content[slot] == j:
                return None
            content[slot], ready_s[slot] = j, h * STEP_S + loads_s[slot, j]
            total -= prices[slot, j]
        share = np.clip(((h + 1) * STEP_S - ready_s) / STEP_S, 0.0, 1.0) * there
        total += gain_of(ladders[h], content[None], share[None])[0]
    return total


@pytest.mark.parametrize("steps", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", range(2))
def test_no_schedule_gains_more(situations, seed, steps):
    """Against all orders of both slots."""
    situation = tiny(situations, seed)
    ladders = ladders_of(situation)
    value, orders = best_schedule(situation, 0, steps)
    joint = list(itertools.product(range(-1, 4), repeat=2))
    every = [played(situation, ladders, each) for each in itertools.product(joint, repeat=steps)]
    assert value == pytest.approx(max(each for each in every if each is not None), rel=1e-12)
    assert played(situation, ladders, orders) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_its_value_is_what_its_orders_gain_and_others_gain_no_more(situations, seed):
    situation = tiny(situations, seed)
    value, orders = best_schedule(situation, 0, STEPS)
    ladders = ladders_of(situation)
    assert played(situation, ladders, orders) == pytest.approx(value, rel=1e-12)
    assert (orders[2:4, 1] == NOTHING).all()
    assert orders[4, 1] != NOTHING
    rng = np.random.default_rng(seed)
    for _ in range(300):
        changed = orders.copy()
        changed[rng.integers(STEPS), rng.integers(2)] = rng.integers(-1, 4)
        changed[rng.integers(STEPS), rng.integers(2)] = rng.integers(-1, 4)
        gain = played(situation, ladders, changed)
        assert gain is None or gain <= value + 1e-9


def test_the_clairvoyant_follows_it_where_it_can(situations):
    situation = tiny(situations, 1)
    assert small_enough(2, 4)
    assert not small_enough(24, 20)
    policy = make_policy("clairvoyant")
    policy.reset(np.ones(1, dtype=bool), np.array([1]), 2)
    _, orders = best_schedule(situation, 0, STEPS)
    plan = policy.plan(situation)
    assert np.array_equal(np.where(plan.load[0] == KEEP, NOTHING, plan.load[0] - 1), orders[0])
