"""Settings found in hindsight: the best that was tried for every episode, and only what a world offers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.planning import Clairvoyant
from frugalfl.agents.schedulers.streams import DriftOracle
from frugalfl.envs.contract import rollout, show_episodes
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

WORLD = load_scenario(
    "quadraticstreams",
    clients=8,
    budgets={"hours": 12},
    drift={"kind": "jumps", "mean_h": 3, "distance": 4},
    serving={"refresh": ["none", "available"]},
)
SEEDS = np.array([5, 6, 7, 8])


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(DriftOracle, "tries", 9)


@pytest.fixture(scope="module")
def world():
    return FederatedWorld(WORLD, len(SEEDS), "val")


def points(world, scheduler, seeds=SEEDS):
    for _ in rollout(world, scheduler, seeds):
        pass
    return world.totals()["net_points"]


@pytest.fixture
def adapted(world):
    oracle = make_scheduler("drift-oracle", after_rounds=20)
    show_episodes(oracle, lambda size: world, SEEDS.tolist(), len(SEEDS))
    return oracle


def test_it_is_the_best_of_what_was_tried_in_every_episode(world, adapted):
    own = points(world, replace(adapted))
    found = points(world, adapted)
    alone = np.array([points(world, rule) for rule in adapted._rules])
    assert (found >= own).all()
    assert np.array_equal(found, alone.max(axis=0))
    assert found.mean() > own.mean() + 1.0  # twenty rounds after a drift are too many


def test_only_what_the_world_offers_is_tried(adapted):
    for rule in adapted._rules:
        assert rule.refresh in ("own", "none", "available")
        assert rule.participants <= WORLD.clients or rule.participants == adapted.participants
        assert rule.local_steps <= WORLD.levels.local_steps[-1]


def test_episodes_that_it_was_not_shown_are_played_with_its_own_settings(world, adapted):
    others = SEEDS + 100
    assert np.array_equal(points(world, adapted, others), points(world, replace(adapted), others))
    mixed = np.where(np.arange(4) < 2, SEEDS, others)
    expected = np.where(np.arange(4) < 2, points(world, adapted), points(world, adapted, others))
    assert np.array_equal(points(world, adapted, mixed), expected)


def test_shown_again_nothing_is_played(world, adapted):
    show_episodes(adapted, lambda size: pytest.fail("a world was taken"), SEEDS.tolist(), 2)


def test_where_nobody_is_served_nothing_is_tried(toy_world):
    oracle = make_scheduler("drift-oracle")
    oracle.adapt(lambda size: toy_world(size, rounds=4), [1, 2])
    assert oracle._rules == []


def test_a_search_in_hindsight_is_not_behind_it():
    rules = [make_scheduler("random-m", participants=4)]
    search = Clairvoyant(rules, max_candidates=1, splices=0, mutations=0)
    players = {"oracle": make_scheduler("drift-oracle", after_rounds=20), "search": search}
    table = evaluate(players, WORLD, 2, "val", progress=False).episodes
    found = table.pivot(index="episode", columns="scheduler", values="val_net_points")
    assert (found["search"] >= found["oracle"] - 1e-9).all()
