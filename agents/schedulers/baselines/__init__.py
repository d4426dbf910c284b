"""Baselines: everybody, nobody, random, fastest, greenest, a tuned linear rule."""

from __future__ import annotations

from .all_available import AllAvailable
from .all_mean import AllMean
from .fastest_m import FastestM
from .greenest_m import GreenestM
from .never import Never
from .random_m import RandomM
from .round_robin import RoundRobin
from .tuned_rule import TunedRule

__all__ = ["AllAvailable", "AllMean", "FastestM", "GreenestM", "Never", "RandomM", "RoundRobin", "TunedRule"]
