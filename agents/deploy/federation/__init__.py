"""A live federation as a world."""

from __future__ import annotations

from .border import read_believable
from .deployable import charge_actual, check_deployable
from .gathering import await_nodes
from .live_round import LiveRound
from .live_world import LiveWorld
from .roster import Roster

__all__ = [
    "LiveRound",
    "LiveWorld",
    "Roster",
    "await_nodes",
    "charge_actual",
    "check_deployable",
    "read_believable",
]
