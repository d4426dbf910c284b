"""Pace: how many local steps, how much data, how many answers."""

from __future__ import annotations

from .adaptive_steps import Adacomm, JsacTau, drift, jsac_tau
from .dynamic_backup import DynamicBackup, best_answers, expected_gain
from .local_updates import (
    DataParallel,
    DilocoH,
    EqualTime,
    SurvivalH,
    YoungDaly,
    checkpoint_interval_s,
)
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
    "DataParallel",
    "DilocoH",
    "DynamicBackup",
    "EqualTime",
    "JsacTau",
    "SurvivalH",
    "TransferMarginal",
    "TransferThreshold",
    "YoungDaly",
    "best_answers",
    "checkpoint_interval_s",
    "drift",
    "expected_gain",
    "jsac_tau",
    "marginal_samples",
    "sample_points",
    "skew_price",
    "threshold_samples",
]
