"""One linear rule for every decision, whose weights are found by evolution."""

from __future__ import annotations

from .features import CLIENT_FEATURES, RUN_FEATURES, SERVED_CLIENT_FEATURES, SERVED_RUN_FEATURES, Middle
from .frozen import FREEZABLE, free_weights
from .scheduler import Knowledge, LinearRule
from .weights import (
    DECISIONS,
    OTHERS,
    SERVED_DECISIONS,
    SPREAD,
    START,
    WEIGHTS,
    Theta,
    Weight,
    by_name,
    theta_rows,
)

__all__ = [
    "CLIENT_FEATURES",
    "DECISIONS",
    "FREEZABLE",
    "OTHERS",
    "RUN_FEATURES",
    "SERVED_CLIENT_FEATURES",
    "SERVED_DECISIONS",
    "SERVED_RUN_FEATURES",
    "SPREAD",
    "START",
    "WEIGHTS",
    "Knowledge",
    "LinearRule",
    "Middle",
    "Theta",
    "Weight",
    "by_name",
    "free_weights",
    "theta_rows",
]
