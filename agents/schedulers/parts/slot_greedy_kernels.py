"""Kernels of the greedy time-slot schedule; see `slot_greedy`."""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner, kernel


@inner(cache=True)
def gain_per_gram(grams, order, free, head, spared, top_g, alpha, k):  # type: ignore[no-untyped-def]
    """Gain per gram of client k's cheapest slot left; 0 if there is none, or none that spares anything."""
    if head[k] >= free[k]:
        return 0.0
    cost = grams[k, order[k, head[k]]]
    gain = top_g - cost
    if gain <= 0.0:
        return 0.0
    return ((spared[k] + gain) ** alpha - spared[k] ** alpha) / max(cost, 1e-300)


@kernel(cache=True)
def fill_cells(grams, order, free, chosen, spared, top_g, left_g, alpha):  # type: ignore[no-untyped-def]
    """Take cells into `chosen` and `spared` in place until none fits or gains."""
    num_clients = grams.shape[0]
    head = np.zeros(num_clients, dtype=np.int64)
    ratio = np.empty(num_clients)
    for k in range(num_clients):
        ratio[k] = gain_per_gram(grams, order, free, head, spared, top_g, alpha, k)
    while True:
        best = 0
        for k in range(1, num_clients):
            if ratio[k] > ratio[best]:
                best = k
        if ratio[best] <= 0.0:
            return
        slot = order[best, head[best]]
        if grams[best, slot] > left_g:
            ratio[best] = 0.0  # its other slots cost more still
            continue
        chosen[best, slot] = True
        spared[best] += top_g - grams[best, slot]
        left_g -= grams[best, slot]
        head[best] += 1
        ratio[best] = gain_per_gram(grams, order, free, head, spared, top_g, alpha, best)
