"""A live federation as a world."""

from __future__ import annotations

from .live_state import federation_state, restore_federation
from .live_world import LiveWorld, charge_actual, check_deployable
from .roster import Roster

__all__ = [
    "LiveWorld",
    "Roster",
    "charge_actual",
    "check_deployable",
    "federation_state",
    "restore_federation",
]
