"""The world as an agent sees it: observations, actions, masks."""

from __future__ import annotations

from .action_modes import (
    ACTION_MODES,
    DEFAULT_MENU,
    ActionMode,
    LevelsMode,
    MakeScheduler,
    Menu,
    ScoresMode,
    make_action_mode,
)
from .actions import FURTHER, ActionCodec, ActionLayout, further_levels, nearest_level
from .base_view import Info, WorldView, check_observation
from .encoder import ObservationEncoder
from .features import (
    CLIENT_FEATURES,
    CLIENT_TABLE,
    EXIT_CLIENT_TABLE,
    EXIT_SERVER_TABLE,
    FEATURES,
    LEAKAGE_SERVER_TABLE,
    SERVER_FEATURES,
    SERVER_TABLE,
    STREAM_CLIENT_TABLE,
    STREAM_SERVER_TABLE,
    ZONE_FEATURES,
    ZONE_TABLE,
    features_of,
)
from .flat import (
    OBSERVATIONS,
    PARTS,
    AnyObservation,
    Observation,
    flat_space,
    flatten,
    observation_columns,
    one_of,
)
from .server_kernels import best_ahead, zone_table
from .view import AgentView, layout_for, layout_of

__all__ = [
    "ACTION_MODES",
    "CLIENT_FEATURES",
    "CLIENT_TABLE",
    "DEFAULT_MENU",
    "EXIT_CLIENT_TABLE",
    "EXIT_SERVER_TABLE",
    "FEATURES",
    "FURTHER",
    "LEAKAGE_SERVER_TABLE",
    "OBSERVATIONS",
    "PARTS",
    "SERVER_FEATURES",
    "SERVER_TABLE",
    "STREAM_CLIENT_TABLE",
    "STREAM_SERVER_TABLE",
    "ZONE_FEATURES",
    "ZONE_TABLE",
    "ActionCodec",
    "ActionLayout",
    "ActionMode",
    "AgentView",
    "AnyObservation",
    "Info",
    "LevelsMode",
    "MakeScheduler",
    "Menu",
    "Observation",
    "ObservationEncoder",
    "ScoresMode",
    "WorldView",
    "best_ahead",
    "check_observation",
    "features_of",
    "flat_space",
    "flatten",
    "further_levels",
    "layout_for",
    "layout_of",
    "make_action_mode",
    "nearest_level",
    "observation_columns",
    "one_of",
    "zone_table",
]
