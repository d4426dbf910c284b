"""Handcrafted schedulers from the literature, by the question they answer."""

from __future__ import annotations

from .registry import (
    EVOLVED,
    SCHEDULERS,
    TUNABLE,
    best_tuned,
    make_scheduler,
    make_tuned_policy,
    refuse_unknown,
    strongest,
)
from .stored import (
    StoredSetting,
    TunedEntry,
    TunedFile,
    rounds_spent,
    tuned_file,
    tuned_schedulers,
    tuned_settings,
)

__all__ = [
    "EVOLVED",
    "SCHEDULERS",
    "TUNABLE",
    "StoredSetting",
    "TunedEntry",
    "TunedFile",
    "best_tuned",
    "make_scheduler",
    "make_tuned_policy",
    "refuse_unknown",
    "rounds_spent",
    "strongest",
    "tuned_file",
    "tuned_schedulers",
    "tuned_settings",
]
