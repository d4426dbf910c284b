"""Adapters for other reinforcement-learning libraries; each file needs its own."""

from __future__ import annotations

from .foreign_loop import ForeignLoop, LoopFacts, LoopOrders
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
    "ForeignLoop",
    "LoopFacts",
    "LoopOrders",
    "MaskedObservations",
    "MaskedVectorObservations",
    "SchedulerPolicy",
    "WeightedReward",
    "flatten",
]
