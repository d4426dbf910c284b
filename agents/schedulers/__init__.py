"""Handcrafted schedulers from the literature, by the question they answer."""

from __future__ import annotations

from .registry import SCHEDULERS, TUNABLE, best_tuned, make_scheduler, strongest, tuned_file, tuned_settings

__all__ = [
    "SCHEDULERS",
    "TUNABLE",
    "best_tuned",
    "make_scheduler",
    "strongest",
    "tuned_file",
    "tuned_settings",
]
