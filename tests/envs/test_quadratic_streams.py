"""Quadratics that serve: what is right, what drifts, and the closed form of following it."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import RoundPlan, rollout
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.theory import Pace, affine_rounds, track

SMALL = {"clients": 6, "budgets": {"hours": 10}}
SEEDS = np.array([3, 8])
ALWAYS = {"kind": "stays", "law": "exponential", "on_mean_h": 10000, "off_mean_h": 0.01}


def world_of(num_envs=2, **changes):
    return FederatedWorld(load_scenario("quadraticstreams", **{**SMALL, **changes}), num_envs, "val")


def played(world, name, seeds=SEEDS, **knobs):
    return list(rollout(world, make_scheduler(name, **knobs), seeds))


class TestMechanics:
    @pytest.mark.parametrize("drift", ["jumps", {"kind": "walk", "step": 0.8}, "none"])
    def test_regret_is_what_the_optimum_would_have_answered(self, drift):
        drift = {"kind": drift} if isinstance(drift, str) else drift
        world = world_of(drift=drift)
        served = [turn.result.outcome.served for turn in played(world, "periodic")]
        asked, right = (sum(getattr(each, key) for each in served) for key in ("requests", "right"))
        assert np.array_equal(sum(each.frozen_right for each in served), asked.sum(axis=1))
        regret = sum(each.regret_points for each in served)
        assert regret == pytest.approx(100 * (asked - right).sum(axis=1) / served[0].expected)
        points = sum(each.points for each in served)
        terms = world.totals()["net_points"] - points
        assert (terms <= 1e-9).all()  # the rest is what it cost

    def test_requests_and_drift_are_the_same_whatever_is_decided(self):
        totals = []
        for name in ("random-m", "train-then-stop"):
            world = world_of()
            turns = played(world, name)
            served = [turn.result.outcome.served for turn in turns]
            totals.append((sum(s.requests for s in served), sum(s.drift_events for s in served)))
        assert np.array_equal(totals[0][0], totals[1][0])
        assert np.array_equal(totals[0][1], totals[1][1])

    @pytest.mark.parametrize("scope", ["all", "zone", "client"])
    def test_the_oracle_is_told_when_the_minimisers_jump(self, scope):
        world = world_of(drift={"kind": "jumps", "mean_h": 3, "scope": scope})
        world.reset(np.ones(2, dtype=bool), SEEDS)
        future = world.situation(clairvoyant=True).future
        for row, seed in enumerate(SEEDS.tolist()):
            path = world.source.draw(seed).task.path
            told = future.drift_s[row][np.isfinite(future.drift_s[row])]
            assert told == pytest.approx(path.times_s[1:])
            assert {"all": 1, "zone": 6, "client": 6}[scope] == path.offset.shape[1]

    def test_a_batch_is_its_single_episodes(self):
        together = world_of()
        played(together, "page-hinkley")
        for row, seed in enumerate(SEEDS.tolist()):
            alone = world_of(1)
            played(alone, "page-hinkley", np.array([seed]))
            assert alone.totals()["net_points"][0] == together.totals()["net_points"][row]
            assert np.array_equal(alone.parameters()[0], together.parameters()[row])

    def test_accuracy_falls_with_the_jump_and_comes_back_with_rounds(self):
        world = world_of(1, drift={"kind": "jumps", "mean_h": 3}, availability=ALWAYS)
        shares, rounds = [], []
        for turn in played(world, "drift-oracle", SEEDS[:1]):
            served = turn.result.outcome.served
            if served.requests.sum() > 20:
                shares.append(float(served.right.sum() / served.requests.sum()))
                rounds.append(int(served.drift_events[0]))
        assert max(rounds) >= 1
        assert min(shares) < 0.4
        assert max(shares) > 0.85


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"drift": {"kind": "shift"}}, "drift: kind: shift, expected none, walk or jumps"),
            ({"memory": {"rows": 10}}, "memory: rows: 10, expected 40"),
            ({"memory": {"rule": "reservoir"}}, "memory: rule: reservoir, expected fifo"),
            ({"drift": {"kind": "jumps", "step": 1.0}}, "step: 1.0, expected only with kind: walk"),
            ({"drift": {"kind": "walk", "scope": "zone"}}, "scope: zone, expected all with kind: walk"),
        ],
    )
    def test_what_has_no_meaning_is_refused(self, changes, said):
        with pytest.raises(ValueError, match=said):
            load_scenario("quadraticstreams", **changes)

    def test_minimisers_do_not_move_in_worlds_of_data(self):
        with pytest.raises(ValueError, match="drift: kind: walk, expected another one without quadratic"):
            load_scenario("streams", drift={"kind": "walk"})


def test_the_whole_world_follows_as_the_closed_form_says():
    """Everybody there, every hour, transfers that take no time, a walk: right answers within 2 %."""
    step, steps, hours, envs = 1.2, 12, 48, 12
    world = FederatedWorld(
        load_scenario(
            "quadraticstreams",
            clients=8,
            availability=ALWAYS,
            drift={"kind": "walk", "step": step},
            # Flat, or hours with more requests would weigh more.
            arrivals={"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0},
            quadratic={"dimension": 4, "convexity": 1.0, "zone_spread": 0.2, "client_spread": 0.2},
            workload={"model_bytes": 1.0, "step_s": 1e-3, "overhead_s": 0},
            budgets={"hours": hours},
        ),
        envs,
        "val",
    )
    seeds = np.arange(envs)
    world.reset(np.ones(envs, dtype=bool), seeds)
    shape = (envs, world.scenario.clients)
    right, asked, index = np.zeros(envs), np.zeros(envs), 0
    while world.running.any():
        waits = index % 2 == 1
        orders = np.zeros(shape, np.int32) if waits else np.full(shape, steps, np.int32)
        weights = world.situation().clients.target_weight
        plan = RoundPlan(
            orders,
            np.zeros(shape, np.int32),
            np.ones(envs),
            # Rounds a quarter of an hour after the walk's steps, which come every half an hour.
            np.full(envs, 900.0 if index == 1 else 3600.0 if waits else 0.0),
            weights=weights,
            refresh=np.full(envs, 2),
        )
        served = world.step(plan).outcome.served
        if index > 12:  # the start is forgotten
            right, asked = right + served.right.sum(axis=1), asked + served.requests.sum(axis=1)
        index += 1
    predicted = []
    for seed in seeds.tolist():
        problem = world.source.draw(seed).task
        rounds = affine_rounds(problem, problem.target_weight[None], 0.05, steps)
        follows = track(problem, rounds, Pace(3600.0, step**2))
        predicted.append(follows.accuracy(problem.gap(problem.start), 0.1))
    assert asked.min() > 15_000
    assert (right / asked).mean() == pytest.approx(np.mean(predicted), rel=0.02)
