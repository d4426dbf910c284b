"""Budgets drawn per episode: in their range, from the seed alone, known to the coordinator, and they bind."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.envs.agent_view import SERVER_FEATURES, ObservationEncoder
from frugalfl.envs.contract import RoundPlan
from frugalfl.worlds import FederatedWorld, load_scenario

BUDGETS = {"hours": [2.0, 8.0], "gigabytes": [0.5, 50.0]}
SEEDS = np.arange(40)


def world_of(seeds=SEEDS, **changes):
    scenario = load_scenario("quadratic", **({"budgets": BUDGETS} | changes))
    world = FederatedWorld(scenario, len(seeds))
    world.reset(np.ones(len(seeds), dtype=bool), seeds)
    return world


def waiting(world, seconds):
    nobody = np.zeros((world.num_envs, world.scenario.clients), dtype=np.int32)
    one = np.ones(world.num_envs)
    return RoundPlan(nobody, nobody, one, one * seconds)


def test_they_fill_their_range_and_nothing_else_changes():
    left = world_of().situation().terms.budget_left
    assert ((left[:, 0] >= 2) & (left[:, 0] <= 8)).all() and np.ptp(left[:, 0]) > 4
    assert ((left[:, 1] >= 0.5) & (left[:, 1] <= 50)).all() and np.isinf(left[:, 2]).all()
    # Log-uniform: as many below the geometric mean as above, within chance.
    assert 10 < (left[:, 0] < 4).sum() < 30
    fixed = world_of(budgets={"hours": 8.0, "gigabytes": 50.0}).situation()
    drawn = world_of().situation()
    np.testing.assert_array_equal(fixed.clients.available, drawn.clients.available)
    np.testing.assert_array_equal(fixed.terms.price_per_hour, drawn.terms.price_per_hour)


def test_an_episode_has_the_same_alone_and_in_a_batch():
    batch = world_of().situation().terms.budget_left
    for env in (0, 17):
        alone = world_of(SEEDS[env : env + 1]).situation().terms.budget_left
        np.testing.assert_array_equal(alone[0], batch[env])


def test_each_run_ends_at_its_own_deadline():
    world = world_of()
    hours = world.situation().terms.budget_left[:, 0]
    ended_h = np.zeros(len(SEEDS))
    while world.running.any():
        running = world.running.copy()
        result = world.step(waiting(world, 900.0))
        ended_h = np.where(running & result.terminated, world.ledger.hours, ended_h)
        if result.truncated.any():
            break
    done = ended_h > 0
    assert done.any() and (ended_h[done] >= hours[done]).all() and (ended_h[done] < hours[done] + 0.26).all()


def test_the_agent_sees_how_much_is_left_in_hours_not_in_shares_of_its_own():
    world = world_of()
    observed = ObservationEncoder(world.scenario).encode(world.situation())["server"]
    left = world.situation().terms.budget_left
    hours = observed[:, SERVER_FEATURES.index("hours_left")]
    np.testing.assert_allclose(hours, left[:, 0] / 8.0, rtol=1e-6)


@pytest.mark.parametrize("hours", [[8.0, 2.0], [0.0, 5.0], [1.0, 2.0, 3.0]])
def test_what_is_no_range_is_refused(hours):
    with pytest.raises(ValueError, match=r"budgets\.hours"):
        load_scenario("quadratic", budgets={"hours": hours})
