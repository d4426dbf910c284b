"""Compiled recursion of first-order autoregressive processes."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats
from ...common.compiled import kernel


@kernel(nogil=True, error_model="numpy")
def paths(shocks: Floats, power: Floats, scale: Floats) -> Floats:
    """Paths `[Z, T]` of `shocks` `[Z, T]`, given the coefficients' powers over a block `[Z, B]`.

    `scale` `[Z]` is the shocks' standard deviation, sqrt(1 - phi^2).
    """
    series, length = shocks.shape
    path = np.empty((series, length))
    for z in range(series):
        path[z, 0] = shocks[z, 0]
        for start in range(1, length, power.shape[1]):
            driven = 0.0
            for t in range(start, min(start + power.shape[1], length)):
                grown = power[z, t - start]
                driven += shocks[z, t] * scale[z] / grown
                path[z, t] = grown * (path[z, start - 1] + driven)
    return path
