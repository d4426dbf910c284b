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
from .document import (
    Hub,
    MachineGroup,
    ServingPreferences,
    ServingScenario,
    ServingSource,
    load_serving,
    serving_names,
)
from .ladders import PROFILES, Models, trained_ladder
from .world import ServingWorld

__all__ = [
    "KEEP",
    "NOTHING",
    "POINTS_PER_ANSWER",
    "PROFILES",
    "Assignment",
    "Hub",
    "HubFacts",
    "MachineGroup",
    "Models",
    "Options",
    "ServingFuture",
    "ServingOutcome",
    "ServingPlan",
    "ServingPreferences",
    "ServingScenario",
    "ServingScheduler",
    "ServingSituation",
    "ServingSource",
    "ServingTerms",
    "ServingWorld",
    "SlotFacts",
    "TaskFacts",
    "assign",
    "assigned_points",
    "hub_costs",
    "load_serving",
    "placement_options",
    "placement_points",
    "serving_names",
    "slot_costs",
    "trained_ladder",
]
