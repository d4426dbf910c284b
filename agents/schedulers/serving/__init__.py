"""Policies of serving: which model where, whose answers are checked, what may wait; regret of the first."""

from __future__ import annotations

from ....envs.serving_view import Ladder, gain_and_slope, gain_of, ladder_of, marginals
from .ascent import Ascent, InfidaOma, OnlineGradientPlacement, TabularGreedy
from .policy import Part, Placement, Release, ServingPolicy, Threshold
from .registry import POLICY_PARTS, make_policy, parts_of, policy_knobs, policy_names
from .regret import PSI, Hindsight, PlacementRegret, look_back, relaxed_by_program

__all__ = [
    "POLICY_PARTS",
    "PSI",
    "Ascent",
    "Hindsight",
    "InfidaOma",
    "Ladder",
    "OnlineGradientPlacement",
    "Part",
    "Placement",
    "PlacementRegret",
    "Release",
    "ServingPolicy",
    "TabularGreedy",
    "Threshold",
    "gain_and_slope",
    "gain_of",
    "ladder_of",
    "look_back",
    "make_policy",
    "marginals",
    "parts_of",
    "policy_knobs",
    "policy_names",
    "relaxed_by_program",
]
