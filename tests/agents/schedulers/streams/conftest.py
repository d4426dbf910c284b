"""A federation that serves, as a coordinator sees it, with answers that the test decides."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import Future, StreamFacts

N = 12


class Service:
    """A served federation: its clock goes by what is planned, its errors are `errors(hours, rounds)`."""

    round_h, labels_per_h = 0.5, 120.0

    def __init__(self, situation_of, errors, drifts_h=(), hours=1000.0):
        self.base = situation_of(0, n=N, available=np.ones(N, dtype=bool), samples_held=np.full(N, 40))
        self.errors = errors
        self.drifts_h, self.budget_h = np.array(drifts_h, dtype=float), hours
        self.time_h, self.round, self.past = 0.0, 0, [0.1] * 6
        self.labels, self.wrong, self.requests = 0, 0, 0
        self.carry = 0.0
        self.trained_h: list[float] = []
        self.facts: dict = {}
        self.changes: dict = {}

    def stream(self):
        def each(total):
            return np.full((1, N), total // N) + (np.arange(N) < total % N)

        share = np.full((1, N), 0.5)
        values = dict(
            arrived=each(self.labels),
            requests=each(self.requests),
            memory_rows=np.full((1, N), 40),
            most_rows=np.full(1, 40),
            memory_age_s=np.linspace(600, 7200, N)[None],
            version_lag=np.zeros((1, N), dtype=np.int64),
            labels=each(self.labels),
            right=each(self.labels) - each(self.wrong),
            right_share=share,
            right_fast=share[:, 0],
            right_slow=share[:, 0],
            page_hinkley=np.zeros(1),
            requests_hour=np.array([self.labels_per_h]),
            points_per_request=np.array([100.0 / (self.labels_per_h * self.budget_h)]),
        )
        return StreamFacts(**(values | self.facts))

    def now(self, clairvoyant=False):
        future = None
        if clairvoyant:
            zero = np.zeros((1, N))
            drift_s = 3600.0 * (self.drifts_h - self.time_h)[None]
            future = Future(zero, zero, self.base.zones.carbon_forecast, drift_s=drift_s)
        known = dict(
            time_s=np.array([3600.0 * self.time_h]),
            round_index=np.array([self.round]),
            looks=np.array([self.round + 1]),
            accuracy=np.array([self.past[-1]]),
            past_accuracy=np.array([self.past[-6:]]),
            hours=np.array([self.time_h]),
            budget_left=np.array([[self.budget_h - self.time_h, np.inf, np.inf]]),
            gigabytes=np.array([0.1 * self.round]),
            kilograms=np.zeros(1),
        )
        return self.base.changed(stream=self.stream(), future=future, **(known | self.changes))

    def step(self, plan):
        """Whether a round was held."""
        trained = bool(plan.invited.any())
        passed = self.round_h if trained else float(plan.wait_s[0]) / 3600
        if trained:
            self.trained_h.append(self.time_h)
            self.round += 1
        self.time_h += passed
        share = self.errors(self.time_h, self.round)
        self.carry += self.labels_per_h * passed
        self.labels = int(self.carry)
        self.carry -= self.labels
        self.wrong = round(share * self.labels)
        self.requests += self.labels
        if trained:
            self.past.append(1 - share)
        else:
            self.past[-1] = 1 - share
        return trained


def played(name, service, hours, **knobs):
    """The scheduler, after so many hours or its stop."""
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(1, dtype=bool), np.array([3]), N)
    while service.time_h < hours:
        plan = scheduler.plan(service.now(scheduler.clairvoyant)).validate(1, N, refresh=(0, 1, 2))
        if np.isinf(plan.wait_s[0]):
            break
        service.step(plan)
    return scheduler


@pytest.fixture
def service(situation_of):
    """Makes a service of errors by hour and round."""
    return lambda errors, **options: Service(situation_of, errors, **options)


@pytest.fixture
def play():
    """Plays a scheduler of a name in a service for so many hours, or until it stops."""
    return played
