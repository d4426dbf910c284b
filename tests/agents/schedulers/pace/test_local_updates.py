"""Rules for the local steps between two exchanges: fixed, equal time, checkpoint interval, survival."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.pace import checkpoint_interval_s
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

LEVELS = np.array([1, 2, 4, 8, 16, 32, 64])


@pytest.fixture
def situation():
    world = FederatedWorld(load_scenario("volunteers"), 2)
    world.reset(np.ones(2, bool), np.array([3, 4]))
    return world.situation()


def ready(name, situation, **settings):
    scheduler = make_scheduler(name, **settings)
    envs = situation.num_envs
    scheduler.reset(np.ones(envs, bool), np.arange(envs), situation.num_clients)
    return scheduler


def test_everybody_makes_h_steps_and_data_parallel_makes_one(situation):
    there = situation.clients.available & (situation.clients.samples_held > 0)
    for name, settings, steps in (
        ("diloco-h", {"local_steps": 37}, 37),
        ("data-parallel", {"local_steps": 9}, 1),
    ):
        plan = ready(name, situation, **settings).plan(situation)
        assert np.array_equal(plan.local_steps, np.where(there, steps, 0))


def test_equal_time_by_hand(situation):
    step_s = np.full(situation.clients.step_s.shape, 30.0)
    step_s[:, 0], step_s[:, 1], step_s[:, 2] = 12.0, 100.0, 700.0
    seen = situation.changed(
        step_s=step_s,
        available=np.ones(step_s.shape, bool),
        samples_held=np.full(step_s.shape, 10),
        storage_left=np.zeros(step_s.shape, int),
    )
    plan = ready("equal-time", seen, work_s=600.0, most_steps=45).plan(seen)
    assert plan.local_steps[:, :4].tolist() == [[45, 6, 0, 20]] * seen.num_envs


def worked(mean_session_s, step_s, exchange_s, steps, rng):
    """Share of a worker's hours that is kept work: exponential sessions, an exchange after so many steps."""
    sessions = rng.exponential(mean_session_s, 40_000)
    whole = np.floor(sessions / (steps * step_s + exchange_s))
    return (whole * steps * step_s).sum() / sessions.sum()


@pytest.mark.parametrize(
    ("mean_session_s", "step_s", "exchange_s"), [(10800, 60, 300), (7200, 30, 60), (36000, 400, 900)]
)
def test_young_daly_is_within_a_level_of_the_simulated_optimum(mean_session_s, step_s, exchange_s):
    share = [worked(mean_session_s, step_s, exchange_s, h, np.random.default_rng(0)) for h in LEVELS]
    wanted = checkpoint_interval_s(exchange_s, mean_session_s) / step_s
    nearest = np.abs(np.log(LEVELS / wanted)).argmin()
    assert 0 < np.argmax(share) < LEVELS.size - 1  # the optimum is inside
    assert abs(int(nearest) - int(np.argmax(share))) <= 1


def test_young_daly_takes_exchange_and_session_from_what_it_sees(situation):
    scheduler = ready("young-daly", situation, session_s=7200.0, most_steps=1000)
    plan = scheduler.plan(situation)
    exchange_s = situation.round_s(0) + situation.terms.overhead_s[:, None]
    mean_s = (
        7200.0
        + np.where(
            situation.clients.available,
            np.minimum(situation.clients.session_age_s, situation.run.time_s[:, None]),
            0,
        ).sum(axis=1)
    ) / 1.0
    assert np.allclose(scheduler.mean_session_s, mean_s)
    steps = np.sqrt(2 * exchange_s * mean_s[:, None]) / situation.clients.step_s
    expected = np.clip(np.rint(steps), 1, 1000)
    assert np.array_equal(plan.local_steps[plan.invited], expected[plan.invited])


def test_young_daly_learns_how_long_sessions_last():
    # In slots of ten minutes that stay as they are with correlation 2/3: an hour on average.
    availability = {"kind": "gilbert-elliott", "pi": 0.5, "correlation": 2 / 3}
    scenario = load_scenario("volunteers", availability=availability)
    world = FederatedWorld(scenario, 4)
    world.reset(np.ones(4, bool), np.arange(4))
    scheduler = ready("young-daly", world.situation(), session_s=100_000.0)
    for _ in range(40):
        plan = scheduler.plan(world.situation())
        nobody = np.zeros_like(plan.local_steps)
        world.step(replace(plan, local_steps=nobody, transfer_samples=nobody, wait_s=np.full(4, 600.0)))
    assert np.all(scheduler.mean_session_s > 1800)
    assert np.all(scheduler.mean_session_s < 7200)


def test_survival_trades_chance_against_gain(situation):
    shape = situation.clients.available.shape
    sure = situation.changed(
        available=np.ones(shape, bool),
        busy=np.zeros(shape, bool),
        samples_held=np.full(shape, 10),
        announced_left_s=np.full(shape, 1e9),
        available_forecast=np.ones((*shape, situation.clients.forecast_leads_s.size)),
    )
    for name in ("price_per_hour", "price_per_gb", "price_per_kg"):
        sure = sure.changed(**{name: np.zeros(shape[0])})
    most = ready("survival-h", sure).plan(sure).local_steps
    assert (most == 100).all()  # nothing to lose
    soon = sure.changed(announced_left_s=sure.round_s(7) * 1.001)
    steps = ready("survival-h", soon).plan(soon).local_steps
    lengths = np.unique(np.rint(np.geomspace(1, 100, 24)))
    assert (steps == lengths[lengths <= 7].max()).all()
    dear = sure.changed(price_per_kg=np.full(shape[0], 1e4))
    fewer = ready("survival-h", dear, gain=0.5)
    plan = fewer.plan(dear)
    invited = plan.local_steps[plan.invited]
    assert invited.size
    assert invited.max() < 100


def test_survival_learns_what_work_is_worth(situation):
    scheduler = ready("survival-h", situation, smoothing=1.0, exponent=1.0, most_steps=10)
    plan = scheduler.plan(situation)
    units = plan.local_steps.sum(axis=1) / 10
    scheduler.plan(situation.changed(accuracy=situation.run.accuracy + 0.03))
    trained = units > 0
    assert trained.any()
    assert np.allclose(scheduler.state["worth"][trained], 3.0 / units[trained])
