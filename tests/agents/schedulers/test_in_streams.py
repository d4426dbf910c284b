"""Every scheduler plays in a world that serves, whatever it was made for."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.players import make_player
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.agents.schedulers.planning import Clairvoyant
from frugalfl.envs.contract import rollout
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

HOURS = 4
PLAYABLE = [name for name in SCHEDULERS if name != "clairvoyant"]


@pytest.fixture(scope="module")
def world():
    """Eight clients for four hours, the first drift after one hour in the mean."""
    changes = {"clients": 8, "budgets": {"hours": HOURS}, "drift": {"kind": "shift", "mean_h": 1.0}}
    return FederatedWorld(load_scenario("streams", **changes), 2, "val")


@pytest.mark.parametrize("name", PLAYABLE)
def test_it_plays_to_the_horizon(name, world):
    turns = list(rollout(world, make_player(name, world.scenario), np.array([3, 8])))
    asked = sum(turn.result.outcome.served.requests for turn in turns)
    assert np.array_equal(asked, world._streams.serving.requests)
    assert (world.time_s >= HOURS * 3600.0 - 1e-6).all()
    assert np.isfinite(world.totals()["net_points"]).all()
    repairs = sum(turn.result.outcome.repairs.sum() for turn in turns)
    assert repairs == 0  # nobody is invited that remembers nothing


def test_the_search_in_hindsight_is_behind_nobody_that_it_tried(world):
    worlds = {2: world}
    take = lambda size: worlds.setdefault(size, FederatedWorld(world.scenario, size, "val"))
    rules = [make_scheduler("random-m", participants=4), make_scheduler("all-available")]
    seeds, found = np.array([3, 8]), []
    search = Clairvoyant(rules, max_candidates=3, splices=1, mutations=4)
    search.prepare(take, seeds.tolist(), batch=2)
    for player in (*rules, search):
        for _ in rollout(world, player, seeds):
            pass
        found.append(world.totals()["net_points"])
    assert (found[-1] >= np.max(found[:-1], axis=0) - 1e-9).all()
