"""Regret in the world itself: policies play days of a small scenario, and the page names them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_serving import STAYING, small

import frugalfl
from frugalfl.agents.schedulers.serving import POLICY_PARTS, PSI, PlacementRegret, make_policy
from frugalfl.envs.contract import rollout
from frugalfl.envs.serving import ServingWorld


def regret_of(name, scenario, seeds=(0, 1)):
    """The points of a policy's regret, and the policy."""
    world, policy, regret = ServingWorld(scenario, len(seeds)), make_policy(name), PlacementRegret()
    for turn in rollout(world, policy, np.array(seeds)):
        regret.record(turn.situation, turn.plan, turn.result.outcome.requests, turn.running)
    return regret.points(), policy


def test_nothing_placed_gains_nothing_and_regrets_the_best():
    points, _ = regret_of("hub-only", small())
    assert points["own_points"] == pytest.approx(np.zeros(2))
    assert points["regret_points"] == pytest.approx(points["best_points"])
    assert (points["best_points"] > 1.0).all()
    assert (points["best_points"] <= points["relaxed_points"] + 1e-9).all()
    assert points["psi_regret_points"] == pytest.approx(PSI * points["best_points"])


def test_greedy_regrets_little_where_machines_stay():
    """It waits for its first loads, and follows what changes."""
    points, _ = regret_of("online-greedy", small(**STAYING))
    nothing, _ = regret_of("hub-only", small(**STAYING))
    assert (points["regret_points"] < 0.5 * nothing["regret_points"]).all()
    assert (points["own_points"] <= points["relaxed_points"] + points["best_points"]).all()


@pytest.mark.parametrize("name", ["infida-oma", "oga"])
def test_ascents_stay_below_their_bounds_in_the_world(name):
    _, policy = regret_of(name, small())
    assert (policy.placement.regret() <= policy.placement.regret_bound()).all()


def test_the_page_names_every_part():
    page = Path(frugalfl.__file__).parent / "docs" / "serving.md"
    if not page.is_file():
        pytest.skip("docs are not installed")
    text = page.read_text(encoding="utf-8")
    assert [name for name in POLICY_PARTS if f"`{name}`" not in text] == []
