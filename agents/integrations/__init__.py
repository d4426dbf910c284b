"""Adapters for other reinforcement-learning libraries; each file needs its own."""

from __future__ import annotations

from .masked_observations import (
    FlatLayout,
    MaskedObservations,
    MaskedVectorObservations,
    WeightedReward,
    flatten,
)
from .scheduler_policy import SchedulerPolicy

__all__ = [
    "FlatLayout",
    "MaskedObservations",
    "MaskedVectorObservations",
    "SchedulerPolicy",
    "WeightedReward",
    "flatten",
]
