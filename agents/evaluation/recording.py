"""What is kept of episodes while they are played: curves of all, the full story of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...envs.contract import Situation
from ..schedulers.base import spent_points

IDLE, COMPLETED, LOST, CANCELLED = range(4)
"""Codes of `Timeline.status`."""
TERMS = ("accuracy", "time", "communication", "emissions")
"""Names of the reward's four terms."""
CURVES = ("hours", "gigabytes", "kilograms", "accuracy", "spent", "rounds")
"""Running totals along an episode: validation accuracy, points charged, rounds in which somebody trained."""


@dataclass(frozen=True)
class Timeline:
    """One episode in full, R decisions of N clients in Z zones.

    Attributes:
        scheduler: who decided.
        episode: its number.
        zone: int `[N]`.
        start_h: `[R]`, hours since the episode began.
        duration_h: `[R]`, hours of the round or the wait.
        available: bool `[R, N]`, when the decision was made.
        status: int8 `[R, N]`: `IDLE`, `COMPLETED`, `LOST` or `CANCELLED`.
        busy_h: `[R, N]`, hours a client worked in the round.
        carbon: `[R, Z]`, g CO2e per kWh when the decision was made.
        accuracy: `[R]`, validation accuracy after it.
    """

    scheduler: str
    episode: int
    zone: Ints
    start_h: Floats
    duration_h: Floats
    available: Bools
    status: NDArray[np.int8]
    busy_h: Floats
    carbon: Floats
    accuracy: Floats


class Recorder:
    """Watches a batch of episodes from their reset to the end of the last.

    Args:
        first: the situation after the reset.
        story_row: the row whose full story is kept; None for none.
    """

    def __init__(self, first: Situation, story_row: int | None = None):
        self.terms = {name: np.zeros(first.num_envs) for name in TERMS}
        self.training_rounds = np.zeros(first.num_envs, dtype=np.int64)
        self.decisions = np.zeros(first.num_envs, dtype=np.int64)
        self._story_row = story_row
        self._zone = first.clients.zone[story_row].copy() if story_row is not None else None
        self._story: list[dict[str, Any]] = []
        self._points: list[tuple[AnyArray, ...]] = []
        self._mark(np.arange(first.num_envs), first)

    def record(self, before: Situation, result: Any, after: Situation, running: Bools) -> None:
        """Enter one step, made by the rows still `running` when it began."""
        for name, total in self.terms.items():
            total += np.where(running, result.reward_terms[name], 0.0)
        self.decisions += running
        self.training_rounds += running & result.outcome.invited.any(axis=1)
        self._mark(np.flatnonzero(running), after)
        if self._story_row is not None and running[self._story_row]:
            self._story.append(_page(before, result.outcome, self._story_row))

    def curves(self) -> pd.DataFrame:
        """One line per row for the start and one for each decision: `row` and `CURVES`, in time."""
        columns = [np.concatenate(parts) for parts in zip(*self._points, strict=True)]
        frame = dict(zip(("row", *CURVES), columns, strict=True))
        return pd.DataFrame(frame).sort_values("row", kind="stable", ignore_index=True)

    def timeline(self, scheduler: str, episode: int) -> Timeline | None:
        """The story of the chosen row; None if none was chosen."""
        if self._zone is None or not self._story:
            return None
        pages = {key: np.stack([page[key] for page in self._story]) for key in self._story[0]}
        return Timeline(scheduler, episode, self._zone, **pages)

    def _mark(self, rows: Ints, s: Situation) -> None:
        values = (
            s.run.hours,
            s.run.gigabytes,
            s.run.kilograms,
            s.run.accuracy,
            spent_points(s),
            self.training_rounds,
        )
        self._points.append((rows, *(value[rows] for value in values)))


def _page(before: Situation, outcome: Any, row: int) -> dict[str, Any]:
    status = np.full(before.num_clients, IDLE, dtype=np.int8)
    for code, happened in (
        (COMPLETED, outcome.completed),
        (LOST, outcome.lost),
        (CANCELLED, outcome.cancelled),
    ):
        status[happened[row]] = code
    return {
        "start_h": before.run.time_s[row] / 3600.0,
        "duration_h": outcome.duration_s[row] / 3600.0,
        "available": before.clients.available[row].copy(),
        "status": status,
        "busy_h": outcome.stop_s[row] / 3600.0,
        "carbon": before.zones.carbon_g_per_kwh[row].copy(),
        "accuracy": outcome.accuracy[row],
    }
