"""A live federation as a world."""

from __future__ import annotations

from .deployable import charge_actual, check_deployable
from .live_world import LiveWorld
from .roster import Roster

__all__ = ["LiveWorld", "Roster", "charge_actual", "check_deployable"]
