"""What a linear rule looks at: features of the run and of the clients, each about 1 in size.

A further one is a line in a table; its weights, their table in the documentation and their place in every
search follow from it. Those of `SERVED_RUN_FEATURES` and `SERVED_CLIENT_FEATURES` are looked at only where
models serve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Floats, Ints32
from ....envs.contract import Situation, StreamFacts
from ....envs.scenario import Scenario
from ..base import standardised

_LOG_UNIT = 3.0
"""Natural logarithms are divided by this: a factor of 20 from the middle is a feature of 1."""
_EARLY_ROUNDS = 20.0
"""Progress is 0.76 after so many rounds."""
_USUAL_STEP_S = 120.0
_USUAL_SAMPLE_BYTES = 1e6
_USUAL_HOUR_POINTS = 2.0
_USUAL_AGE_S = 3600.0
_SMALL = 1e-6
_LEAST_HOURS, _MOST_HOURS = 0.05, 1e5


@dataclass(frozen=True)
class Middle:
    """The geometric middle of a world's prices and hours, against which an episode's own are measured.

    Attributes:
        price_per_hour: accuracy points.
        price_per_gb: accuracy points.
        price_per_kg: accuracy points per kg CO2e.
        hours: budget of a run.
    """

    price_per_hour: float = 0.3
    price_per_gb: float = 0.3
    price_per_kg: float = 8.0
    hours: float = 48.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise ValueError(f"middle: {name} is {value}, expected a number above 0")

    @classmethod
    def of(cls, scenario: Scenario) -> Middle:
        """The middle of the ranges that a scenario draws from; a price of 0 counts as a very small one."""
        prices = scenario.preferences
        ranges = (
            prices.price_per_hour,
            prices.price_per_gb,
            prices.price_per_kg,
            scenario.budgets.hours,
        )
        return cls(*(_middle(*value) if isinstance(value, tuple) else _middle(value) for value in ranges))


def _middle(low: float, high: float | None = None) -> float:
    low, high = max(low, 1e-3), max(low if high is None else high, 1e-3)
    return math.sqrt(low * high)


@dataclass(frozen=True)
class RunFeature:
    """A number `[E]` about the run as a whole."""

    meaning: str
    value: Callable[[Situation, Middle], Floats]


@dataclass(frozen=True)
class Orders:
    """What a client would be ordered if it were chosen."""

    local_steps: Ints32  # [E, N]
    transfer_samples: Ints32  # [E, N]
    needed_s: Floats  # [E, N] from the start of the round until the update has arrived
    finishes: Floats  # [E, N] chance that its session lasts so long


@dataclass(frozen=True)
class ClientFeature:
    """A number `[E, N]` about each client; standardised among the available ones unless it is 0 or 1.

    Attributes:
        meaning: for tables.
        value: of the situation and the orders.
        start: weight with which a search begins.
        binary: whether it is 0 or 1 and stays so.
        over_time: whether it has a second weight that grows with the run's progress.
    """

    meaning: str
    value: Callable[[Situation, Orders], Floats]
    start: float = 0.0
    binary: bool = False
    over_time: bool = False


def progress(situation: Situation) -> Floats:
    """How far the run has come, `[E]`: 0 at the start, 1 after very many rounds."""
    found: Floats = np.tanh(situation.run.round_index / _EARLY_ROUNDS)
    return found


def _relative(values: Floats, middle: float) -> Floats:
    found: Floats = np.log(np.maximum(values, _SMALL) / middle) / _LOG_UNIT
    return found


def _hours_left(situation: Situation, middle: Middle) -> Floats:
    return _relative(np.clip(situation.terms.budget_left[:, 0], _LEAST_HOURS, _MOST_HOURS), middle.hours)


RUN_FEATURES: dict[str, RunFeature] = {
    "1": RunFeature("always 1", lambda seen, middle: np.ones(seen.num_envs)),
    "progress": RunFeature(
        "0 at the start, 0.76 after 20 rounds, 1 later", lambda seen, middle: progress(seen)
    ),
    "accuracy": RunFeature(
        "validation accuracy: 0 at 60%, 1 at 93%", lambda seen, middle: 3.0 * (seen.run.accuracy - 0.6)
    ),
    "hour-price": RunFeature(
        "logarithm of the price of an hour over the world's middle",
        lambda seen, middle: _relative(seen.terms.price_per_hour, middle.price_per_hour),
    ),
    "gb-price": RunFeature(
        "the same of a gigabyte",
        lambda seen, middle: _relative(seen.terms.price_per_gb, middle.price_per_gb),
    ),
    "kg-price": RunFeature(
        "the same of a kilogram CO2e",
        lambda seen, middle: _relative(seen.terms.price_per_kg, middle.price_per_kg),
    ),
    "hours-left": RunFeature("logarithm of the hours left over the middle of the budget", _hours_left),
    "step-time": RunFeature(
        "logarithm of the median client's seconds per step, over two minutes",
        lambda seen, middle: _relative(np.median(seen.clients.step_s, axis=1), _USUAL_STEP_S),
    ),
    "sample-size": RunFeature(
        "logarithm of the bytes of a sample, over a megabyte",
        lambda seen, middle: _relative(seen.terms.sample_bytes, _USUAL_SAMPLE_BYTES),
    ),
    "skew": RunFeature(
        "how unlike clients' labels are: -1 alike, 1 entirely different",
        lambda seen, middle: 2.0 * seen.terms.label_skew - 1.0,
    ),
}
"""Features of the run by name; a prices' or hours' factor of 20 from the middle is 1."""


CLIENT_FEATURES: dict[str, ClientFeature] = {
    "loss": ClientFeature(
        "its last reported loss", lambda seen, orders: seen.clients.last_loss, 0.8, over_time=True
    ),
    "speed": ClientFeature(
        "minus the logarithm of its seconds",
        lambda seen, orders: -np.log(orders.needed_s),
        0.6,
        over_time=True,
    ),
    "staleness": ClientFeature(
        "logarithm of the rounds since it took part",
        lambda seen, orders: np.log1p(seen.clients.rounds_since.astype(np.float64)),
        0.6,
        over_time=True,
    ),
    "points": ClientFeature(
        "minus the points it costs in bytes and emissions",
        lambda seen, orders: -seen.round_points(orders.local_steps, orders.transfer_samples),
        0.3,
        over_time=True,
    ),
    "carbon": ClientFeature(
        "minus the carbon intensity of its grid", lambda seen, orders: -seen.client_carbon, over_time=True
    ),
    "finish": ClientFeature("its chance to finish", lambda seen, orders: orders.finishes, 0.5),
    "share": ClientFeature("its share alpha_k", lambda seen, orders: seen.clients.target_weight),
    "untried": ClientFeature(
        "1 if its loss is unknown",
        lambda seen, orders: np.isnan(seen.clients.last_loss).astype(np.float64),
        0.6,
        binary=True,
    ),
    "completions": ClientFeature(
        "minus the updates it delivered", lambda seen, orders: -seen.clients.completions.astype(np.float64)
    ),
    "held": ClientFeature(
        "rows it trains on", lambda seen, orders: seen.clients.samples_held.astype(np.float64)
    ),
}
"""Features of a client by name; whoever is 1 deviation above the others has 1."""


def _served(situation: Situation) -> StreamFacts:
    """What is known of requests and memories, in worlds where models serve."""
    assert situation.stream is not None
    return situation.stream


def _mean_age(stream: StreamFacts) -> Floats:
    """Mean age `[E]` of the rows in all memories, s."""
    rows = stream.memory_rows.astype(np.float64)
    found: Floats = (rows * stream.memory_age_s).sum(axis=1) / np.maximum(rows.sum(axis=1), 1.0)
    return found


SERVED_RUN_FEATURES: dict[str, RunFeature] = {
    "right-drop": RunFeature(
        "how many fewer answers are right in an hour than in eight: 1 at 20 points",
        lambda seen, middle: 5.0 * (_served(seen).right_slow - _served(seen).right_fast),
    ),
    "page-hinkley": RunFeature(
        "Page's statistic of the wrong answers over its threshold, at most 1",
        lambda seen, middle: _served(seen).page_hinkley,
    ),
    "hour-worth": RunFeature(
        "logarithm of what an hour of right answers is worth, over two points",
        lambda seen, middle: _relative(
            _served(seen).requests_hour * _served(seen).points_per_request, _USUAL_HOUR_POINTS
        ),
    ),
    "version-lag": RunFeature(
        "logarithm of the changes of the model that a client's version misses, in the mean",
        lambda seen, middle: np.log1p(_served(seen).version_lag.mean(axis=1)),
    ),
    "memory-age": RunFeature(
        "logarithm of the mean age of the rows in memory, over an hour",
        lambda seen, middle: _relative(np.maximum(_mean_age(_served(seen)), 60.0), _USUAL_AGE_S),
    ),
}
"""Further features of the run where models serve; accuracy is that of the answers of the last hour there."""

SERVED_CLIENT_FEATURES: dict[str, ClientFeature] = {
    "version-lag": ClientFeature(
        "logarithm of the changes of the model that its version misses",
        lambda seen, orders: np.log1p(_served(seen).version_lag.astype(np.float64)),
    ),
    "memory-age": ClientFeature(
        "minus the mean age of the rows in its memory", lambda seen, orders: -_served(seen).memory_age_s
    ),
    "wrong": ClientFeature(
        "minus the share of its answers that were right", lambda seen, orders: -_served(seen).right_share
    ),
    "asked": ClientFeature(
        "requests that it has had", lambda seen, orders: _served(seen).requests.astype(np.float64)
    ),
}
"""Further features of a client where models serve."""


def run_features(situation: Situation, middle: Middle) -> Floats:
    """All features of the run, `[E, F]` in the order of `RUN_FEATURES`, then of `SERVED_RUN_FEATURES`."""
    table = RUN_FEATURES if situation.stream is None else RUN_FEATURES | SERVED_RUN_FEATURES
    return np.stack([feature.value(situation, middle) for feature in table.values()], axis=1)


def client_features(situation: Situation, orders: Orders) -> dict[str, Floats]:
    """All features of the clients by name, each `[E, N]`."""
    table = CLIENT_FEATURES if situation.stream is None else CLIENT_FEATURES | SERVED_CLIENT_FEATURES
    found = {}
    for name, feature in table.items():
        values = feature.value(situation, orders)
        found[name] = values if feature.binary else standardised(values, situation.clients.available)
    return found
