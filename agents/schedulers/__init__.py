"""Handcrafted schedulers from the literature, one file each."""

from __future__ import annotations

from .registry import SCHEDULERS, TUNABLE, make_scheduler, tuned_settings

__all__ = ["SCHEDULERS", "TUNABLE", "make_scheduler", "tuned_settings"]
