"""True knowledge laid over a rule: who will certainly finish, and when power is cleanest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import ClassVar, cast

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, Setting


class Sight(Rule):
    """True knowledge instead of forecasts, laid over a rule.

    Only clients that will certainly finish are invited, and a wait for cleaner power (`wait_saving`) lasts
    until the true minimum of the coming hours.
    """

    clairvoyant: ClassVar[bool] = True

    def candidates(self, situation: Situation, steps: Ints32, transfer: Ints32) -> Bools:
        """Those of the rule that are still there at the end of their work."""
        if situation.future is None:
            raise ValueError(
                "clairvoyant: situation.future is None, expected world.situation(clairvoyant=True)"
            )
        allowed = super().candidates(situation, steps, transfer)
        return allowed & (situation.future.session_left_s >= situation.round_s(steps, transfer))

    def carbon_coming(self, situation: Situation) -> Floats:
        """The truth at the leads."""
        known = situation.future
        return super().carbon_coming(situation) if known is None else known.carbon_g_per_kwh


def with_sight(rule: Rule, **changes: Setting) -> Rule:
    """The rule with true knowledge instead of the settings that guess who will be lost, and other changes."""
    guesses = {"avoid_losses": False, "min_survival": 0.0, "over_selection": 1.0, "quorum": 1.0}
    kind: type[Rule] = type(rule)
    if not isinstance(rule, Sight):
        kind = type(f"Sighted{kind.__name__}", (Sight, kind), {})
    build = cast("Callable[..., Rule]", kind)
    return build(**(_settings(rule) | guesses | changes))


def variations(rule: Rule) -> list[Rule]:
    """The rule with sight, and more or fewer participants, steps, moved data, or a wait for cleaner power."""
    changes: tuple[dict[str, Setting], ...] = (
        {"participants": times(rule.participants, 0.6)},
        {"participants": times(rule.participants, 1.7)},
        {"local_steps": times(rule.local_steps, 0.6)},
        {"local_steps": times(rule.local_steps, 1.7)},
        {"transfer_samples": 0 if rule.transfer_samples else 100},
        {"wait_saving": 0.1},
    )
    return [with_sight(rule, **change) for change in changes]


def _settings(rule: Rule) -> dict[str, Setting]:
    return {item.name: getattr(rule, item.name) for item in fields(rule)}


def plain_kind(rule: Rule) -> type:
    """The class of a rule, without its sight."""
    kind = type(rule)
    return kind.__bases__[1] if isinstance(rule, Sight) else kind


def times(number: int, factor: float) -> int:
    """A changed number of participants or steps."""
    return int(np.clip(round(number * factor), 1, 100))
