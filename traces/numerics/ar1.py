"""Paths of first-order autoregressive processes, many at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...common.arrays import Floats
from .ar1_kernels import paths


def autoregression(phi: Floats, shocks: Floats) -> Floats:
    """Stationary AR(1) paths of unit variance, `[Z, T]`.

    x_0 = e_0 and x_t = phi x_(t-1) + sqrt(1 - phi^2) e_t, in blocks short enough for phi^-t to be exact.

    Args:
        phi: `[Z]`, coefficients in (0, 1).
        shocks: `[Z, T]`, standard normal.
    """
    power, scale = _powers(np.asarray(phi, dtype=np.float64).tobytes())
    drawn: Floats = paths(shocks, power, scale)
    return drawn


@lru_cache(maxsize=64)
def _powers(phi_bytes: bytes) -> tuple[Floats, Floats]:
    """Powers of the coefficients over a block `[Z, B]`, and the scale of the shocks `[Z]`."""
    phi = np.frombuffer(phi_bytes)
    # phi^-block stays below about 1e8.
    block = int(np.clip(-18.0 / np.log(np.min(phi)), 1, 256))
    return phi[:, None] ** np.arange(1, block + 1), np.sqrt(1.0 - phi**2)
