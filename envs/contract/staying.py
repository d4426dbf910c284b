"""Chance that clients are still available when their answer would arrive."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats
from ...common.compiled import kernel
from .situation import Situation


def survival(situation: Situation, needed_s: Floats) -> Floats:
    """Chance `[..., E, N]` that a client is still available after `needed_s` `[..., E, N]` seconds.

    An announced end decides where there is one; elsewhere the availability forecast, linear between its
    leads and constant behind the last. 0 for clients that are away.
    """
    clients = situation.clients
    shape = np.shape(needed_s)
    flat = np.ascontiguousarray(needed_s, dtype=np.float64).reshape(-1, *clients.available.shape)
    leads = np.concatenate([[0.0], clients.forecast_leads_s])
    found = _chances(flat, leads, clients.available_forecast, clients.announced_left_s, clients.available)
    chances: Floats = found.reshape(shape)
    return chances


@kernel(nogil=True, error_model="numpy")
def _chances(
    needed_s: Floats, leads: Floats, forecast: Floats, announced_left_s: Floats, available: Bools
) -> Floats:
    """`[K, E, N]`; `leads` `[1 + L]` begin with 0, which `forecast` `[E, N, L]` does not hold."""
    k, e, n = needed_s.shape
    out = np.zeros((k, e, n))
    last = leads.size - 1
    for a in range(k):
        for i in range(e):
            for c in range(n):
                if not available[i, c]:
                    continue
                wanted, told = needed_s[a, i, c], announced_left_s[i, c]
                if told < np.inf:
                    out[a, i, c] = 1.0 if told >= wanted else 0.0
                    continue
                left = 0
                while left < last - 1 and leads[left + 1] <= wanted:
                    left += 1
                right = min(left + 1, last)
                before = 1.0 if left == 0 else forecast[i, c, left - 1]
                after = 1.0 if right == 0 else forecast[i, c, right - 1]
                share = (wanted - leads[left]) / max(leads[right] - leads[left], 1e-9)
                out[a, i, c] = before + min(max(share, 0.0), 1.0) * (after - before)
    return out
