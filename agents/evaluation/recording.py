"""What is kept of episodes of training while they are played: curves of all, the timeline of one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray, Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import (
    STOP_S,
    RoundOutcome,
    Scheduler,
    Served,
    SimulatedWorld,
    Situation,
    Turn,
)
from ...envs.scenario import LEAKAGE
from ..schedulers.base import WithRegret, original, spent_points
from .measures import jain_index, total_variation
from .timelines import CANCELLED, COMPLETED, IDLE, LOST, Page, Timeline, timeline_of

_TOTALS = (
    "hours",
    "gigabytes",
    "kilowatt_hours",
    "kilograms",
    "wasted_share",
    "invitations",
    "completions",
    "lost",
)
CURVES = ("hours", "gigabytes", "kilograms", "accuracy", "spent", "rounds")
"""Running totals along an episode: validation accuracy, points charged, rounds in which somebody trained."""


class Recorder:
    """Watches a batch of episodes from their reset to the end of the last.

    Args:
        world: the worlds.
        seeds: `[E]`, of the episodes.
        timeline_row: the row whose timeline is kept; None for none.

    Attributes:
        served: sums `[E]` of what was served, by column of the episodes' table; empty without arrivals.
    """

    def __init__(self, world: SimulatedWorld, seeds: Ints, timeline_row: int | None = None):
        num_envs, self._world = len(seeds), world
        self.terms = {name: np.zeros(num_envs) for name in world.scenario.reward_terms}
        self.training_rounds = np.zeros(num_envs, dtype=np.int64)
        self.decisions = np.zeros(num_envs, dtype=np.int64)
        self.stopped = np.zeros(num_envs, dtype=np.int64)
        self.target_weight: Floats = np.zeros((num_envs, 0))
        self.served: dict[str, Floats] = {}
        self._timeline_row = timeline_row
        self._zone: Ints | None = None
        self._pages: list[Page] = []
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

    def scores(self, scheduler: Scheduler) -> dict[str, AnyArray]:
        """Columns of the table of episodes, each `[E]`."""
        world = self._world
        totals, start_accuracy = world.totals(), np.array(world.initial_test_accuracy, dtype=np.float64)
        test_accuracy = np.asarray(world.test_scores()[0], dtype=np.float64)
        charged = {f"points_{name}": points for name, points in self.terms.items() if name != "accuracy"}
        return {
            "net_points": 100.0 * (test_accuracy - start_accuracy) + sum(charged.values()),
            "accuracy": test_accuracy,
            "accuracy_start": start_accuracy,
            "val_accuracy": totals["accuracy"],
            "val_net_points": totals["net_points"],
            **charged,
            **{name: totals[name] for name in _TOTALS},
            "rounds": self.training_rounds,
            "decisions": self.decisions,
            "stopped": self.stopped,
            "jain": jain_index(world.participation),
            **self.served,
            **({"mia_auc_charged": totals["mia_auc_charged"]} if LEAKAGE in self.terms else {}),
            **self._regrets(scheduler),
            **self._client_scores(),
        }

    def _client_scores(self) -> dict[str, Floats]:
        """How far participation is from its target, and the clients that the model serves worst."""
        accuracy = np.asarray(self._world.client_test_accuracy(), dtype=np.float64)
        return {
            "participation_tv": total_variation(self.target_weight, self._world.participation),
            "worst_client_accuracy": np.nanmin(accuracy, axis=1),
            "p10_client_accuracy": np.nanpercentile(accuracy, 10.0, axis=1),
        }

    def _regrets(self, scheduler: Scheduler) -> dict[str, Floats]:
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
        return None if self._zone is None else timeline_of(scheduler, episode, self._zone, self._pages)

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
            spent_points(s) - self.terms.get(LEAKAGE, 0.0),
            self.training_rounds,
        )
        self._points.append((rows, *(value[rows] for value in values)))


def _page(before: Situation, outcome: RoundOutcome, row: int) -> Page:
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
