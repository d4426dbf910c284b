"""Worlds of serving as an agent sees them: ladders, proposals, observations, actions, masks."""

from __future__ import annotations

from .actions import ServingLevels
from .encoder import ServingEncoder
from .features import SERVER_TABLE, SLOT_TABLE, TASK_TABLE, slot_features, task_features
from .ladder import (
    Ladder,
    at_content,
    coming_content,
    fill_greedily,
    gain_and_slope,
    gain_of,
    joined_rows,
    ladder_of,
    load_delays,
    load_prices,
    marginals,
)
from .proposals import PROPOSAL_SLOW, PROPOSAL_STEPS, Proposals, propose
from .view import ServingView

__all__ = [
    "PROPOSAL_SLOW",
    "PROPOSAL_STEPS",
    "SERVER_TABLE",
    "SLOT_TABLE",
    "TASK_TABLE",
    "Ladder",
    "Proposals",
    "ServingEncoder",
    "ServingLevels",
    "ServingView",
    "at_content",
    "coming_content",
    "fill_greedily",
    "gain_and_slope",
    "gain_of",
    "joined_rows",
    "ladder_of",
    "load_delays",
    "load_prices",
    "marginals",
    "propose",
    "slot_features",
    "task_features",
]
