"""Explanations of trained schedulers, and predictions of theory for any."""

from __future__ import annotations

from .theory import Options, play, predictions, scenario_of
from .theory_tables import show
from .upper_bound import upper_bounds

__all__ = ["Options", "play", "predictions", "scenario_of", "show", "upper_bounds"]
