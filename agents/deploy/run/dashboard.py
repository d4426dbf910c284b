"""Dashboard of a live federation: TensorBoard scalars, a page of text and a table of rounds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ....common.files import naming, write_text
from ....envs.adapters import Viewer
from ....envs.contract import REWARD_TERMS, StepResult
from ..federation import LiveWorld

COUNTED = (
    "invited",
    "completed",
    "lost",
    "cancelled",
    "down_bytes",
    "up_bytes",
    "energy_j",
    "emissions_g",
)
"""Columns that are sums over the nodes of an outcome's fields."""

COLUMNS = ("round", "hours", "duration_s", "connected", *COUNTED, "refused", "accuracy", "loss", "net_points")
"""Columns of `rounds.csv`, one row per decision; refused: wrong answers, and updates far too long."""

_POINTS = "points/"
PAGE, TABLE, BOARD = "dashboard.txt", "rounds.csv", "tensorboard"


class Dashboard:
    """Writes `rounds.csv`, `dashboard.txt` (the viewer's page of text) and TensorBoard scalars into a folder.

    Args:
        world: what to watch.
        out: the folder.
        past: figures of the decisions of a resumed run.
    """

    def __init__(self, world: LiveWorld, out: Path, past: Sequence[Mapping[str, float]] = ()):
        from torch.utils.tensorboard import SummaryWriter

        out.mkdir(parents=True, exist_ok=True)
        self._world, self._out = world, out
        self._refused = 0
        self._viewer = Viewer(world)
        # What an earlier process has drawn is drawn anew: it may have been killed before the last figures.
        self._board = SummaryWriter(str(out / BOARD), purge_step=0 if past else None)  # type: ignore[no-untyped-call]
        self._rows: list[Mapping[str, float]] = []
        for row in past:
            self._enter(row)
            self._viewer.add_points({name: row[_POINTS + name] for name in REWARD_TERMS})
        if past:
            self._write()

    def figures(self, result: StepResult) -> dict[str, float]:
        """What the table and TensorBoard show of the step that was just made."""
        points = {_POINTS + name: float(value[0]) for name, value in result.reward_terms.items()}
        return self._row(result) | points

    def record(self, result: StepResult, figures: Mapping[str, float]) -> None:
        """Enter the step that was just made, and its figures."""
        self._viewer.record(result)
        self._enter(figures)
        self._write()

    def _enter(self, figures: Mapping[str, float]) -> None:
        self._rows.append(figures)
        for name, value in figures.items():
            label = f"federation/{name}" if name in COLUMNS else name
            if name != "round":
                with naming(self._out / BOARD):
                    self._board.add_scalar(label, value, int(figures["round"]))  # type: ignore[no-untyped-call]

    def _write(self) -> None:
        """All rows, whole: the table says what the checkpoints say, however the last process ended."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._out / TABLE, text.getvalue())
        write_text(self._out / PAGE, self.page())
        with naming(self._out / BOARD):
            self._board.flush()  # type: ignore[no-untyped-call]

    def page(self) -> str:
        """The page of text, with the nodes by name."""
        roster = self._world.roster
        nodes = [
            f"{client:>3} {name:<20} {self._state(client):<9} {roster.step_s[client]:.3g} s/step"
            + (f"  {roster.trust.faults[client]} refused" if roster.trust.faults[client] else "")
            for client, name in enumerate(roster.names)
            if name
        ]
        return self._viewer.text() + "\n".join(["nodes", *nodes, ""])

    def close(self) -> None:
        """Finish writing."""
        self._board.close()  # type: ignore[no-untyped-call]

    def _state(self, client: int) -> str:
        roster = self._world.roster
        if not roster.connected[client]:
            return "away"
        if roster.trust.given_up[client]:
            return "given up"
        return "busy" if roster.order[client] else "idle"

    def _row(self, result: StepResult) -> dict[str, float]:
        outcome, ledger = result.outcome, self._world.ledger
        sums = {name: float(np.sum(getattr(outcome, name))) for name in COUNTED}
        before, self._refused = self._refused, int(self._world.roster.trust.faults.sum())
        return {
            "round": float(ledger.rounds[0]),
            "hours": float(ledger.hours[0]),
            "duration_s": float(outcome.duration_s[0]),
            "connected": float(self._world.roster.connected.sum()),
            **sums,
            "refused": float(self._refused - before),
            "accuracy": float(outcome.accuracy[0]),
            "loss": float(outcome.loss[0]),
            "net_points": float(ledger.net_points[0]),
        }
