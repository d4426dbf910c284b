"""Statistics: intervals, survival curves, Pareto fronts, what messages give away."""

from __future__ import annotations

from .leakage import attribute_gain, reconstructed_model
from .pareto import contributions, hypervolume, non_dominated
from .statistics import (
    Interval,
    bootstrap,
    crossed_bootstrap,
    holm_correction,
    interquartile_mean,
    jain_index,
    mean,
    paired_difference,
    performance_profile,
    profile_band,
    share_of_episodes_won,
    sign_rank_p_value,
    total_variation,
)
from .survival import kaplan_meier, median_interval, survival_median

__all__ = [
    "Interval",
    "attribute_gain",
    "bootstrap",
    "contributions",
    "crossed_bootstrap",
    "holm_correction",
    "hypervolume",
    "interquartile_mean",
    "jain_index",
    "kaplan_meier",
    "mean",
    "median_interval",
    "non_dominated",
    "paired_difference",
    "performance_profile",
    "profile_band",
    "reconstructed_model",
    "share_of_episodes_won",
    "sign_rank_p_value",
    "survival_median",
    "total_variation",
]
