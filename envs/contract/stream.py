"""What is known of a world that serves while it learns, and what one step of it served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints

HOPE = 10.0
"""Right answers that a hub of which nothing is known is trusted to have given."""


@dataclass(frozen=True)
class AskFacts:
    """What a coordinator knows of clients that may ask the hub, in worlds with early exits."""

    asked: Ints  # [E, N] of the requests since the last decision
    kept_right: Floats  # [E] exponential mean over 1 h of right answers among those that clients kept
    hub_right: Floats  # [E] the same of the hub's answers; before the first label the untrained model's
    hub_known: Floats  # [E] answers of the hub that this is the mean of, older ones by their weight
    price: Floats  # [E] right answers that a question is worth, its bytes and emissions on average included
    levels: Floats  # [L] of `RoundPlan.ask_below`; the last is the world's own

    def rows(self, envs: Ints) -> AskFacts:
        """What is known of some environments."""
        return AskFacts(**{n: value if n == "levels" else value[envs] for n, value in vars(self).items()})

    @property
    def worth_asking_below(self) -> Floats:
        """`[E]`, where asking begins to pay if clients are as right as they are confident: 1 - p > price.

        The hub is not always right: what it gains over a local answer of confidence p is its own chance to be
        right less p, and that is to be more than a question costs. Who does not ask does not learn how good
        the hub has become, so `HOPE` right answers are counted among those known of it.
        """
        hub_right = (self.hub_right * self.hub_known + HOPE) / (self.hub_known + HOPE)
        return np.asarray(np.clip(hub_right - self.price, 0.0, 1.0))


@dataclass(frozen=True)
class StreamFacts:
    """What a coordinator knows of requests, labels and memories; of the drift it knows nothing."""

    arrived: Ints  # [E, N] requests since the last decision
    requests: Ints  # [E, N] so far
    memory_rows: Ints  # [E, N] labelled rows in memory now
    most_rows: Ints  # [E] that a memory holds
    memory_age_s: Floats  # [E, N] their mean age; 0 without any
    version_lag: Ints  # [E, N] changes of the global model that the client's version misses
    labels: Ints  # [E, N] labels that became known since the last decision
    right: Ints  # [E, N] how many of those answers were right
    right_share: Floats  # [E, N] exponential mean over 2 h of right answers; nan before the first label
    right_fast: Floats  # [E] the same over all clients, 1 h; before the first label the untrained model's
    right_slow: Floats  # [E] the same, 8 h
    page_hinkley: Floats  # [E] Page's statistic of the wrong answers over its threshold, capped at 1
    requests_hour: Floats  # [E] expected requests per hour now, all clients together
    points_per_request: Floats  # [E] what one right answer is worth in points of the reward
    ask: AskFacts | None = None  # of the hub's answers; None where nobody can ask

    def rows(self, envs: Ints) -> StreamFacts:
        """What is known of some environments."""
        values = {name: value[envs] for name, value in vars(self).items() if name != "ask"}
        return StreamFacts(**values, ask=None if self.ask is None else self.ask.rows(envs))


@dataclass(frozen=True)
class Asked:
    """What was asked of the hub in one step."""

    count: Ints  # [E, N]
    points: Floats  # [E] what that cost beside bytes and emissions

    def __add__(self, other: Asked) -> Asked:
        return Asked(self.count + other.count, self.points + other.points)


@dataclass(frozen=True)
class Served:
    """What one step of a world with arrivals came to beside its round."""

    requests: Ints  # [E, N] answered in it
    right: Ints  # [E, N] how many of them rightly
    loss: Floats  # [E, N] sum of their losses
    labels: Ints  # [E, N] labels that became known in it, of these and of earlier answers
    labels_right: Ints  # [E, N] how many of those answers were right
    refreshed: Bools  # [E, N] who was sent the new model after the round
    drift_events: Ints  # [E] changes of some client's concept; for evaluators, never for agents
    frozen_right: Floats  # [E] right answers of the model fitted to all rows of each concept; for evaluators
    validation: Floats  # [E] accuracy on the validation set in the present concepts, as of the last change
    expected: Floats  # [E] requests of the whole episode in expectation
    asked: Asked | None = None  # of the hub; None where nobody can ask

    @property
    def points(self) -> Floats:
        """`[E]`, what the right answers are worth: a hundredth of the expected requests is a point."""
        return np.asarray(100.0 * self.right.sum(axis=1) / self.expected)

    @property
    def regret_points(self) -> Floats:
        """`[E]`, points behind the frozen optimum, the model fitted to all rows of the present concept."""
        return 100.0 * self.frozen_right / self.expected - self.points
