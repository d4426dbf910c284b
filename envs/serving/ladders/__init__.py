"""Ladders: models that are really trained, and the nominal jobs that they stand for."""

from __future__ import annotations

from .profiles import PROFILES, Hardware, Profile
from .settings import Models, Rung
from .trained import Answers, Ladder, trained_ladder

__all__ = ["PROFILES", "Answers", "Hardware", "Ladder", "Models", "Profile", "Rung", "trained_ladder"]
