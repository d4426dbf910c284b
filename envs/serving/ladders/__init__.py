"""Ladders: models that are really trained, and the nominal jobs that they stand for."""

from __future__ import annotations

from .answers import Given, RealAnswers, asked_rows
from .profiles import PROFILES, Hardware, Profile
from .settings import Models, Rung
from .trained import Answers, Ladder, trained_ladder

__all__ = [
    "PROFILES",
    "Answers",
    "Given",
    "Hardware",
    "Ladder",
    "Models",
    "Profile",
    "RealAnswers",
    "Rung",
    "asked_rows",
    "trained_ladder",
]
