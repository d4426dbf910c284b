"""The world as an agent sees it: observations, actions, masks."""

from __future__ import annotations

from .action_modes import DEFAULT_MENU, ActionFace, ScoresFace, make_face
from .actions import ActionCodec, ActionLayout
from .encoder import CLIENT_FEATURES, CLIENT_TABLE, SERVER_FEATURES, SERVER_TABLE, ObservationEncoder
from .view import AgentFace, Observation, layout_of

__all__ = [
    "CLIENT_FEATURES",
    "CLIENT_TABLE",
    "DEFAULT_MENU",
    "SERVER_FEATURES",
    "SERVER_TABLE",
    "ActionCodec",
    "ActionFace",
    "ActionLayout",
    "AgentFace",
    "Observation",
    "ObservationEncoder",
    "ScoresFace",
    "layout_of",
    "make_face",
]
