"""Schedulers: the handcrafted ones by name, and what one of your own is made of.

    from frugalfl.schedulers import plan_for, top_m

Anything with `reset` and `plan` is a scheduler; `Rule` gives hyperparameters, quorum, spare invitations and a
stop to those that are a score. `frugalfl.testing.check_scheduler` tells whether yours keeps the contract.
"""

from __future__ import annotations

from .agents.schedulers import SCHEDULERS, make_scheduler, rounds_spent, tuned_settings
from .agents.schedulers.base import Rule, knob, plan_for, top_m
from .envs.contract import STOP_S, RoundPlan, Scheduler, Situation, survival

__all__ = [
    "SCHEDULERS",
    "STOP_S",
    "RoundPlan",
    "Rule",
    "Scheduler",
    "Situation",
    "knob",
    "make_scheduler",
    "plan_for",
    "rounds_spent",
    "survival",
    "top_m",
    "tuned_settings",
]
