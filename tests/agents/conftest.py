"""A situation to plan for and a toy world to play in, both without real training."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from frugalfl.envs.contract import STOP_S, Future, RoundOutcome, Situation, StepResult
from frugalfl.envs.scenario import REWARD_TERMS, load_scenario

LEVELS = load_scenario("volunteers").levels
LEADS_S = np.array([1800.0, 7200.0])
CARBON_LEADS_S = np.array([3600.0, 7200.0, 14400.0])


def one_situation(seed: int, n: int = 12, z: int = 3, **changes) -> Situation:
    """A plausible situation of one environment, drawn from a seed."""
    rng = np.random.default_rng(seed)
    available = rng.random(n) < 0.7
    carbon = rng.uniform(50, 500, z)
    values = dict(
        time_s=0.0,
        utc_hour=rng.uniform(0, 24),
        local_hour=rng.uniform(0, 24, z),
        round_index=3,
        rounds_left=20,
        available=available,
        zone=np.arange(n) % z,
        session_age_s=np.where(available, rng.uniform(0, 3600, n), 0.0),
        announced_left_s=np.where(available & (rng.random(n) < 0.4), rng.uniform(10, 4000, n), np.inf),
        available_forecast=rng.random((n, LEADS_S.size)),
        step_s=rng.uniform(0.5, 5, n),
        down_bytes_per_s=rng.uniform(1e6, 1e7, n),
        up_bytes_per_s=rng.uniform(5e5, 5e6, n),
        compute_watts=rng.uniform(20, 300, n),
        network_j_per_byte=np.full(n, 1e-7),
        samples_held=rng.integers(10, 60, n),
        samples_sent=np.zeros(n, dtype=np.int64),
        storage_left=rng.integers(0, 50, n),
        target_weight=rng.dirichlet(np.full(n, 4.0)),
        last_loss=np.where(rng.random(n) < 0.5, rng.uniform(0.1, 3, n), np.nan),
        last_norm=np.full(n, np.nan),
        rounds_since=rng.integers(1, 5, n),
        invitations=rng.integers(0, 4, n),
        completions=rng.integers(0, 3, n),
        sightings=rng.integers(1, 5, n),
        carbon_g_per_kwh=carbon,
        carbon_forecast=carbon[:, None] * rng.uniform(0.5, 1.5, (z, CARBON_LEADS_S.size)),
        accuracy=0.4,
        loss=1.2,
        recent_gain=0.05,
        hours=1.0,
        gigabytes=2.0,
        kilograms=0.05,
        budget_left=np.full(3, np.inf),
        price_per_hour=0.3,
        price_per_gb=0.3,
        price_per_kg=1.0,
        deadline_s=3600.0,
    )
    batched = {key: np.asarray(value)[None] for key, value in (values | changes).items() if key != "future"}
    shared = dict(forecast_leads_s=LEADS_S, carbon_leads_s=CARBON_LEADS_S)
    constants = dict(model_bytes=4.5e7, sample_bytes=1e4, overhead_s=5.0)
    return Situation.of(**batched, **shared, **constants)


def stack(*situations: Situation) -> Situation:
    """Situations of several environments as one batch."""
    shared = ("forecast_leads_s", "carbon_leads_s")
    joined = {
        item.name: np.concatenate([getattr(getattr(each, part), item.name) for each in situations])
        for part in ("clients", "zones", "run", "terms")
        for item in fields(getattr(situations[0], part))
        if item.name not in shared
        and isinstance(getattr(getattr(situations[0], part), item.name), np.ndarray)
    }
    return situations[0].changed(**joined)


class ToyWorld:
    """Accuracy rises by completed work with diminishing returns; costs are charged; some clients are lost.

    A probe takes a minute and tells a made-up loss.
    """

    def __init__(self, num_envs: int, n: int = 12, rounds: int = 20):
        self.num_envs, self.n, self.rounds = num_envs, n, rounds
        self.scenario = SimpleNamespace(
            reward_terms=REWARD_TERMS,
            name="toy",
            clients=n,
            max_rounds=rounds,
            levels=LEVELS,
            refresh_levels=(),
        )
        self.seeds = np.zeros(num_envs, dtype=np.int64)
        self.running = np.zeros(num_envs, dtype=bool)
        shape = {
            "work": (),
            "hours": (),
            "gigabytes": (),
            "kilograms": (),
            "points": (),
            "index": (),
            "decisions": (),
        }
        self.log = {key: np.zeros((num_envs, *tail)) for key, tail in shape.items()}
        self.log |= {key: np.zeros(num_envs) for key in ("invitations", "completed", "lost", "wasted")}
        self.completions = np.zeros((num_envs, n), dtype=np.int64)
        self.told = np.full((num_envs, n), np.nan)

    def reset(self, envs, seeds):
        self.seeds = np.where(envs, seeds, self.seeds)
        self.running = self.running | envs
        for values in self.log.values():
            values[envs] = 0
        self.completions[envs] = 0
        self.told[envs] = np.nan

    @property
    def accuracy(self):
        return 0.1 + 0.8 * (1 - np.exp(-self.log["work"] / 300.0))

    @property
    def initial_test_accuracy(self):
        return np.full(self.num_envs, 0.11)

    @property
    def participation(self):
        return self.completions.copy()

    @property
    def zone_names(self):
        return ()

    def pooled_accuracy(self):
        return self.accuracy

    def client_test_accuracy(self):
        return np.repeat(self.accuracy[:, None], self.n, axis=1)

    def parameters(self):
        return np.zeros((self.num_envs, 1), dtype=np.float32)

    def test_scores(self):
        return self.accuracy + 0.01, 1 - self.accuracy

    def situation(self, clairvoyant=False):
        log, rows = self.log, []
        for env in range(self.num_envs):
            index, number = int(log["index"][env]), int(log["decisions"][env])
            changes = dict(round_index=index, rounds_left=self.rounds - index, accuracy=self.accuracy[env])
            changes |= {key: log[key][env] for key in ("hours", "gigabytes", "kilograms")}
            changes |= dict(completions=self.completions[env], time_s=3600 * log["hours"][env])
            changes |= dict(probed_loss=self.told[env])
            rows.append(one_situation(int(self.seeds[env]) * 1000 + number, self.n, **changes))
        batch = stack(*rows)
        if not clairvoyant:
            return batch
        left = np.where(batch.clients.available, self._left_s(batch), 0.0)
        return batch.changed(future=Future(left, np.zeros_like(left), batch.zones.carbon_forecast.copy()))

    def _left_s(self, situation):
        draws = [np.random.default_rng([seed, 7]).uniform(10, 600, self.n) for seed in self.seeds.tolist()]
        return np.minimum(np.stack(draws), situation.clients.announced_left_s)

    def step(self, plan):
        plan.validate(self.num_envs, self.n, (0.01, 100.0))
        s, active = self.situation(), self.running.copy()
        invited = plan.invited & s.clients.available & active[:, None]
        asked = plan.probed & s.clients.available & active[:, None]
        needed_s = np.where(asked, 60.0, s.round_s(plan.local_steps, plan.transfer_samples))
        completed = invited & (needed_s <= self._left_s(s))
        lost = invited & ~completed
        grams = np.where(invited, s.round_g(plan.local_steps, plan.transfer_samples), 0.0)
        gigabytes = np.where(invited, s.round_bytes(plan.transfer_samples), 0.0).sum(axis=1) / 1e9
        waits = np.where(active & np.isfinite(plan.wait_s), plan.wait_s, 0.0)
        hours = (np.where(invited | asked, needed_s, 0.0).max(axis=1) + waits) / 3600
        before = self.accuracy
        self.log["work"] += np.where(completed, plan.local_steps, 0).sum(axis=1)
        terms = {
            "accuracy": 100 * (self.accuracy - before),
            "time": -s.terms.price_per_hour * hours,
            "communication": -s.terms.price_per_gb * gigabytes,
            "emissions": -s.terms.price_per_kg * grams.sum(axis=1) / 1e3,
        }
        reward = sum(terms.values())
        self.completions += completed
        self.told = np.where(completed.any(axis=1)[:, None], np.nan, self.told)
        self.told = np.where(asked, needed_s / (1 + s.clients.samples_held), self.told)
        changes = dict(hours=hours, gigabytes=gigabytes, kilograms=grams.sum(axis=1) / 1e3, points=reward)
        changes |= dict(
            index=active & plan.is_round,
            decisions=active,
            invitations=invited.sum(axis=1),
            completed=completed.sum(axis=1),
        )
        changes |= dict(lost=lost.sum(axis=1), wasted=np.where(lost, grams, 0).sum(axis=1) / 1e3)
        for key, change in changes.items():
            self.log[key] += change
        terminated = active & (plan.wait_s == STOP_S)
        over = (self.log["index"] >= self.rounds) | (self.log["decisions"] >= 10 * self.rounds)
        truncated = active & ~terminated & over
        self.running = self.running & ~(terminated | truncated)
        outcome = self._outcome(invited, completed, lost, needed_s, 3600 * hours, grams)
        by_term = np.stack([terms[name] for name in REWARD_TERMS], axis=1)
        no_cost = np.zeros(self.num_envs)
        return StepResult(outcome, reward, by_term, no_cost, terminated, truncated, active)

    def _outcome(self, invited, completed, lost, needed_s, duration_s, grams):
        zero = np.zeros(invited.shape)
        nothing = {item.name: zero for item in fields(RoundOutcome) if item.name != "served"}
        known = dict(invited=invited, completed=completed, lost=lost, cancelled=zero > 0, stop_s=needed_s)
        known |= dict(
            duration_s=duration_s, emissions_g=grams, accuracy=self.accuracy, loss=1 - self.accuracy
        )
        known |= dict(repairs=np.zeros(self.num_envs, dtype=np.int64), diverged=np.zeros(self.num_envs) > 0)
        return RoundOutcome(**(nothing | known), served=None)

    def totals(self):
        log = self.log
        kept = {key: log[key].copy() for key in ("hours", "gigabytes", "kilograms", "invitations", "lost")}
        kilograms = np.maximum(log["kilograms"], 1e-12)
        return kept | {
            "rounds": log["index"].copy(),
            "kilowatt_hours": log["kilograms"] * 3,
            "wasted_kilowatt_hours": log["wasted"] * 3,
            "wasted_share": log["wasted"] / kilograms,
            "completions": log["completed"].copy(),
            "cancelled": np.zeros(self.num_envs),
            "repairs": np.zeros(self.num_envs),
            "accuracy_start": np.full(self.num_envs, 0.1),
            "accuracy": self.accuracy,
            "net_points": log["points"].copy(),
        }


@pytest.fixture
def situation_of():
    return one_situation


@pytest.fixture
def stacked():
    return stack


@pytest.fixture
def toy_world():
    return ToyWorld
