"""Dashboard of a live federation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from ....envs.adapters import Viewer
from ....envs.contract import RoundOutcome, StepResult
from ..federation import LiveWorld
from .board import POINTS, Board, node_state, refused_words

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


class Dashboard(Board[RoundOutcome]):
    """Writes `rounds.csv`, `dashboard.txt` (the viewer's page of text) and TensorBoard scalars into a folder.

    Args:
        world: what to watch.
        out: the folder.
        past: figures of the decisions of a resumed run.
    """

    table = "rounds.csv"
    columns: ClassVar[tuple[str, ...]] = (
        *("round", "hours", "duration_s", "connected"),
        *COUNTED,
        "refused",  # wrong answers, and updates far too long
        *("accuracy", "loss", "net_points"),
    )
    group = "federation"

    def __init__(self, world: LiveWorld, out: Path, past: Sequence[Mapping[str, float]] = ()):
        self._world, self._refused = world, 0
        self._viewer = Viewer(world)
        super().__init__(out, past)
        for row in past:
            self._viewer.add_points({name: row[POINTS + name] for name in world.scenario.reward_terms})
        if past:
            self._write()

    def record(self, result: StepResult[RoundOutcome], figures: Mapping[str, float]) -> None:
        """See `Board.record`."""
        self._viewer.record(result)
        super().record(result, figures)

    def page(self) -> str:
        """See `Board.page`."""
        roster = self._world.roster
        nodes = [
            f"{client:>3} {name:<20} {node_state(roster, client):<9} {roster.step_s[client]:.3g} s/step"
            + refused_words(roster, client)
            for client, name in enumerate(roster.names)
            if name
        ]
        return self._viewer.text() + "\n".join([*self._more(), "nodes", *nodes, ""])

    def _more(self) -> list[str]:
        """Further lines above the nodes."""
        return []

    def _row(self, result: StepResult[RoundOutcome]) -> dict[str, float]:
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
