"""Interquartile means, stratified bootstrap intervals and paired comparisons, after rliable.

Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021.
The rliable package itself does not import beside pandas 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ....common.arrays import Floats

Statistic = Callable[[Floats], Floats]
"""Reduces the last axis."""

REPETITIONS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval."""

    value: float
    low: float
    high: float


def interquartile_mean(values: ArrayLike) -> Floats:
    """Mean of the middle half of the last axis: a quarter of the values is cut at each end."""
    return np.asarray(stats.trim_mean(np.asarray(values, dtype=np.float64), 0.25, axis=-1))


def mean(values: ArrayLike) -> Floats:
    """Mean of the last axis."""
    found: Floats = np.asarray(values, dtype=np.float64).mean(axis=-1)
    return found


def bootstrap(
    strata: Sequence[ArrayLike] | ArrayLike,
    statistic: Statistic = interquartile_mean,
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap; episodes are drawn anew within each stratum (world), never across.

    Args:
        strata: one array of episode values, or one per world.
        statistic: of all values together.
        repetitions: bootstrap samples.
        level: confidence level.
        seed: of the resampling; equal seeds resample equal episodes, which keeps comparisons paired.

    Raises:
        ValueError: if there are no values, or some are not finite.
    """
    groups = [np.asarray(group, dtype=np.float64) for group in _as_strata(strata)]
    if not groups or any(group.size == 0 for group in groups):
        raise ValueError("bootstrap: no values, expected at least one episode in every stratum")
    if not all(np.isfinite(group).all() for group in groups):
        raise ValueError("bootstrap: values are not finite, expected finite numbers")
    rng = np.random.default_rng([0xB007, seed])
    drawn = [group[rng.integers(group.size, size=(repetitions, group.size))] for group in groups]
    resampled = statistic(np.concatenate(drawn, axis=1))
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(np.concatenate(groups))), float(low), float(high))


def crossed_bootstrap(
    values: ArrayLike,
    statistic: Statistic = interquartile_mean,
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of several runs on the same episodes: runs and episodes are drawn anew, both.

    Runs that play the same episodes share what makes an episode easy or hard, so that they are no strata:
    drawing episodes independently within each run gives intervals that are far too narrow. Here one draw of
    episodes serves all runs, and the runs are drawn as well (two crossed random factors; Owen, "The
    pigeonhole bootstrap", Annals of Applied Statistics 2007, which errs on the wide side).

    Args:
        values: `[R, K]`, R runs on the same K episodes, such as training seeds.
        statistic: of all values together.
        repetitions: bootstrap samples.
        level: confidence level.
        seed: of the resampling.

    Raises:
        ValueError: there are no values, or some are not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"crossed_bootstrap: shape {table.shape}, expected [runs, episodes]")
    if not np.isfinite(table).all():
        raise ValueError("crossed_bootstrap: values are not finite, expected finite numbers")
    rng = np.random.default_rng([0xB007, seed])
    runs, episodes = table.shape
    episode = rng.integers(episodes, size=(repetitions, 1, episodes))  # the same episodes as in `bootstrap`
    run = rng.integers(runs, size=(repetitions, runs, 1))
    resampled = statistic(table[run, episode].reshape(repetitions, -1))
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(table.reshape(-1))), float(low), float(high))


def paired_difference(
    ours: ArrayLike, theirs: ArrayLike, statistic: Statistic = interquartile_mean, seed: int = 0
) -> Interval:
    """Statistic of the episode-wise differences `ours - theirs`, with its bootstrap interval."""
    return bootstrap(_differences(ours, theirs), statistic, seed=seed)


def share_of_episodes_won(ours: ArrayLike, theirs: ArrayLike, seed: int = 0) -> Interval:
    """Share of the paired episodes in which ours is larger (ties count half), with its bootstrap interval.

    Not the probability of improvement of Agarwal et al. (2021), which compares all pairs of runs.
    """
    differences = _differences(ours, theirs)
    return bootstrap((np.sign(differences) + 1.0) / 2.0, mean, seed=seed)


def jain_index(counts: ArrayLike) -> Floats:
    """Jain's fairness of the last axis, 1/N (one has all) to 1 (equal shares); 0 where nobody has any."""
    values = np.asarray(counts, dtype=np.float64)
    squares = values.shape[-1] * (values**2).sum(axis=-1)
    found: Floats = np.divide(
        values.sum(axis=-1) ** 2, squares, out=np.zeros_like(squares), where=squares > 0
    )
    return found


def total_variation(target: ArrayLike, counts: ArrayLike) -> Floats:
    """Half the L1 distance of the last axis' shares, 0 (as wanted) to 1 (disjoint, or nobody took part).

    Args:
        target: wanted weights `[..., N]`, of any positive sum.
        counts: what each of them got, `[..., N]`.
    """
    wanted, got = np.asarray(target, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    total = got.sum(axis=-1, keepdims=True)
    share = np.divide(got, total, out=np.zeros_like(got), where=total > 0)
    distance = 0.5 * np.abs(wanted / wanted.sum(axis=-1, keepdims=True) - share).sum(axis=-1)
    return np.where(total[..., 0] > 0, distance, 1.0)


def sign_rank_p_value(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test on paired episodes; 1 where they are all equal."""
    differences = _differences(ours, theirs)
    if not differences.any():
        return 1.0
    # The normal approximation with tie correction: one method for all, whatever ties an episode brings.
    return float(stats.wilcoxon(differences, method="approx").pvalue)


def holm_correction(p_values: ArrayLike) -> Floats:
    """P-values after Holm's step-down correction for testing all of them at once.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979: the i-th smallest of m
    is multiplied by m - i + 1, made monotone and cut at 1.

    Raises:
        ValueError: values outside 0 to 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values: {values}, expected a list of numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate((values.size - np.arange(values.size)) * values[order])
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def performance_profile(values: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of the last axis' values above each threshold, `[..., T]`: one minus the distribution function.

    Source: Agarwal et al. 2021 (rliable), the score distribution of a run.
    """
    ordered, levels = np.asarray(values, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    found: Floats = (ordered[..., None, :] > levels[:, None]).mean(axis=-1)
    return found


def profile_band(
    values: ArrayLike,
    thresholds: ArrayLike,
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """A performance profile with the ends of its pointwise bootstrap interval, each `[T]`."""
    scores = np.asarray(values, dtype=np.float64)
    levels = np.asarray(thresholds, dtype=np.float64)
    # Episodes are drawn as in `bootstrap`, so that equal seeds keep schedulers paired.
    rng = np.random.default_rng([0xB007, seed])
    above = scores[:, None] > levels
    drawn = rng.integers(scores.size, size=(repetitions, scores.size))
    counts = np.stack([np.bincount(row, minlength=scores.size) for row in drawn])
    resampled = counts @ above / scores.size
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return performance_profile(scores, levels), low, high


def _differences(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"paired comparison: shapes {a.shape} and {b.shape}, expected the same episodes in both"
        )
    return a - b


def _as_strata(strata: Sequence[ArrayLike] | ArrayLike) -> Sequence[ArrayLike]:
    if isinstance(strata, Sequence) and strata and np.ndim(strata[0]) == 1:
        return list(strata)
    return [np.asarray(strata)]
