"""Situations of serving, drawn from seeds, one per row, so that rows can be told apart."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from frugalfl.envs.contract import ZoneFacts
from frugalfl.envs.serving import (
    NOTHING,
    HubFacts,
    ServingFuture,
    ServingSituation,
    ServingTerms,
    SlotFacts,
    TaskFacts,
)

SHARED = (
    "node",
    "forecast_leads_s",
    "accuracy_known",
    "ask_share",
    "ask_accuracy",
    "rtt_ms",
    "carbon_leads_s",
    "threshold_levels",
    "release_levels",
    "model_bytes",
)
"""Arrays that all rows have in common."""
ACCURACY = np.array([[0.4, 0.7, 0.84, 0.86], [0.7, 0.8, 0.85, 0.9], [0.6, 0.65, 0.85, 0.88]])
LEVELS = np.array([0.0, 0.5, 0.7, 0.9])


def one(seed, slots=6, tasks=3, rungs=4, zones=3, depth=6, ahead=8, held=True):
    """A plausible situation of one environment; everything that differs between rows is drawn."""
    rng = np.random.default_rng(seed)
    zone = np.arange(slots) % zones
    available = rng.random(slots) < 0.7
    model = np.where(
        available & held & (rng.random(slots) < 0.6), rng.integers(0, tasks * rungs, slots), NOTHING
    )
    latency = np.linspace(3, 80, rungs) * rng.uniform(0.5, 2, (slots, 1))
    requests = rng.uniform(20, 400, (zones, tasks))
    accuracy = ACCURACY[:tasks, :rungs]
    below = np.array([0.0, 0.1, 0.25, 0.6])
    asked = rng.uniform(0, 50, (tasks, LEVELS.size))
    carbon = rng.uniform(40, 500, zones)
    slot = SlotFacts(
        node=np.arange(slots),
        zone=zone[None],
        available=available[None],
        session_age_s=np.where(available, rng.uniform(0, 7200, slots), 0.0)[None],
        announced_left_s=np.where(available & (rng.random(slots) < 0.3), 1500.0, np.inf)[None],
        forecast_leads_s=np.array([1800.0, 7200.0]),
        available_forecast=rng.random((1, slots, 2)),
        stay_shape=np.full((1, slots), 0.6),
        stay_scale_s=rng.uniform(3600, 10800, (1, slots)),
        model=model[None],
        loading=np.full((1, slots), NOTHING),
        loading_left_s=np.zeros((1, slots)),
        busy=rng.random((1, slots)),
        latency_ms=latency[None],
        capacity_per_step=np.floor(600_000 / latency * 0.02)[None],
        grams_per_request=(latency * 1e-5 * carbon[zone][:, None])[None],
        load_s=(np.linspace(20, 1200, rungs) * rng.uniform(0.5, 2, (slots, 1)))[None],
        load_points=(np.linspace(0.0002, 0.01, rungs) * np.ones((slots, 1)))[None],
    )
    task = TaskFacts(
        requests_last=requests[None],
        rate=(requests * rng.uniform(0.8, 1.2, requests.shape))[None],
        answered_last=requests.sum(axis=0)[None],
        dropped_last=np.zeros((1, tasks)),
        queue=rng.uniform(0, 30, (1, zones, tasks, depth)),
        accuracy_known=accuracy,
        ask_share=np.broadcast_to(below, (tasks, rungs, LEVELS.size)).copy(),
        ask_accuracy=accuracy[..., None] + (accuracy[:, -1:, None] - accuracy[..., None]) * below**0.5,
        mean_rate=(requests * 0.9)[None],
        bins_answered=(asked + rng.uniform(0, 50, asked.shape))[None],
        bins_asked=asked[None],
        bins_agreed=(asked * np.linspace(0.5, 0.95, LEVELS.size))[None],
        deferrable_share=0.5,
    )
    way = np.where(np.eye(zones, dtype=bool), 10.0, 60.0)
    hub = HubFacts(0, np.array([0.4 * requests.sum()]), np.full((1, zones), 120.0), np.array([0.01]), way)
    leads = np.array([1800.0, 3600.0, 7200.0])
    zone_facts = ZoneFacts(
        local_hour=rng.uniform(0, 24, (1, zones)),
        carbon_g_per_kwh=carbon[None],
        carbon_leads_s=leads,
        carbon_forecast=(carbon[:, None] * rng.uniform(0.5, 1.5, (zones, leads.size)))[None],
    )
    numbers = {each.name: np.zeros(1) for each in fields(ServingTerms)}
    numbers |= {
        "points_per_ms": np.full(1, 0.05),
        "price_per_gb": np.ones(1),
        "price_per_kg": np.full(1, 8.0),
    }
    numbers |= {"expected_requests": np.array([144 * requests.sum()]), "step": np.zeros(1, dtype=np.int64)}
    numbers |= {
        "threshold_levels": LEVELS,
        "release_levels": np.array([0.0, 1.0]),
        "step_s": 600.0,
        "steps": 144,
    }
    numbers |= {"model_bytes": np.linspace(2e6, 2e8, rungs), "utc_hour": np.array([3.0])}
    future = ServingFuture(
        session_left_s=np.where(available, rng.uniform(60, 9000, slots), 0.0)[None],
        available_share=np.where(available[:, None], 1.0, 0.0)[None] * np.ones((1, slots, ahead)),
        requests=(requests[..., None] * rng.uniform(0.7, 1.3, (zones, tasks, ahead)))[None],
        carbon_g_per_kwh=(carbon[:, None] * rng.uniform(0.5, 1.5, (zones, ahead)))[None],
    )
    return ServingSituation(slot, task, hub, zone_facts, ServingTerms(**numbers), future)


def joined(parts):
    """Several records of one row each as one of many."""
    values = {}
    for each in fields(parts[0]):
        found = [getattr(part, each.name) for part in parts]
        rows = isinstance(found[0], np.ndarray) and each.name not in SHARED
        values[each.name] = np.concatenate(found) if rows else found[0]
    return type(parts[0])(**values)


def situation_of(seeds, clairvoyant=False, **sizes):
    """A situation with one row per seed."""
    rows = [one(seed, **sizes) for seed in seeds]
    names = ["slots", "tasks", "hub", "zones", "terms", "future"]
    whole = ServingSituation(*(joined([getattr(row, name) for row in rows]) for name in names))
    return whole if clairvoyant else replace(whole, future=None)


@pytest.fixture
def situations():
    """`situation_of`."""
    return situation_of
