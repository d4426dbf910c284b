"""Handcrafted schedulers from the literature, by the question they answer."""

from __future__ import annotations

from .registry import (
    SCHEDULERS,
    TUNABLE,
    TunedEntry,
    TunedFile,
    best_tuned,
    make_scheduler,
    refuse_unknown,
    strongest,
    tuned_file,
    tuned_schedulers,
    tuned_settings,
)

__all__ = [
    "SCHEDULERS",
    "TUNABLE",
    "TunedEntry",
    "TunedFile",
    "best_tuned",
    "make_scheduler",
    "refuse_unknown",
    "strongest",
    "tuned_file",
    "tuned_schedulers",
    "tuned_settings",
]
