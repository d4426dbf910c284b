"""What a played run would have earned had it been stopped earlier, without playing it again.

A rule that stops plays exactly as the same rule that does not, until it stops. So one unstopped play tells
what every stopping rule of `Rule` would have come to, and the best one is found for free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...common.arrays import Floats, Ints
from ..evaluation.measures import interquartile_mean
from ..schedulers.base import Rule, Setting, knobs_of, rounds_at_price

STOP_KNOBS = ("stop_after_rounds", "stop_price_power", "stop_price", "stop_gain", "stop_window")
_FIRST_STOP = 3
_POWERS = (0.0, 0.2, 0.35, 0.5, 0.7, 1.0)
_GAINS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
_WINDOWS = (3, 5, 8, 12, 18, 30)


@dataclass(frozen=True)
class RunLog:
    """One episode at its start and after each of its J training rounds.

    Attributes:
        accuracy: `[J + 1]`, validation accuracy in percent.
        spent: `[J + 1]`, points charged so far.
        end_points: net points at the end of the episode.
    """

    accuracy: Floats
    spent: Floats
    end_points: float

    @property
    def points(self) -> Floats:
        """`[J + 1]`, net points on validation accuracy."""
        found: Floats = self.accuracy - self.accuracy[0] - self.spent
        return found

    def stopped(self, settings: Mapping[str, Setting]) -> float:
        """Net points with these stopping knobs, as `Rule` applies them."""
        window, rounds = int(settings.get("stop_window", 8)), int(settings.get("stop_after_rounds", 0))
        power, price = float(settings.get("stop_price_power", 0)), float(settings.get("stop_price", 1))
        never = self.accuracy.size
        ends = [never, int(self.round_stop(rounds, power, price)) if rounds > 0 else never]
        stop_gain = float(settings.get("stop_gain", 0))
        if stop_gain > 0 and window < never:
            gain = self.accuracy[window:] - self.accuracy[:-window]
            cost = self.spent[window:] - self.spent[:-window]
            flat = np.flatnonzero(gain < stop_gain * cost)
            ends += [window + int(flat[0])] if flat.size else []
        return float(self.ended(min(ends)))

    def round_stop(self, rounds: ArrayLike, power: float, price: float) -> Ints:
        """The training round after which each `stop_after_rounds` ends the run; J + 1 where none does."""
        counted = rounds_at_price(np.arange(self.spent.size), self.spent, price, power)
        # A cheap round may let the count fall again; a rule that has stopped does not come back.
        return np.searchsorted(np.maximum.accumulate(counted), np.asarray(rounds))

    def ended(self, rounds: ArrayLike) -> Floats:
        """Net points of ending the run after so many of its training rounds; J + 1: of not ending it."""
        found: Floats = np.append(self.points, self.end_points)[np.asarray(rounds)]
        return found

    @property
    def round_price(self) -> float:
        """Points that a training round cost on average; 0 if there was none or all was free."""
        return float(self.spent[-1] / max(self.spent.size - 1, 1))


def run_logs(curves: pd.DataFrame) -> list[RunLog]:
    """The episodes of one scheduler's unstopped play, from `EvaluationResult.curves`."""
    logs = []
    for _, episode in curves.groupby("episode", sort=True):
        accuracy, spent = 100 * episode["accuracy"].to_numpy(), episode["spent"].to_numpy()
        trained = np.diff(episode["rounds"].to_numpy(), prepend=-1) > 0
        end = accuracy[-1] - accuracy[0] - spent[-1]
        logs.append(RunLog(accuracy[trained], spent[trained], float(end)))
    return logs


def best_stop(logs: list[RunLog], most_rounds: int) -> tuple[dict[str, Setting], float]:
    """The stopping knobs with the best interquartile mean of net points; empty if not stopping is best.

    Among equals the simplest: none, a number of rounds, one that depends on their price, then the gains.
    The price that numbers of rounds refer to is the median of the episodes'.
    """
    knob = knobs_of(Rule)["stop_price"]
    price = float(f"{np.median([log.round_price for log in logs]):.4g}")
    price = float(np.clip(price, knob.low, knob.high))
    numbers = np.arange(_FIRST_STOP, most_rounds + 1)
    candidates: list[dict[str, Setting]] = [{}]
    points = [np.array([[log.end_points] for log in logs])]
    for power in _POWERS:
        on: dict[str, Setting] = {"stop_price_power": power, "stop_price": price} if power else {}
        candidates += [{"stop_after_rounds": int(number), **on} for number in numbers]
        points.append(np.stack([log.ended(log.round_stop(numbers, power, price)) for log in logs]))
    gains: list[dict[str, Setting]] = [
        {"stop_gain": gain, "stop_window": window} for gain in _GAINS for window in _WINDOWS
    ]
    points.append(np.array([[log.stopped(knobs) for knobs in gains] for log in logs]))
    scores = interquartile_mean(np.concatenate(points, axis=1).T)
    best = int(np.argmax(scores))
    return [*candidates, *gains][best], float(scores[best])
