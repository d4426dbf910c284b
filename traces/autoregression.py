"""Paths of first-order autoregressive processes, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autoregression(phi: Floats, shocks: Floats) -> Floats:
    """Stationary AR(1) paths of unit variance, `[Z, T]`.

    x_0 = e_0 and x_t = phi x_(t-1) + sqrt(1 - phi^2) e_t, in blocks short enough for phi^-t to be exact.

    Args:
        phi: `[Z]`, coefficients in (0, 1).
        shocks: `[Z, T]`, standard normal.
    """
    path = np.empty_like(shocks)
    length = shocks.shape[1]
    path[:, :1] = shocks[:, :1]
    # phi^-block stays below about 1e8.
    block = int(np.clip(-18.0 / np.log(np.min(phi)), 1, 256))
    power = phi[:, None] ** np.arange(1, block + 1)
    scale = np.sqrt(1.0 - phi**2)[:, None]
    for start in range(1, length, block):
        stop = min(start + block, length)
        grown = power[:, : stop - start]
        driven = np.cumsum(shocks[:, start:stop] * scale / grown, axis=1)
        path[:, start:stop] = grown * (path[:, start - 1 : start] + driven)
    return path
