"""Carbon-aware scheduling: where and when energy is clean."""

from __future__ import annotations

from .drift_plus_penalty import DriftPlusPenalty
from .fedzero import Fedzero
from .greenfl import GreenflOffline, GreenflOnline
from .waiting import Carbonscaler, LetsWaitAwhile, carbon_scale, run_now

__all__ = [
    "Carbonscaler",
    "DriftPlusPenalty",
    "Fedzero",
    "GreenflOffline",
    "GreenflOnline",
    "LetsWaitAwhile",
    "carbon_scale",
    "run_now",
]
