"""Explanations of trained schedulers, and predictions of theory for any."""

from __future__ import annotations

from .theory import Options, play, predictions, scenario_of
from .theory_tables import show
from .tracking import Followed, follow, tracking_table
from .upper_bound import upper_bounds

__all__ = [
    "Followed",
    "Options",
    "follow",
    "play",
    "predictions",
    "scenario_of",
    "show",
    "tracking_table",
    "upper_bounds",
]
