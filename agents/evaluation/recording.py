"""What is kept of episodes while they are played: curves of all, the timeline of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import REWARD_TERMS, STOP_S, RoundOutcome, Scheduler, Served, Situation, Turn
from ..schedulers.base import WithRegret, original, spent_points

IDLE, COMPLETED, LOST, CANCELLED = range(4)
"""Codes of `Timeline.status`."""
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


class _Page(TypedDict):
    """One decision of the timeline, see there."""

    start_h: np.float64
    duration_h: np.float64
    available: Bools
    status: NDArray[np.int8]
    busy_h: Floats
    carbon: Floats
    accuracy: np.float64


class Recorder:
    """Watches a batch of episodes from their reset to the end of the last.

    Args:
        num_envs: E.
        timeline_row: the row whose timeline is kept; None for none.

    Attributes:
        served: sums `[E]` of what was served, by column of the episodes' table; empty without arrivals.
    """

    def __init__(self, num_envs: int, timeline_row: int | None = None):
        self.terms = {name: np.zeros(num_envs) for name in REWARD_TERMS}
        self.training_rounds = np.zeros(num_envs, dtype=np.int64)
        self.decisions = np.zeros(num_envs, dtype=np.int64)
        self.stopped = np.zeros(num_envs, dtype=np.int64)
        self.target_weight: Floats = np.zeros((num_envs, 0))
        self.served: dict[str, Floats] = {}
        self._timeline_row = timeline_row
        self._zone: Ints | None = None
        self._pages: list[_Page] = []
        self._points: list[tuple[AnyArray, ...]] = []

    def record(self, turn: Turn) -> None:
        """Enter one decision of the rows that were still running."""
        before, result, running = turn.situation, turn.result, turn.running
        if not self._points:
            self._begin(before)
        for name, total in self.terms.items():
            total += np.where(running, result.reward_terms[name], 0.0)
        self.decisions += running
        self.stopped += running & (turn.plan.wait_s == STOP_S)
        self.training_rounds += running & result.outcome.invited.any(axis=1)
        self._serve(result.outcome.served)
        self._mark(np.flatnonzero(running), turn.after)
        if self._timeline_row is not None and running[self._timeline_row]:
            self._pages.append(_page(before, result.outcome, self._timeline_row))

    def regrets(self, scheduler: Scheduler) -> dict[str, Floats]:
        """In worlds that serve: the scheduler's own regret and its bound, where its method has them."""
        if not self.served:
            return {}
        own, unknown = original(scheduler), np.full(self.decisions.shape, np.nan)
        if not isinstance(own, WithRegret):
            return {"own_regret": unknown, "regret_bound": unknown.copy()}
        return {"own_regret": own.regret(), "regret_bound": own.regret_bound()}

    def curves(self) -> pd.DataFrame:
        """One line per row for the start and one for each decision: `row` and `CURVES`, in time."""
        columns = [np.concatenate(parts) for parts in zip(*self._points, strict=True)]
        frame = dict(zip(("row", *CURVES), columns, strict=True))
        return pd.DataFrame(frame).sort_values("row", kind="stable", ignore_index=True)

    def timeline(self, scheduler: str, episode: int) -> Timeline | None:
        """The timeline of the chosen row; None if none was chosen."""
        if self._zone is None:
            return None
        pages = self._pages
        return Timeline(
            scheduler,
            episode,
            self._zone,
            np.stack([page["start_h"] for page in pages]),
            np.stack([page["duration_h"] for page in pages]),
            np.stack([page["available"] for page in pages]),
            np.stack([page["status"] for page in pages]),
            np.stack([page["busy_h"] for page in pages]),
            np.stack([page["carbon"] for page in pages]),
            np.stack([page["accuracy"] for page in pages]),
        )

    def _begin(self, first: Situation) -> None:
        self.target_weight = first.clients.target_weight.copy()
        if self._timeline_row is not None:
            self._zone = first.clients.zone[self._timeline_row].copy()
        self._mark(np.arange(first.num_envs), first)

    def _serve(self, served: Served | None) -> None:
        """Add up what a step served, in worlds with arrivals; nothing is served in rows that have ended."""
        if served is None:
            return
        step = {
            "requests": served.requests.sum(axis=1),
            "refreshed": served.refreshed.sum(axis=1),
            **({} if served.asked is None else {"asked": served.asked.count.sum(axis=1)}),
            "drift_events": served.drift_events,
            "regret_points": served.regret_points,
        }
        for name, values in step.items():
            self.served[name] = self.served.get(name, 0.0) + values.astype(np.float64)

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


def _page(before: Situation, outcome: RoundOutcome, row: int) -> _Page:
    status = np.full(before.num_clients, IDLE, dtype=np.int8)
    for code, happened in (
        (COMPLETED, outcome.completed),
        (LOST, outcome.lost),
        (CANCELLED, outcome.cancelled),
    ):
        status[happened[row]] = code
    return {
        "start_h": before.run.time_s[row] / SECONDS_PER_HOUR,
        "duration_h": outcome.duration_s[row] / SECONDS_PER_HOUR,
        "available": before.clients.available[row].copy(),
        "status": status,
        "busy_h": outcome.stop_s[row] / SECONDS_PER_HOUR,
        "carbon": before.zones.carbon_g_per_kwh[row].copy(),
        "accuracy": outcome.accuracy[row],
    }
