"""Compiled look-ups in piecewise-constant carbon intensity, and its exact integral."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.compiled import kernel


@kernel(nogil=True, error_model="numpy")
def values_ahead(
    table: Floats, time_s: Floats, leads_s: Floats, first_s: Floats, step_s: Floats, last: Ints
) -> Floats:
    """Values of `table` `[E, Z, T]` at `time_s + leads_s`, `[E, Z, H]`; held beyond both ends."""
    e, zones = table.shape[0], table.shape[1]
    out = np.empty((e, zones, leads_s.size))
    for i in range(e):
        for lead in range(leads_s.size):
            since_s = time_s[i] + leads_s[lead] - first_s[i]
            piece = min(max(int(np.floor(since_s / step_s[i])), 0), last[i])
            for z in range(zones):
                out[i, z, lead] = table[i, z, piece]
    return out


@kernel(nogil=True, error_model="numpy")
def enter(g: Floats, expected: Floats, upto: Floats, drawn: Floats, usual: Floats, step_s: float) -> None:
    """Write one episode's series `[Z, T]` into an environment's tables `[Z, >= T]`, held to their ends."""
    zones, length = drawn.shape
    for z in range(zones):
        total = 0.0
        for t in range(g.shape[1]):
            upto[z, t] = total
            g[z, t], expected[z, t] = drawn[z, min(t, length - 1)], usual[z, min(t, length - 1)]
            total += g[z, t] * step_s


@kernel(nogil=True, error_model="numpy")
def integrals(
    zone: Ints,
    t0_s: Floats,
    t1_s: Floats,
    g: Floats,
    upto: Floats,
    first_s: Floats,
    step_s: Floats,
    last: Ints,
) -> Floats:
    """Integral of each client's zone from `t0_s` to `t1_s`, `[E, N]`, in (g/kWh) s.

    `upto` is the integral from the first sample to the beginning of each piece of `g`, both `[E, Z, T]`.
    """
    e, n = zone.shape
    out = np.zeros((e, n))
    for i in range(e):
        for k in range(n):
            if t0_s[i, k] == t1_s[i, k]:
                continue
            z, until = zone[i, k], 0.0
            for t_s in (t1_s[i, k], t0_s[i, k]):
                since_s = t_s - first_s[i]
                piece = min(max(int(np.floor(since_s / step_s[i])), 0), last[i])
                total = upto[i, z, piece] + (since_s - piece * step_s[i]) * g[i, z, piece]
                out[i, k] = until - total
                until = total
    return out
