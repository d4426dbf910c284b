"""Planning: model-predictive control, and a clairvoyant search."""

from __future__ import annotations

from .clairvoyant import Clairvoyant, with_sight
from .mpc import Mpc

__all__ = ["Clairvoyant", "Mpc", "with_sight"]
