"""Differential privacy in a world: every round of training is as noisy as the others, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.envs.contract import STOP_S, RoundPlan

NOISY = {"kind": "gaussian", "clip": 1.0, "noise_multiplier": 0.5, "expected_clients": 4}


def world_of(name, late="drop", **changes):
    return begun(plain(name, aggregator=NOISY, late={"kind": late}, **changes), [3, 4, 5])


def plan_for(world, invited=0):
    """A round for the first clients that are there, in every environment."""
    available = world.situation().clients.available
    chosen = available & (np.cumsum(available, axis=1) <= invited)
    ones = np.ones(world.num_envs)
    return RoundPlan(np.where(chosen, 2, 0).astype(np.int32), 0 * chosen.astype(np.int32), ones, 0 * ones)


@pytest.mark.parametrize("late", ["drop", "keep"])
@pytest.mark.parametrize("name", ["volunteers", "quadratic"])
def test_a_round_in_which_nothing_arrives_moves_the_model_and_is_measured(name, late):
    world = world_of(name, late)
    before, accuracy = world.parameters(), world.ledger.loss.copy()
    result = world.step(plan_for(world))
    assert not result.outcome.completed.any()
    moved = world.parameters() - before
    assert (moved != 0).any(axis=1).all(), "silence would tell that nobody took part"
    assert (world.ledger.loss != accuracy).all() and (world.ledger.rounds == 1).all()


@pytest.mark.parametrize("late", ["drop", "keep"])
def test_waits_probes_and_the_end_are_no_rounds(late):
    world = world_of("volunteers", late)
    train = plan_for(world)
    probe = replace(train, probe_samples=np.full(train.local_steps.shape, 8, dtype=np.int32))
    before = world.parameters()
    world.step(replace(train, wait_s=np.full(3, 60.0)))
    world.step(probe)
    world.step(replace(train, wait_s=np.array([STOP_S, 60.0, STOP_S])))
    np.testing.assert_array_equal(world.parameters(), before)
    world.step(train)
    assert (world.parameters() != before).any(axis=1).tolist() == [False, True, False]


def test_other_aggregators_leave_a_silent_round_alone():
    world = begun(plain("volunteers"), [3, 4])
    before, loss = world.parameters(), world.ledger.loss.copy()
    world.step(plan_for(world))
    np.testing.assert_array_equal(world.parameters(), before)
    np.testing.assert_array_equal(world.ledger.loss, loss)
