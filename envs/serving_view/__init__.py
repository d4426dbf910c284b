"""Worlds of serving as an agent sees them: observations, actions, masks."""

from __future__ import annotations

from .actions import ServingLevels
from .encoder import ServingEncoder
from .features import SERVER_TABLE, SLOT_TABLE, TASK_TABLE, slot_features, task_features
from .view import ServingView

__all__ = [
    "SERVER_TABLE",
    "SLOT_TABLE",
    "TASK_TABLE",
    "ServingEncoder",
    "ServingLevels",
    "ServingView",
    "slot_features",
    "task_features",
]
