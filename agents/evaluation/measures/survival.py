"""Kaplan-Meier survival curves: how long until it happens, when some episodes end before it does.

Own code, as a report bootstraps thousands of medians and `scipy.stats.ecdf` takes some six times as long for
each; a test holds both to the same curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Bools, Floats
from .statistics import LEVEL, REPETITIONS, Interval


class SurvivalCurve(NamedTuple):
    """Steps of the share of episodes in which it has not happened yet.

    Attributes:
        at: `[K]`, increasing durations at which it happened in some episode.
        share: `[K]`, estimated share not reached just after each.
    """

    at: Floats
    share: Floats


def kaplan_meier(durations: ArrayLike, happened: ArrayLike) -> SurvivalCurve:
    """Kaplan and Meier's product-limit estimate, S(t) = prod over t_i <= t of (1 - d_i / n_i).

    Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations", JASA 1958; d_i episodes
    reach it at t_i, n_i are still under way just before. An episode that ends at t_i without reaching it
    counts as under way at t_i.

    Args:
        durations: `[E]`, when it happened, or when the episode ended.
        happened: bool `[E]`.

    Raises:
        ValueError: no episodes, or shapes that do not fit.
    """
    times, events = _checked(durations, happened)
    at = np.unique(times[events])
    under_way = (times[None, :] >= at[:, None]).sum(axis=1)
    reached = ((times[None, :] == at[:, None]) & events).sum(axis=1)
    return SurvivalCurve(at, np.cumprod(1.0 - reached / np.maximum(under_way, 1)))


def survival_median(durations: ArrayLike, happened: ArrayLike) -> float:
    """The first duration at which at most half have not reached it; infinite if there is none."""
    curve = kaplan_meier(durations, happened)
    below = np.flatnonzero(curve.share <= 0.5 + 1e-12)
    return float(curve.at[below[0]]) if below.size else float("inf")


def median_interval(
    durations: ArrayLike,
    happened: ArrayLike,
    repetitions: int = REPETITIONS // 4,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """`survival_median` with its bootstrap interval over episodes; ends may be infinite."""
    times, events = _checked(durations, happened)
    rng = np.random.default_rng([0xB007, seed])
    drawn = rng.integers(times.size, size=(repetitions, times.size))
    medians = np.sort([survival_median(times[rows], events[rows]) for rows in drawn])
    # Order statistics, not interpolation: between a number and infinity there is none.
    low = medians[int(np.floor((1 - level) / 2 * (repetitions - 1)))]
    high = medians[int(np.ceil((1 + level) / 2 * (repetitions - 1)))]
    return Interval(survival_median(times, events), float(low), float(high))


def _checked(durations: ArrayLike, happened: ArrayLike) -> tuple[Floats, Bools]:
    times, events = np.asarray(durations, dtype=np.float64), np.asarray(happened, dtype=bool)
    if times.ndim != 1 or times.shape != events.shape or times.size == 0:
        raise ValueError(
            f"durations: shapes {times.shape} and {events.shape}, expected the same episodes in both"
        )
    return times, events
