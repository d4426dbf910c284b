"""Dashboard of a live federation whose nodes are asked things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ....envs.contract import RoundOutcome, StepResult
from ..streams import StreamingLiveWorld
from .dashboard import Dashboard

REQUESTS = ("came", "answered", "right", "unanswered", "waiting")
"""Columns of what became of the requests so far."""


class StreamingDashboard(Dashboard):
    """A `Dashboard` that also shows requests so far: came = answered + unanswered + waiting.

    Unanswered are those that no node will tell of any more.

    Args:
        world: what to watch.
        out: the folder.
        past: figures of the decisions of a resumed run.
    """

    columns = (*Dashboard.columns, *REQUESTS, "refreshed")

    def __init__(self, world: StreamingLiveWorld, out: Path, past: Sequence[Mapping[str, float]] = ()):
        self._asked = world
        super().__init__(world, out, past)

    def _more(self) -> list[str]:
        counts = self._requests()
        share = 100.0 * counts["right"] / max(counts["answered"], 1.0)
        words = "  ".join(f"{name} {counts[name]:.0f}" for name in REQUESTS)
        return [f"requests {words}  ({share:.1f} % of the answered right)"]

    def _row(self, result: StepResult[RoundOutcome]) -> dict[str, float]:
        served = result.outcome.served
        refreshed = 0.0 if served is None else float(served.refreshed.sum())
        return super()._row(result) | self._requests() | {"refreshed": refreshed}

    def _requests(self) -> dict[str, float]:
        books, now_s = self._asked.books, self._asked.clock.now()
        sums = (books.came(now_s), books.answered, books.right, books.lost, books.waiting(now_s))
        return {name: float(each.sum()) for name, each in zip(REQUESTS, sums, strict=True)}
