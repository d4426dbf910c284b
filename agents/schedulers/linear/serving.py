"""A linear rule where models serve: how long it waits from round to round, and who is sent the new model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.contract import REFRESHES, Situation

PAUSE_UNIT_S = 1800.0
"""Half an hour, in which pauses are measured; and how long it is until the next look."""
_LEAST_REST_S = 60.0


def check_refresh(levels: Sequence[int]) -> tuple[int, ...]:
    """The levels of `RoundPlan.refresh` that a world offers; ValueError if they are none."""
    found = tuple(levels)
    if list(found) != sorted({*found} & set(range(len(REFRESHES)))):
        raise ValueError(f"refresh: {list(found)}, expected some of {[*range(len(REFRESHES))]} in this order")
    return found


def rest_s(situation: Situation, began_s: Floats, pauses: Floats) -> Floats:
    """Seconds `[E]` to the next look, or until the next round is due; 0 where it is, or nobody is served.

    Args:
        situation: what is known.
        began_s: `[E]`, when the last round began; -inf before the first.
        pauses: `[E]`, half hours from one round's beginning to the next one's, at least.
    """
    if situation.stream is None:
        return np.zeros(situation.num_envs)
    left_s = PAUSE_UNIT_S * pauses - (situation.run.time_s - began_s)
    return np.where(left_s > 1e-6, np.clip(left_s, _LEAST_REST_S, PAUSE_UNIT_S), 0.0)


def offered(form: Floats, levels: Sequence[int]) -> Ints:
    """The level `[E]` of `RoundPlan.refresh`, one of those offered, that is next to a form."""
    choices = np.array(levels, dtype=np.int64)
    return np.asarray(choices[np.abs(form[:, None] - choices).argmin(axis=1)])
