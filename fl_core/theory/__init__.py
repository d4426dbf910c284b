"""Predicted bias, variance and fixed points of a participation, at a learning rate that stays the same."""

from __future__ import annotations

from .attainable import RoundPrices, attainable_points
from .bias import (
    bias_bounds,
    distance_to_target,
    participation_price,
    predicted_gap,
    selection_skew,
    transfer_value,
)
from .fixed_points import (
    ParticipationChain,
    affine_rounds,
    availability_chain,
    contraction,
    cyclic_fixed_point,
    expected_gap,
    independent_fixed_point,
    markov_moments,
)
from .participation import (
    ParticipationSummary,
    availability_forecast,
    chi_square,
    correlation_factor,
    effective_weights,
    estimate_chains,
    mean_run_slots,
    stay_probability,
    summarise_participation,
    systematic_sample,
    total_variation,
    variance_proxy,
)
from .prediction import ObservedPrediction, RoundHistory, long_run_covariance, predict
from .tracking import BestPace, Pace, Rates, Tracking, best_pace, track

__all__ = [
    "BestPace",
    "ObservedPrediction",
    "Pace",
    "ParticipationChain",
    "ParticipationSummary",
    "Rates",
    "RoundHistory",
    "RoundPrices",
    "Tracking",
    "affine_rounds",
    "attainable_points",
    "availability_chain",
    "availability_forecast",
    "best_pace",
    "bias_bounds",
    "chi_square",
    "contraction",
    "correlation_factor",
    "cyclic_fixed_point",
    "distance_to_target",
    "effective_weights",
    "estimate_chains",
    "expected_gap",
    "independent_fixed_point",
    "long_run_covariance",
    "markov_moments",
    "mean_run_slots",
    "participation_price",
    "predict",
    "predicted_gap",
    "selection_skew",
    "stay_probability",
    "summarise_participation",
    "systematic_sample",
    "total_variation",
    "track",
    "transfer_value",
    "variance_proxy",
]
