"""Compiled bounds of observations: what squeezes any number into [-1, 1]."""

from __future__ import annotations

import numpy as np

from ...common.compiled import inner

SMALLEST = 1e-6
"""Prices and points count as so much at least before their logarithm is taken."""


@inner(cache=True, nogil=True, error_model="numpy", inline="always")
def bounded(value: float) -> np.float32:
    """A number cut to [-1, 1]; nan stays what it is."""
    return np.float32(min(max(value, -1.0), 1.0) if value == value else value)


@inner(cache=True, nogil=True, error_model="numpy")
def squash(value: float) -> float:
    """A non-negative number to [0, 1), 1 to 0.5."""
    return value / (1.0 + value)


@inner(cache=True, nogil=True, error_model="numpy")
def relative(value: float, reference: float) -> float:
    """(a - b) / (a + b), 0 where both vanish: symmetric and bounded."""
    total = value + reference
    return (value - reference) / total if total > 0 else 0.0
