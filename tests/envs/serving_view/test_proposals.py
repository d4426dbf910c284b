"""Proposals: they pay, they are made one after the other, and observations and `swap-greedy` have them."""

from dataclasses import replace

import numpy as np
import pytest
from small_serving import small

from frugalfl.agents.schedulers.serving import make_policy
from frugalfl.envs.serving import NOTHING
from frugalfl.envs.serving_view import (
    ServingView,
    coming_content,
    gain_of,
    propose,
    slot_features,
)

SEEDS = np.array([5, 11, 923])


@pytest.fixture
def view():
    """Three worlds some steps after their beginning: some slots are full, others empty or loading."""
    made = ServingView(small(), 3)
    made.reset(np.ones(3, dtype=bool), SEEDS)
    policy = make_policy("online-greedy")
    policy.reset(np.ones(3, dtype=bool), SEEDS, 6)
    for _ in range(3):
        made.step(policy.plan(made.situation))
    return made


@pytest.mark.parametrize("horizon", [2.0, 5.0, 36.0])
def test_gains_of_proposals_add_up_to_the_gain_of_them_all(view, horizon):
    situation = view.situation
    found, held = propose(situation, horizon, 0.3), coming_content(situation)
    changed = np.where(found.content == NOTHING, held, found.content)
    together = gain_of(found.ladder, changed) - gain_of(found.ladder, held)
    np.testing.assert_allclose(found.gain.sum(axis=1), together, rtol=1e-9, atol=1e-6)


def test_every_proposal_can_be_begun_and_earns_its_price(view):
    found, situation = propose(view.situation, 5.0, 0.3), view.situation
    there = found.content != NOTHING
    assert there.any() and not there[~situation.loadable].any()
    assert (5.0 * found.gain > found.price)[there].all() and (found.price > 0)[there].all()
    assert not found.gain[~there].any() and not found.price[~there].any()


def test_nothing_is_proposed_where_loads_are_dear(view):
    slots = view.situation.slots
    dear = replace(view.situation, slots=replace(slots, load_points=slots.load_points * 1e6))
    assert (propose(dear, 5.0, 0.3).content == NOTHING).all()


def test_no_two_slots_are_sent_for_the_same_requests(view):
    """Each best change by itself would serve more than is asked; made one after the other they do not."""
    situation, tasks = view.situation, view.situation.tasks
    few = np.zeros_like(tasks.requests_last)
    few[:, 0, 0] = 1.0
    empty = replace(situation.slots, model=np.full((3, 6), NOTHING), loading=np.full((3, 6), NOTHING))
    free = replace(empty, load_points=empty.load_points * 1e-6)
    hub = replace(situation.hub, capacity_per_step=np.zeros(3))
    asked = replace(tasks, requests_last=few, rate=few)
    only = replace(situation, slots=free, tasks=asked, hub=hub)
    assert ((propose(only, 5.0, 0.0).content != NOTHING).sum(axis=1) == 1).all()


def test_observations_show_what_swap_greedy_loads(view):
    policy = make_policy("swap-greedy")
    policy.reset(np.ones(3, dtype=bool), SEEDS, 6)
    load, names, seen = (
        policy.plan(view.situation).load,
        slot_features(view.scenario),
        view.observe()["slots"],
    )
    for task in range(4):
        shown = seen[..., names.index(f"proposed_task_{task}")] == 1
        np.testing.assert_array_equal(shown, (load > 0) & ((load - 1) // 5 == task))
    for rung in range(5):
        shown = seen[..., names.index(f"proposed_rung_{rung}")] == 1
        np.testing.assert_array_equal(shown, (load > 0) & ((load - 1) % 5 == rung))
