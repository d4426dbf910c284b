"""What a played run would have earned had it been stopped earlier, without playing it again.

A rule that stops plays exactly as the same rule that does not, until it stops. So one unstopped play tells
what every stopping rule of `Rule` would have come to, and the best one is found for free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...common.arrays import Floats
from ..evaluation.measures import interquartile_mean
from ..schedulers.base import Setting

STOP_KNOBS = ("stop_after_rounds", "stop_gain", "stop_window")
_FIRST_STOP = 3
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
        last = self.accuracy.size - 1
        window, rounds = int(settings.get("stop_window", 8)), int(settings.get("stop_after_rounds", 0))
        ends = [rounds] if 0 < rounds <= last else []
        stop_gain = float(settings.get("stop_gain", 0))
        if stop_gain > 0 and window <= last:
            gain = self.accuracy[window:] - self.accuracy[:-window]
            price = self.spent[window:] - self.spent[:-window]
            flat = np.flatnonzero(gain < stop_gain * price)
            ends += [window + int(flat[0])] if flat.size else []
        return float(self.points[min(ends)]) if ends else self.end_points


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
    """The stopping knobs with the best interquartile mean of net points; empty if not stopping is best."""
    rounds = range(_FIRST_STOP, most_rounds + 1)
    candidates: list[dict[str, Setting]] = [{}]
    candidates += [{"stop_after_rounds": number} for number in rounds]
    candidates += [{"stop_gain": gain, "stop_window": window} for gain in _GAINS for window in _WINDOWS]
    scores = [float(interquartile_mean([log.stopped(knobs) for log in logs])) for knobs in candidates]
    best = int(np.argmax(scores))
    return candidates[best], scores[best]
