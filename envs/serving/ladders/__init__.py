"""Ladders: models that are really trained, and the nominal jobs that they stand for."""

from __future__ import annotations

from .answers import Given, RealAnswers, asked_rows
from .profiles import PROFILES, Hardware, Profile
from .settings import FederatedRung, Models, Rung
from .sized import make_profile
from .trained import Answers, Ladder, trained_ladder

__all__ = [
    "PROFILES",
    "Answers",
    "FederatedRung",
    "Given",
    "Hardware",
    "Ladder",
    "Models",
    "Profile",
    "RealAnswers",
    "Rung",
    "asked_rows",
    "make_profile",
    "trained_ladder",
]
