"""Compiled look-ups in the requests of E environments with N sources."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints, Ints32
from ...common.compiled import kernel

_NEAR = 4
"""Bins within which a source's next request is looked for first."""


@kernel(nogil=True, error_model="numpy")
def requests_until(sums: Ints32, time_s: Floats, bin_s: float) -> Ints:
    """Requests before `time_s` `[E, N]` or `[E, 1]`, given their sums at the edges of bins `[E, N, B + 1]`.

    The c requests of a bin arrive at its (j + 1/2) / c for j = 0 ... c - 1.
    """
    e, n, edges = sums.shape
    out = np.empty((e, n), dtype=np.int64)
    one_clock = time_s.shape[1] == 1
    for i in range(e):
        for k in range(n):
            place = time_s[i, 0 if one_clock else k] / bin_s
            if not place > 0.0:
                out[i, k] = 0
            elif place >= edges - 1:
                out[i, k] = sums[i, k, edges - 1]
            else:
                b = int(place)
                inside = sums[i, k, b + 1] - sums[i, k, b]
                came = int(np.ceil((place - b) * inside - 0.5))
                out[i, k] = sums[i, k, b] + min(max(came, 0), inside)
    return out


@kernel(nogil=True, error_model="numpy")
def moments_of(sums: Ints32, env: Ints, source: Ints, number: Ints, bin_s: float) -> Floats:
    """Seconds at which requests `[K]` arrive, `number` from 0 on; `+inf` for those that never do."""
    last, low = sums.shape[2] - 1, 0
    out = np.empty(number.size)
    for row in range(number.size):
        mine, wanted = sums[env[row], source[row]], number[row]
        if wanted < 0 or wanted >= mine[last]:
            out[row] = np.inf
            continue
        # The last edge whose sum does not exceed the number; a source's next request is rarely bins away.
        near = row > 0 and env[row] == env[row - 1] and source[row] == source[row - 1] and mine[low] <= wanted
        low, high = (low, last) if near else (0, last)
        if near and mine[min(low + _NEAR, last)] > wanted:
            high = min(low + _NEAR, last)
        while high - low > 1:
            middle = (low + high) // 2
            if mine[middle] <= wanted:
                low = middle
            else:
                high = middle
        out[row] = bin_s * (low + (wanted - mine[low] + 0.5) / (mine[low + 1] - mine[low]))
    return out
