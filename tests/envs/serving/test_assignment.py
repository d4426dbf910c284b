"""Who answers what: conservation, capacities, order, and the optimum where the rule is one."""

import numpy as np
import pytest
from scipy.optimize import linprog

from frugalfl.envs.serving import NOTHING, Options, assign


def plain(requests, options):
    """The rule in NumPy, one environment after the other."""
    e, z, i = requests.shape
    s = options.task.shape[1]
    slots, hub, left = np.zeros((e, z, s)), np.zeros((e, z, i)), requests.astype(float).copy()
    for env in range(e):
        room = options.capacity[env].copy()
        cost = options.cost[env].T.reshape(-1)  # slot by slot, as ties are broken
        for pair in np.argsort(cost, kind="stable"):
            slot, zone = divmod(int(pair), z)
            task = options.task[env, slot]
            if task == NOTHING or room[slot] <= 0:
                continue
            most = min(room[slot], options.share[env, slot] * requests[env, zone, task])
            slots[env, zone, slot] = min(left[env, zone, task], most)
            left[env, zone, task] -= slots[env, zone, slot]
            room[slot] -= slots[env, zone, slot]
        room = options.hub_capacity[env]
        for pair in np.argsort(options.hub_cost[env].reshape(-1), kind="stable"):
            zone, task = divmod(int(pair), i)
            hub[env, zone, task] = min(left[env, zone, task], room)
            left[env, zone, task] -= hub[env, zone, task]
            room -= hub[env, zone, task]
    return slots, hub, left


def drawn(rng, e=5, z=3, s=7, i=2, whole=False):
    """Requests and options at random."""
    options = Options(
        task=rng.integers(-1, i, (e, s)),
        cost=rng.integers(0, 40, (e, z, s)).astype(float),  # with ties
        capacity=rng.uniform(0, 60, (e, s)) * (rng.random((e, s)) < 0.8),
        share=np.ones((e, s)) if whole else rng.choice([0.0, 0.4, 1.0], (e, s)),
        hub_cost=rng.uniform(0, 40, (e, z, i)),
        hub_capacity=rng.uniform(0, 60, e),
    )
    return rng.integers(0, 40, (e, z, i)).astype(float), options


@pytest.mark.parametrize("seed", range(20))
def test_the_kernel_is_the_plain_rule(seed):
    requests, options = drawn(np.random.default_rng(seed))
    found = assign(requests, options)
    for mine, theirs in zip((found.slots, found.hub, found.dropped), plain(requests, options), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_flows_are_conserved_and_nobody_answers_more_than_it_can(seed):
    requests, options = drawn(np.random.default_rng(seed))
    found = assign(requests, options)
    of_task = options.task[:, None, :, None] == np.arange(2)
    by_slots = (found.slots[..., None] * of_task).sum(axis=2)
    np.testing.assert_allclose(by_slots + found.hub + found.dropped, requests, atol=1e-9)
    assert (found.dropped >= 0).all() and (found.slots >= 0).all() and (found.hub >= 0).all()
    assert (found.slots.sum(axis=1) <= options.capacity + 1e-9).all()
    assert (found.hub.sum(axis=(1, 2)) <= options.hub_capacity + 1e-9).all()
    asked = np.take_along_axis(requests, np.maximum(options.task, 0)[:, None, :], axis=2)
    assert (found.slots <= options.share[:, None, :] * asked + 1e-9).all()


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_cheapest_flow_where_every_slot_serves_one_zone(seed):
    rng = np.random.default_rng(seed)
    requests, options = drawn(rng, e=1, z=3, s=7, i=2, whole=True)
    home = rng.integers(0, 3, 7)
    cost = np.where(np.arange(3)[:, None] == home, options.cost[0], 1e4)
    options = Options(
        options.task, cost[None], options.capacity, options.share, options.hub_cost + 2e4, np.zeros(1)
    )
    found = assign(requests, options)
    mine = (found.slots * (1e4 - cost)).sum()
    # The same as a linear program: as much as possible at home, at the least cost.
    pairs = [(z, s) for z in range(3) for s in range(7) if options.task[0, s] >= 0 and home[s] == z]
    rows, most = [], []
    for slot in range(7):
        rows.append([float(s == slot) for _, s in pairs])
        most.append(options.capacity[0, slot])
    for zone in range(3):
        for task in range(2):
            rows.append([float(z == zone and options.task[0, s] == task) for z, s in pairs])
            most.append(requests[0, zone, task])
    best = linprog([cost[z, s] - 1e4 for z, s in pairs], A_ub=rows, b_ub=most)
    at_home = np.where(np.arange(3)[:, None] == home, found.slots[0] * (1e4 - cost), 0.0).sum()
    assert at_home == pytest.approx(-best.fun, rel=1e-9)
    assert mine == pytest.approx(at_home)
