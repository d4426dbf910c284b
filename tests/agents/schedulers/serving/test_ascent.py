"""Online ascent: below its bound in every episode, sublinear, at the static optimum where nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers.serving import PSI, look_back, make_policy
from frugalfl.agents.schedulers.serving.simplices import drawn_contents, nearest_distributions, softmax
from frugalfl.envs.serving_view import Ladder, gain_and_slope, gain_of, ladder_of

ASCENTS = ("infida-oma", "oga")


def episode(situation, kind, steps, seed=0):
    """Requests `[T, E, Z, I]`: the same always, drawn anew in each step, or all tasks in turn by blocks."""
    rng = np.random.default_rng(seed)
    mean = situation.tasks.mean_rate
    if kind == "constant":
        return np.broadcast_to(mean, (steps, *mean.shape))
    if kind == "random":
        return mean * rng.gamma(1.0, 1.0, (steps, *mean.shape))
    task = (np.arange(steps) * 4 // steps) % mean.shape[2]
    return 3 * mean * (np.arange(mean.shape[2]) == task[:, None])[:, None, None, :]


def playing(name, situation, requests, **settings):
    """A policy that has seen an episode, the ladders of its steps, and y."""
    policy = make_policy(name, **settings)
    policy.reset(np.ones(situation.num_envs, dtype=bool), np.arange(situation.num_envs), situation.num_slots)
    terms, ladders, points = replace(situation.terms, steps=len(requests)), [], []
    zero = replace(situation.tasks, requests_last=np.zeros_like(requests[0]))
    policy.plan(replace(situation, terms=terms, tasks=zero))
    for each in requests:
        if hasattr(policy.placement, "regret"):
            points.append(policy.placement.state["point"].copy())
        now = replace(situation, terms=terms, tasks=replace(situation.tasks, requests_last=each))
        ladders.append(ladder_of(now, each))
        policy.plan(now)
    return policy, ladders, points


def of_row(ladders, row):
    """The ladders of one environment's steps as one of T rows."""
    parts = [np.stack([ladder[part][row] for ladder in ladders]) for part in range(5)]
    return Ladder(*parts, ladders[0].dropped)


@pytest.mark.parametrize("kind", ["constant", "random", "blocks"])
@pytest.mark.parametrize("name", ASCENTS)
class TestRegret:
    """What the theory says of them."""

    def test_is_below_its_bound_in_every_episode(self, name, kind, situations):
        situation = situations(range(4), held=False)
        for rate in (0.3, 1.0, 5.0):
            policy, _, _ = playing(name, situation, episode(situation, kind, 60), rate=rate)
            assert (policy.placement.regret() <= policy.placement.regret_bound()).all()
            assert (policy.placement.regret_bound() > 0).all()

    def test_covers_the_regret_in_the_gain_itself(self, name, kind, situations):
        situation = situations(range(2), held=False)
        policy, ladders, points = playing(name, situation, episode(situation, kind, 40))
        for row in range(2):
            ladder = of_row(ladders, row)
            played = np.stack([each[row] for each in points]) * situation.slots.available[row][:, None]
            gained = gain_and_slope(ladder, played)[0].sum()
            assert look_back(ladder, 50).best - gained <= policy.placement.regret()[row] + 1e-6

    def test_grows_more_slowly_than_time(self, name, kind, situations):
        situation = situations(range(3), held=False)
        regrets, bounds = [], []
        for steps in (40, 360):
            policy, _, _ = playing(name, situation, episode(situation, kind, steps))
            regrets.append(policy.placement.regret().mean())
            bounds.append(policy.placement.regret_bound().mean())
        assert bounds[1] / bounds[0] < 9**0.6
        assert regrets[1] / max(regrets[0], 1.0) < 9**0.75


@pytest.mark.parametrize("name", ASCENTS)
def test_the_mean_gain_tends_to_the_static_optimum(name, situations):
    """Certain sessions, no price of loads, constant rates."""
    situation = situations([2, 5], held=False)
    situation = replace(situation, hub=replace(situation.hub, capacity_per_step=np.zeros(2)))
    _, ladders, points = playing(name, situation, episode(situation, "constant", 400), rate=3.0)
    for row in range(2):
        last = of_row(ladders[-1:], row)
        found = look_back(last, 400)
        there = situation.slots.available[row]
        y = np.stack([each[row] for each in points]) * there[:, None]
        gain = gain_and_slope(of_row(ladders, row), y)[0]
        assert gain.mean() >= 0.97 * found.best
        assert gain[-1] >= 0.99 * found.best
        assert gain[-1] <= found.relaxed + 1e-6
        uniforms = np.random.default_rng(row).random((400, there.size))
        drawn = drawn_contents(np.broadcast_to(points[-1][row], (400, *y.shape[1:])), uniforms)
        many = Ladder(*(np.repeat(part, 400, axis=0) for part in last[:5]), last.dropped)
        assert gain_of(many, np.where(there, drawn, -1)).mean() >= PSI * gain[-1]


def test_choices_change_only_as_far_as_distributions_do():
    rng = np.random.default_rng(1)
    y, z = softmax(rng.normal(size=(4000, 1, 5))), softmax(rng.normal(size=(4000, 1, 5)))
    u = rng.random((4000, 1))
    assert np.array_equal(drawn_contents(y, u), drawn_contents(y.copy(), u))
    moved = np.abs(drawn_contents(y, u) - drawn_contents(z, u)).mean()
    distance = np.abs(np.cumsum(y, axis=2) - np.cumsum(z, axis=2)).sum(axis=2).mean()
    assert moved == pytest.approx(distance, rel=0.05)
    one = np.broadcast_to(y[:1], (4000, 1, 5))
    shares = np.bincount(drawn_contents(one, u).ravel(), minlength=5) / 4000
    assert shares == pytest.approx(y[0, 0], abs=0.03)


def test_the_projection_is_onto_each_slots_simplex():
    points = nearest_distributions(np.random.default_rng(0).normal(size=(3, 4, 5)))
    assert points.min() >= 0.0
    assert points.sum(axis=2) == pytest.approx(np.ones((3, 4)))


def test_tabular_greedy_learns_what_greedy_finds(situations):
    situation = situations([2, 5], held=False)
    requests = episode(situation, "constant", 400)
    policy, ladders, _ = playing("tbgrd", situation, requests, colours=2, rate=4.0)
    state = policy.placement.state
    rows, slots = np.indices(state["colour"].shape)
    table = softmax(state["scores"][rows, slots, state["colour"]])
    content = drawn_contents(table, state["uniforms"][rows, slots, state["colour"]])
    for row in range(2):
        ladder, there = of_row(ladders[-1:], row), situation.slots.available[row]
        gain = gain_of(ladder, np.where(there, content[row], -1)[None])[0]
        assert gain >= PSI * look_back(ladder, 50).best
