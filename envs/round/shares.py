"""A scheduler's own aggregation coefficients as shares of the server's step."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats


def step_shares(weights: AnyArray | None, arrived: Bools) -> Floats | None:
    """Coefficients divided by their sum over the updates that enter the model.

    They say whose updates count, not how far the server goes: clients that were invited and did not answer
    do not shrink the step, and a scheduler cannot stretch it but by `RoundPlan.server_step`.

    Where late updates of rounds with and without coefficients enter together, those with coefficients share
    the part of the step that is theirs by number; the aggregator weighs the others.

    Args:
        weights: `[E, N]`, not negative; nan leaves a client to the aggregator. None: nobody has any.
        arrived: bool `[E, N]`, whose update enters.

    Returns:
        Fresh `[E, N]` with nan where `weights` has nan, 0 where nothing arrived or all that did weigh 0.
    """
    if weights is None:
        return None
    own = arrived & ~np.isnan(weights)
    kept = np.where(own, weights, 0.0)
    total = kept.sum(axis=1)
    part = own.sum(axis=1) / np.maximum(arrived.sum(axis=1), 1)
    scale = np.divide(part, total, out=np.zeros_like(total), where=total > 0)
    return np.where(np.isnan(weights), np.nan, kept * scale[:, None])
