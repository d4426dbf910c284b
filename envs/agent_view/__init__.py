"""The world as an agent sees it: observations, actions, masks."""

from __future__ import annotations

from .action_modes import (
    ACTION_MODES,
    DEFAULT_MENU,
    ActionMode,
    MakeScheduler,
    Menu,
    ScoresMode,
    make_action_mode,
)
from .actions import ActionCodec, ActionLayout
from .encoder import ObservationEncoder
from .features import CLIENT_FEATURES, CLIENT_TABLE, FEATURES, SERVER_FEATURES, SERVER_TABLE
from .view import AgentView, Info, Observation, layout_of

__all__ = [
    "ACTION_MODES",
    "CLIENT_FEATURES",
    "CLIENT_TABLE",
    "DEFAULT_MENU",
    "FEATURES",
    "SERVER_FEATURES",
    "SERVER_TABLE",
    "ActionCodec",
    "ActionLayout",
    "ActionMode",
    "AgentView",
    "Info",
    "MakeScheduler",
    "Menu",
    "Observation",
    "ObservationEncoder",
    "ScoresMode",
    "layout_of",
    "make_action_mode",
]
