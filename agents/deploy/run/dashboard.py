"""Dashboard of a live federation: TensorBoard scalars, a page of text and a table of rounds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ....common.files import write_text
from ....envs.adapters import Viewer
from ....envs.contract import StepResult
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

COLUMNS = ("round", "hours", "duration_s", "connected", *COUNTED, "accuracy", "loss", "net_points")
"""Columns of `rounds.csv`, one row per decision."""

PAGE, TABLE, BOARD = "dashboard.txt", "rounds.csv", "tensorboard"


class Dashboard:
    """Writes `rounds.csv`, `dashboard.txt` (the viewer's page of text) and TensorBoard scalars into a folder.

    Args:
        world: what to watch.
        out: the folder; a resumed run goes on writing where it stopped.
    """

    def __init__(self, world: LiveWorld, out: Path):
        from torch.utils.tensorboard import SummaryWriter

        out.mkdir(parents=True, exist_ok=True)
        self._world, self._out = world, out
        self._viewer = Viewer(world)
        self._board = SummaryWriter(str(out / BOARD))  # type: ignore[no-untyped-call]

    def record(self, result: StepResult) -> dict[str, float]:
        """Enter the step that was just made; returns its row of the table."""
        self._viewer.record(result)
        row = self._row(result)
        path = self._out / TABLE
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        for name in COLUMNS[1:]:
            self._board.add_scalar(f"federation/{name}", row[name], int(row["round"]))  # type: ignore[no-untyped-call]
        for name, value in result.reward_terms.items():
            self._board.add_scalar(f"points/{name}", float(value[0]), int(row["round"]))  # type: ignore[no-untyped-call]
        self._board.flush()  # type: ignore[no-untyped-call]
        write_text(self._out / PAGE, self.page())
        return row

    def page(self) -> str:
        """The page of text, with the nodes by name."""
        roster = self._world.roster
        nodes = [
            f"{client:>3} {name:<20} {self._state(client):<9} {roster.step_s[client]:.3g} s/step"
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
        return {
            "round": float(ledger.rounds[0]),
            "hours": float(ledger.hours[0]),
            "duration_s": float(outcome.duration_s[0]),
            "connected": float(self._world.roster.connected.sum()),
            **sums,
            "accuracy": float(outcome.accuracy[0]),
            "loss": float(outcome.loss[0]),
            "net_points": float(ledger.net_points[0]),
        }
