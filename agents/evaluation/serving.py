"""What is kept of episodes of serving while they are played: the table of all, curves, one timeline."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray, Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import Turn
from ...envs.scenario import REWARD_TERMS
from ...envs.serving import (
    NOTHING,
    ServingOutcome,
    ServingPlan,
    ServingScheduler,
    ServingSituation,
    ServingWorld,
)
from ..schedulers.base import WithRegret
from ..schedulers.serving import Hindsight, PlacementRegret, ServingPolicy
from .timelines import CANCELLED, COMPLETED, IDLE, LOST, Page, Timeline, timeline_of

_SHARES = ("dropped", "hub", "asked", "retried")
_SUMS = ("hours", "gigabytes", "kilowatt_hours", "kilograms", "loads", "lost", "repairs")
_CURVES = ("hours", "gigabytes", "kilograms", "accuracy", "spent", "net")
_BOUND_STEPS = 50

_best_fixed: WeakKeyDictionary[ServingWorld, dict[int, Hindsight]] = WeakKeyDictionary()
"""Of episodes by their seed: no policy changes what a fixed placement would have gained."""

ServingTurn = Turn[ServingSituation, ServingPlan, ServingOutcome]


class ServingRecorder:
    """Watches a batch of episodes of serving from their reset to the end of the last; see `Recorder`.

    Args:
        world: the worlds.
        seeds: `[E]`, of the episodes.
        timeline_row: the row whose timeline is kept; None for none.
        hindsight: whether to look for the best fixed placements, and so to tell regrets.
    """

    def __init__(
        self, world: ServingWorld, seeds: Ints, timeline_row: int | None = None, hindsight: bool = True
    ):
        self._world, self._seeds, self._timeline_row = world, seeds, timeline_row
        e = len(seeds)
        self.decisions = np.zeros(e, dtype=np.int64)
        self._terms, self._waited, self._latency_ms = (
            np.zeros((e, len(REWARD_TERMS))),
            np.zeros(e),
            np.zeros(e),
        )
        self._regret = PlacementRegret() if hindsight else None
        self._zone: Ints | None = None
        self._pages: list[Page] = []
        self._points: list[tuple[AnyArray, ...]] = []

    def record(self, turn: ServingTurn) -> None:
        """Enter one step of the rows that were still running."""
        before, outcome, running = turn.situation, turn.result.outcome, turn.running
        row = self._timeline_row
        if not self._points:
            self._mark(before, np.arange(len(self._seeds)))
            self._zone = None if row is None else before.slots.zone[row].copy()
        self._terms += np.where(running[:, None], turn.result.terms, 0.0)
        self._waited += np.where(running, outcome.waited, 0.0)
        self._latency_ms += np.where(running, outcome.latency_ms, 0.0)
        self.decisions += running
        if self._regret is not None:
            self._regret.record(before, turn.plan, outcome.requests, running)
        self._mark(turn.after, np.flatnonzero(running))
        if row is not None and running[row]:
            self._pages.append(_page(turn, row))

    def scores(self, scheduler: ServingScheduler) -> dict[str, AnyArray]:
        """Columns of the table of episodes, each `[E]`; requests of a split are rows no model was trained on.

        The last ones: regret of the placements against the best fixed one in hindsight and what no fixed one
        exceeds, the regret of a policy's own method and its bound, in points of the episode.
        """
        totals, terms = self._world.totals(), self._terms
        asked = np.maximum(totals["requests"], 1.0)
        charged = {f"points_{name}": terms[:, 1 + k] for k, name in enumerate(REWARD_TERMS[1:])}
        return {
            "net_points": totals["net_points"],
            "accuracy": totals["accuracy"],
            "accuracy_start": np.zeros(len(self._seeds)),
            "val_accuracy": totals["accuracy"],
            "val_net_points": totals["net_points"],
            "points_answers": terms[:, 0],
            **charged,
            "right_share": totals["right"] / asked,
            "latency_ms": self._latency_ms / np.maximum(self._waited, 1.0),
            **{each: totals[each] for each in _SUMS},
            **{f"{each}_share": totals[each] / asked for each in _SHARES},
            "decisions": self.decisions,
            **self._regrets(scheduler),
        }

    def curves(self) -> pd.DataFrame:
        """One line per row for the start and one for each step: `row` and running totals, in time."""
        columns = [np.concatenate(parts) for parts in zip(*self._points, strict=True)]
        frame = dict(zip(("row", *_CURVES), columns, strict=True))
        return pd.DataFrame(frame).sort_values("row", kind="stable", ignore_index=True)

    def timeline(self, scheduler: str, episode: int) -> Timeline | None:
        """The timeline of the chosen row, its slots in the place of clients; None if none was chosen."""
        return None if self._zone is None else timeline_of(scheduler, episode, self._zone, self._pages)

    def _mark(self, s: ServingSituation, rows: Ints) -> None:
        terms = s.terms
        right = terms.right / np.maximum(terms.answered, 1.0)
        spent = self._terms[:, 0] - terms.net_points
        values = (
            terms.time_s / SECONDS_PER_HOUR,
            terms.gigabytes,
            terms.kilograms,
            right,
            spent,
            terms.net_points,
        )
        self._points.append((rows, *(value[rows] for value in values)))

    def _regrets(self, scheduler: ServingScheduler) -> dict[str, Floats]:
        if self._regret is None:
            return {}
        known = _best_fixed.setdefault(self._world, {})
        fixed = self._regret.hindsight(_BOUND_STEPS, [known.get(seed) for seed in self._seeds.tolist()])
        known |= dict(zip(self._seeds.tolist(), fixed, strict=True))
        points = self._regret.points(fixed=fixed)
        placement = scheduler.placement if isinstance(scheduler, ServingPolicy) else None
        own, bound = np.full((2, len(self._seeds)), np.nan)
        if isinstance(placement, WithRegret):
            expected = self._world.situation().terms.expected_requests
            own, bound = placement.regret() / expected, placement.regret_bound() / expected
        return {
            "regret_points": points["regret_points"],
            "regret_limit": points["relaxed_points"] - points["own_points"],
            "own_regret": own,
            "regret_bound": bound,
        }


def _page(turn: ServingTurn, row: int) -> Page:
    """One step: who answered, who loaded, who was lost with what it held or loaded."""
    before, after, outcome = turn.situation, turn.after, turn.result.outcome
    step_h = before.terms.step_s / SECONDS_PER_HOUR
    had = (before.slots.model[row] != NOTHING) | (before.slots.loading[row] != NOTHING)
    has = (after.slots.model[row] != NOTHING) | (after.slots.loading[row] != NOTHING)
    status = np.full(before.num_slots, IDLE, dtype=np.int8)
    status[after.slots.loading[row] != NOTHING] = CANCELLED
    status[outcome.local[row] > 0] = COMPLETED
    status[had & ~has] = LOST
    share = np.where(status == COMPLETED, after.slots.busy[row], np.where(status == IDLE, 0.0, 1.0))
    return {
        "start_h": before.terms.time_s[row] / SECONDS_PER_HOUR,
        "duration_h": np.float64(step_h),
        "available": before.slots.available[row].copy(),
        "status": status,
        "busy_h": share * step_h,
        "carbon": before.zones.carbon_g_per_kwh[row].copy(),
        "accuracy": outcome.accuracy[row],
    }
