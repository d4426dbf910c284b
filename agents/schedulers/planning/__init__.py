"""Planning: model-predictive control, and the search for the best play in hindsight."""

from __future__ import annotations

from .best_known import BestKnown, BestPlay
from .clairvoyant import Clairvoyant, Progress, SearchEffort
from .mpc import Mpc
from .sight import with_sight

__all__ = ["BestKnown", "BestPlay", "Clairvoyant", "Mpc", "Progress", "SearchEffort", "with_sight"]
