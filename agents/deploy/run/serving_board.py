"""Dashboard of a live world of serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ....envs.contract import StepResult
from ....envs.serving import NOTHING, ServingOutcome
from ..serving import LiveServing
from .board import Board, node_state, refused_words

_SHOWN = 12
"""Latest decisions on the page of text."""
_PAGE_COLUMNS = ("step", "connected", "requests", "answered", "right", "dropped", "retried")


class ServingBoard(Board[ServingOutcome]):
    """Writes `steps.csv`, `dashboard.txt` and TensorBoard scalars into a folder.

    Args:
        world: what to watch.
        out: the folder.
        past: figures of the decisions of a resumed run.
    """

    table = "steps.csv"
    columns = (
        *("step", "hours", "connected", "serving"),
        *("requests", "answered", "right", "dropped", "waiting"),
        *("by_slots", "by_hub", "asked", "retried", "late"),
        *("begun", "loaded", "lost"),
        *("measured_ms", "answer_ms", "nominal_ms"),  # of one answer that somebody waits for; computing
        *("bytes", "energy_j", "emissions_g", "refused", "net_points"),
    )
    group = "serving"

    def __init__(self, world: LiveServing, out: Path, past: Sequence[Mapping[str, float]] = ()):
        self._world, self._refused = world, 0
        super().__init__(out, past)
        if past:
            self._write()

    def page(self) -> str:
        """See `Board.page`: the latest steps, the sums, and what the nodes hold."""
        book, roster = self._world.book, self._world.roster
        lines = ["  ".join(f"{name:>9}" for name in _PAGE_COLUMNS)]
        for row in self.rows[-_SHOWN:]:
            lines.append("  ".join(f"{row[name]:>9.0f}" for name in _PAGE_COLUMNS))
        lines += ["", f"accepted {book.accepted} = answered {book.answered} + dropped {book.dropped}"]
        lines[-1] += f" + waiting {book.open}"
        lines += ["", "nodes"]
        for client, name in enumerate(roster.names):
            if name:
                state = node_state(roster, client)
                held = ", ".join(self._world.held_by(client)) or "nothing"
                lines.append(f"{client:>3} {name:<20} {state:<9} {held}" + refused_words(roster, client))
        return "\n".join([*lines, ""])

    def _row(self, result: StepResult[ServingOutcome]) -> dict[str, float]:
        outcome, world, record = result.outcome, self._world, self._world.record
        assert record is not None
        totals, known = world.totals(), world.holding
        before, self._refused = self._refused, int(world.roster.trust.faults.sum())
        answers, waited = max(float(record.local.sum()), 1.0), max(record.waited, 1)
        return {
            "step": float(totals["steps"][0]),
            "hours": float(totals["hours"][0]),
            "connected": float(world.roster.connected.sum()),
            "serving": float((known != NOTHING).sum()),
            **{name: float(np.sum(getattr(outcome, name))) for name in ("requests", "answered", "right")},
            **{name: float(np.sum(getattr(outcome, name))) for name in ("dropped", "waiting")},
            "by_slots": float(record.local.sum()),
            "by_hub": float(record.hub),
            "asked": float(record.asked),
            "retried": float(outcome.retried[0]),
            "late": float(record.late),
            **{name: float(getattr(outcome, name)[0]) for name in ("begun", "loaded", "lost")},
            "measured_ms": record.measured_ms / waited,
            "answer_ms": 1e3 * float(record.compute_s.sum()) / answers,
            "nominal_ms": record.nominal_ms / waited,
            "bytes": float(outcome.bytes.sum()),
            "energy_j": float(outcome.energy_j.sum() + outcome.hub_j[0]),
            "emissions_g": float(outcome.emissions_g.sum() + outcome.hub_g[0]),
            "refused": float(self._refused - before),
            "net_points": float(totals["net_points"][0]),
        }
