"""From a plan to the nearest action of a menu or of scores; for levels see `ActionCodec.encode`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...common.arrays import AnyArray, Floats, Floats32, Ints
from ..contract import RoundPlan
from .actions import ActionLayout, further_levels, further_of, nearest_level

_OTHER_KIND = 1e6
"""Distance of a round from a wait: more than any two rounds, or any two waits, are apart."""
_FOREVER_S = 1e12
"""Seconds that the end of the run counts as among waits."""


def nearest_plan(plans: Sequence[RoundPlan], wanted: RoundPlan, layout: ActionLayout) -> Ints:
    """Which of K plans comes nearest to another one, int64 `[E]`; the first of several.

    Two waits are as far apart as their logarithms; two rounds as far as their local steps and transfers, as
    shares of the largest level, client by client, and their quorums; a round and a wait further than either.

    Args:
        plans: one per entry of a menu.
        wanted: what is looked for.
        layout: the levels, for the scale of the differences.
    """
    return np.asarray(np.argmin([_distance(plan, wanted, layout) for plan in plans], axis=0))


def _distance(one: RoundPlan, other: RoundPlan, layout: ActionLayout) -> Floats:
    """`[E]`, 0 where two plans are the same."""
    waits = (one.wait_s > 0).astype(np.int64) + (other.wait_s > 0)
    of_waits = np.abs(_log_wait(one.wait_s) - _log_wait(other.wait_s))
    steps = _apart(one.local_steps, other.local_steps, max(layout.local_steps))
    samples = _apart(one.transfer_samples, other.transfer_samples, max(layout.transfer_samples))
    of_rounds = steps + samples + np.abs(one.quorum - other.quorum) / layout.num_clients
    return np.select([waits == 1, waits == 2], [_OTHER_KIND, of_waits], of_rounds)


def _log_wait(wait_s: Floats) -> Floats:
    return np.asarray(np.log1p(np.minimum(wait_s, _FOREVER_S)))


def _apart(one: AnyArray, other: AnyArray, largest: float) -> Floats:
    difference = np.abs(one.astype(np.float64) - other).sum(axis=1)
    return np.asarray(difference / (one.shape[1] * max(largest, 1)))


def nearest_scores(plan: RoundPlan, layout: ActionLayout) -> Floats32:
    """The action of scores, float32 `[E, 4 + N]`, that decodes to a plan as near as scores come to it.

    Who is invited and sent data is kept; of the local steps the level nearest to the participants' mean, for
    scores have one for all. A round without participants cannot be said: it becomes the shortest wait.

    Args:
        plan: what is looked for.
        layout: the levels of the world.
    """
    n, invited = layout.num_clients, plan.invited
    count = invited.sum(axis=1)
    waiting = (plan.wait_s > 0) | (count == 0)
    wait = _middle(layout.wait_s[1:], plan.wait_s)
    mean_steps = plan.local_steps.sum(axis=1, where=invited) / np.maximum(count, 1)
    parts = [
        np.where(waiting, 0.75 + wait / 4.0, 0.375),
        (np.maximum(count, 1) - 1) / max(n - 1, 1),
        _middle(layout.local_steps[1:], mean_steps),
        _middle(layout.quorum, plan.quorum),
    ]
    for name in layout.further:
        levels = further_levels(layout, name)
        parts.append(_middle(levels, further_of(plan, name, levels)))
    sent = invited & (plan.transfer_samples > max(layout.transfer_samples) / 2)
    scores = np.select([sent, invited], [0.75, 0.25], -0.5)
    leading = 2.0 * np.stack(parts, axis=1) - 1.0
    return np.concatenate([leading, scores], axis=1).astype(np.float32)


def _middle(levels: Sequence[float] | AnyArray, values: Floats) -> Floats:
    """The middle of the part of [0, 1] that stands for the level nearest to each value."""
    nearest = nearest_level(np.array(levels, dtype=np.float64), values)
    return np.asarray((nearest + 0.5) / len(levels))
