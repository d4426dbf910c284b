"""Inference on volatile machines: which model where, who is worth asking, what may wait."""

from __future__ import annotations

from .assignment import (
    POINTS_PER_ANSWER,
    Assignment,
    Options,
    assign,
    assigned_points,
    hub_costs,
    placement_options,
    placement_points,
    slot_costs,
)
from .contract import (
    KEEP,
    NOTHING,
    HubFacts,
    ServingFuture,
    ServingOutcome,
    ServingPlan,
    ServingScheduler,
    ServingSituation,
    ServingTerms,
    SlotFacts,
    TaskFacts,
)

__all__ = [
    "KEEP",
    "NOTHING",
    "POINTS_PER_ANSWER",
    "Assignment",
    "HubFacts",
    "Options",
    "ServingFuture",
    "ServingOutcome",
    "ServingPlan",
    "ServingScheduler",
    "ServingSituation",
    "ServingTerms",
    "SlotFacts",
    "TaskFacts",
    "assign",
    "assigned_points",
    "hub_costs",
    "placement_options",
    "placement_points",
    "slot_costs",
]
