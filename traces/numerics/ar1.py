"""Paths of first-order autoregressive processes, many at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

from ...common.arrays import Floats


def autoregression(phi: Floats, shocks: Floats) -> Floats:
    """Stationary AR(1) paths of unit variance, `[Z, T]`.

    x_0 = e_0 and x_t = phi x_(t-1) + sqrt(1 - phi^2) e_t, in blocks short enough for phi^-t to be exact.

    Args:
        phi: `[Z]`, coefficients in (0, 1).
        shocks: `[Z, T]`, standard normal.
    """
    power, scale = _powers(np.asarray(phi, dtype=np.float64).tobytes())
    return _paths(shocks, power, scale)


@lru_cache(maxsize=64)
def _powers(phi_bytes: bytes) -> tuple[Floats, Floats]:
    """Powers of the coefficients over a block `[Z, B]`, and the scale of the shocks `[Z]`."""
    phi = np.frombuffer(phi_bytes)
    # phi^-block stays below about 1e8.
    block = int(np.clip(-18.0 / np.log(np.min(phi)), 1, 256))
    return phi[:, None] ** np.arange(1, block + 1), np.sqrt(1.0 - phi**2)


@njit(cache=True, nogil=True, error_model="numpy")
def _paths(shocks, power, scale):  # type: ignore[no-untyped-def]
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
