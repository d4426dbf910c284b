"""Pace: how many local steps, how much data, how many answers."""

from __future__ import annotations

from .adaptive_steps import Adacomm, JsacTau, drift, jsac_tau
from .dynamic_backup import DynamicBackup, best_answers, expected_gain
from .transfer import (
    TransferMarginal,
    TransferThreshold,
    marginal_samples,
    sample_points,
    skew_price,
    threshold_samples,
)

__all__ = [
    "Adacomm",
    "DynamicBackup",
    "JsacTau",
    "TransferMarginal",
    "TransferThreshold",
    "best_answers",
    "drift",
    "expected_gain",
    "jsac_tau",
    "marginal_samples",
    "sample_points",
    "skew_price",
    "threshold_samples",
]
