"""The world against a second simulator of plain loops: every decision, in every world and option."""

from __future__ import annotations

import numpy as np
import pytest
from slow_world import PER_CLIENT, Orders, SlowEpisode

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

PACKAGED = ["phones", "volunteers", "spotmarket", "quadratic"]
STEPS_ARE_CHOSEN = {"levels": {"server_step": [0.5, 1.0, 2.0]}}

OPTIONS = {
    **{name: (name, {}) for name in PACKAGED},
    "uniform": ("volunteers", {"aggregator": "uniform"}),
    "scaffold": ("quadratic", {"aggregator": "scaffold"}),
    "server step": ("volunteers", STEPS_ARE_CHOSEN),
    "decay": ("volunteers", {"training": {"learning_rate_decay": 0.8}}),
    # Trained in double precision, so that no coordinate is in doubt between two levels, or in a tie.
    "8-bit": ("quadratic", {"compression": "8-bit"}),
    "top-k": ("quadratic", {"compression": {"kind": "top-k", "share": 0.3, "error_feedback": True}}),
    "late kept": ("volunteers", {"late": {"kind": "keep", "max_rounds": 3}}),
    "late phones": ("phones", {"late": {"kind": "keep"}}),
    "late and wiped": ("spotmarket", {"late": {"kind": "keep", "max_rounds": 5}}),
    "late by staleness": ("phones", {"late": {"kind": "staleness"}}),
    "late in a buffer": ("volunteers", {"aggregator": "by-samples", "late": {"kind": "buffer", "size": 3}}),
    "late and compressed": ("quadratic", {"late": {"kind": "keep"}, "compression": "8-bit"}),
    "ring": ("volunteers", {"topology": "ring", "clients": 5, "workload": {"setup_bytes": 0, "step_s": 20}}),
    "star": ("volunteers", {"topology": "star", "clients": 5, "workload": {"setup_bytes": 0, "step_s": 20}}),
    "best": ("quadratic", {"topology": "best", "clients": 6}),
    "whole data apart": ("volunteers", {"dataset": {"kind": "apart"}}),
}
"""Worlds and options by a word for each."""

SHORT = ["volunteers", "late kept", "ring"]


def draw_orders(rng, scenario, plans_weights: bool) -> Orders:
    """Anything that a scheduler might say."""
    n, kind = scenario.clients, rng.random()
    invited = rng.random(n) < rng.choice([0.05, 0.2, 0.6, 1.0])
    steps = np.where(invited, rng.choice(scenario.levels.local_steps[1:], n), 0)
    probes = np.where(rng.random(n) < 0.3, rng.integers(1, 80, n), 0)
    steps = 0 * steps if kind > 0.85 else steps
    samples = np.where(rng.random(n) < 0.5, rng.integers(0, 70, n), 0) * (scenario.hub.share > 0)
    weights = rng.random(n) if plans_weights and rng.random() < 0.3 else None
    wait_s = rng.choice([333.0, 1800.0, 7200.0]) if kind < 0.15 else 0.0
    wait_s = np.inf if rng.random() < 0.01 else wait_s
    step = rng.choice(scenario.levels.server_step)
    return Orders(steps, samples, rng.choice([0.3, 0.5, 0.8, 1.0]), wait_s, weights, probes, step)


def as_plan(orders: list[Orders]) -> RoundPlan:
    n = orders[0].steps.size
    weights = [np.full(n, np.nan) if each.weights is None else each.weights for each in orders]
    return RoundPlan(
        np.array([each.steps for each in orders], dtype=np.int32),
        np.array([each.samples for each in orders], dtype=np.int32),
        np.array([each.quorum for each in orders]),
        np.array([each.wait_s for each in orders]),
        None if np.isnan(weights).all() else np.array(weights),
        np.array([each.probes for each in orders], dtype=np.int32),
        np.array([each.server_step for each in orders]),
    )


def close(what, got, wanted, rtol=1e-6, atol=1e-6):
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol, err_msg=what)


def check_row(e: int, slow: SlowEpisode, said, result, world) -> None:
    """One environment after one decision."""
    outcome, model = result.outcome, world.parameters()[e]
    close("duration", outcome.duration_s[e], said.duration_s)
    assert outcome.repairs[e] == said.repairs
    for name in PER_CLIENT:
        close(name, getattr(outcome, name)[e].astype(float), said.clients[name], atol=1e-5)
    for name, values, wanted in (
        ("reported loss", outcome.reported_loss, {} if slow.source.quadratic else said.loss),
        ("probed loss", outcome.probed_loss, said.probed_loss),
    ):
        for k, loss in wanted.items():
            close(name, values[e, k], loss, rtol=1e-3, atol=1e-4)
    rough = 1e-9 if slow.source.quadratic else 3e-4  # digits are trained in single precision, at a rate of 1
    close("parameters", model, slow.models[-1], rtol=3 * rough, atol=rough * max(1.0, np.abs(model).max()))
    slow.models[-1] = model.astype(np.float64)  # rounding is not carried on from round to round
    accuracy, loss = slow.scores()
    row = 0 if slow.source.quadratic else 1 / slow.source.dataset.y_val.size
    close("accuracy", outcome.accuracy[e], accuracy, atol=1.01 * row + 1e-9)
    close("loss", outcome.loss[e], loss, rtol=1e-4)


@pytest.mark.parametrize(
    ("word", "decisions"),
    [*((word, 6) for word in SHORT), *(pytest.param(word, 40, marks=pytest.mark.slow) for word in OPTIONS)],
)
def test_both_simulators_say_the_same(word, decisions):
    """Starts of episodes are drawn over all splits; an episode that ends is followed by another."""
    name, changes = OPTIONS[word]
    scenario = load_scenario(name, **changes)
    rng = np.random.default_rng(list(OPTIONS).index(word))
    world = FederatedWorld(scenario, 2, ("train", "val", "test")[len(word) % 3])
    slow: list[SlowEpisode | None] = [None, None]
    plans_weights = world.source.make_core(1).aggregator.accepts_weights
    for _ in range(decisions):
        fresh = ~world.running
        seeds = rng.integers(2**40, size=2)
        if fresh.any():
            world.reset(fresh, seeds)
        for e in np.flatnonzero(fresh):
            slow[e] = SlowEpisode(world.source, int(seeds[e]), world.parameters()[e])
        orders = [draw_orders(rng, scenario, plans_weights) for _ in range(2)]
        before = world.ledger.accuracy.copy()
        result = world.step(as_plan(orders))
        for e, episode in enumerate(slow):
            said = episode.step(orders[e])
            check_row(e, episode, said, result, world)
            prices, totals = episode.draw.prices, {key: values[e] for key, values in world.totals().items()}
            grams, moved = (
                said.clients["emissions_g"].sum(),
                said.clients["down_bytes"] + said.clients["up_bytes"],
            )
            costs = prices @ [said.duration_s / 3600, moved.sum() / 1e9, grams / 1e3]
            gained = 100 * (result.outcome.accuracy[e] - before[e])
            close("reward", result.reward[e], gained - costs)
            for key in ("hours", "gigabytes", "kilowatt_hours", "kilograms"):
                close(key, totals[key], episode.totals[key])
            close("wasted", world.ledger.wasted_kilowatt_hours[e], episode.totals["wasted_kwh"])
            close("clock", world.time_s[e], episode.time_s)
            assert world.running[e] == episode.running
            assert world.situation().clients.samples_held[e].tolist() == episode.held
