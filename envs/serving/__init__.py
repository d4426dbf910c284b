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
from .charges import emissions, hub_energy, reward_terms
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
from .fleet import FleetSource
from .ladders import PROFILES, Hardware, Ladder, Models, Profile, asked_rows, trained_ladder
from .situation import State, what_is_known
from .slots import SlotStates
from .world import ServingWorld

__all__ = [
    "KEEP",
    "NOTHING",
    "POINTS_PER_ANSWER",
    "PROFILES",
    "Assignment",
    "FleetSource",
    "Hardware",
    "Hub",
    "HubFacts",
    "Ladder",
    "MachineGroup",
    "Models",
    "Options",
    "Profile",
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
    "SlotStates",
    "State",
    "TaskFacts",
    "asked_rows",
    "assign",
    "assigned_points",
    "emissions",
    "hub_costs",
    "hub_energy",
    "load_serving",
    "placement_options",
    "placement_points",
    "reward_terms",
    "serving_names",
    "slot_costs",
    "trained_ladder",
    "what_is_known",
]
