"""Compiled assembly of the observations `server` and `zones`.

The entries are those of `features.SERVER_TABLE`, in their order. Logarithms, hyperbolic tangents, sines and
cosines are numpy's, taken before; the rest is plain arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.compiled import kernel
from .squashing import bounded, relative, squash

# Entries of the server, in the order of `SERVER_TABLE`; gains, drops, prices and what is left of budgets are
# three each.
(
    ROUNDS_DONE, HOURS_DONE, ACCURACY, LOSS, BELOW_BEST, RECENT_GAIN,
    GAIN_1, GAIN_2, GAIN_3, DROP_1, DROP_2, DROP_3,
    POINTS_SPENT, NET_POINTS, LAST_POINTS, GAIN_PER_POINT, LAST_INVITED, LAST_COMPLETED,
    AVAILABLE_SHARE, REPORTED_SHARE, CLEANEST_NOW, SERVER_CARBON_AHEAD,
    PRICE_PER_HOUR, PRICE_PER_GB, PRICE_PER_KG, TIME_LEFT, HOURS_LEFT, GIGABYTES_LEFT, KILOGRAMS_LEFT,
    UTC_SIN, UTC_COS, LABEL_SKEW, ANNOUNCED_SHARE, OVERHEAD_TIME, SERVER_STEP_TIME, SAMPLE_SIZE, SAMPLE_PRICE,
) = range(37)  # fmt: skip
SERVER_COLUMNS = 37

LOGS = (
    POINTS_SPENT, LAST_POINTS, PRICE_PER_HOUR, PRICE_PER_GB, PRICE_PER_KG, TIME_LEFT, SERVER_STEP_TIME,
    SAMPLE_SIZE,
)  # fmt: skip
"""Entries of the server that are tanh of a third of a logarithm."""
BENDS = (BELOW_BEST, RECENT_GAIN, GAIN_1, GAIN_2, GAIN_3, DROP_1, DROP_2, DROP_3, NET_POINTS, GAIN_PER_POINT)
"""Entries of the server that are tanh of a difference."""


class RunColumns(NamedTuple):
    """Facts of the run."""

    round_index: Ints  # [E]
    hours: Floats  # [E]
    accuracy: Floats  # [E]
    loss: Floats  # [E]
    logs: Floats  # [8, E] tanh of a third of logarithms, in the order of `LOGS`
    bends: Floats  # [10, E] tanh of differences, in the order of `BENDS`
    last_invited: Ints  # [E]
    last_completed: Ints  # [E]


class Limits(NamedTuple):
    """Prices, what may be spent, and what else differs between operators."""

    max_rounds: int
    budgets: Floats  # [3]
    budget_left: Floats  # [E, 3]
    shares: Floats  # [2, E] label skew, announced share
    overhead_s: Floats  # [E]
    sample_price: Floats  # [E] points per megabyte and sample
    federation_size: Ints  # [E] clients that there are


@kernel(nogil=True, error_model="numpy")
def best_ahead(forecast: Floats, now: Floats) -> Floats:
    """`[E, Z]`, how much cleaner (negative) the best forecast hour is than now."""
    e, zones, leads = forecast.shape
    out = np.empty((e, zones))
    for i in range(e):
        for z in range(zones):
            best = forecast[i, z, 0]
            for lead in range(1, leads):
                best = min(best, forecast[i, z, lead])
            out[i, z] = relative(best, now[i, z])
    return out


@kernel(nogil=True, error_model="numpy")
def server_table(
    run: RunColumns,
    limits: Limits,
    available: Bools,
    last_loss: Floats,
    carbon: Floats,
    ahead: Floats,
    sine: Floats,
    cosine: Floats,
) -> Floats32:
    """The observation `server`.

    Args:
        run: how far it has come.
        limits: prices, budgets, operator.
        available: bool `[E, N]`.
        last_loss: `[E, N]`, nan where none was reported.
        carbon: `[E, Z]`, g/kWh now.
        ahead: `[E, Z]`, see `best_ahead`.
        sine: `[E, 1 + Z]`, of the hours of the day, UTC first.
        cosine: `[E, 1 + Z]`.
    """
    e, n = available.shape
    out = np.empty((e, SERVER_COLUMNS), dtype=np.float32)
    for i in range(e):
        row = out[i]
        count, known = 0, 0
        for k in range(n):
            count += available[i, k]
            known += not np.isnan(last_loss[i, k])
        row[ROUNDS_DONE] = bounded(run.round_index[i] / limits.max_rounds)
        row[HOURS_DONE] = bounded(squash(run.hours[i] / 24.0))
        row[ACCURACY], row[LOSS] = bounded(run.accuracy[i]), bounded(squash(run.loss[i]))
        for place, column in enumerate(LOGS):
            row[column] = bounded(run.logs[place, i])
        for place, column in enumerate(BENDS):
            row[column] = bounded(run.bends[place, i])
        row[LAST_INVITED] = bounded(squash(run.last_invited[i] / 4.0))
        row[LAST_COMPLETED] = bounded(run.last_completed[i] / max(run.last_invited[i], 1))
        size = limits.federation_size[i]
        row[AVAILABLE_SHARE], row[REPORTED_SHARE] = bounded(count / size), bounded(known / size)
        row[CLEANEST_NOW] = bounded(squash(carbon[i].min() / 300.0))
        row[SERVER_CARBON_AHEAD] = bounded(ahead[i].min())
        for budget in range(3):
            limit, left = limits.budgets[budget], limits.budget_left[i, budget]
            row[HOURS_LEFT + budget] = bounded(left / limit) if np.isfinite(limit) else 1.0
        row[UTC_SIN], row[UTC_COS] = bounded(sine[i, 0]), bounded(cosine[i, 0])
        row[LABEL_SKEW], row[ANNOUNCED_SHARE] = bounded(limits.shares[0, i]), bounded(limits.shares[1, i])
        row[OVERHEAD_TIME] = bounded(squash(limits.overhead_s[i] / 600.0))
        row[SAMPLE_PRICE] = bounded(squash(limits.sample_price[i]))
    return out


@kernel(nogil=True, error_model="numpy")
def zone_table(carbon: Floats, forecast: Floats, sine: Floats, cosine: Floats) -> Floats32:
    """The observation `zones`, `[E, Z, 3 + H]`.

    Args:
        carbon: `[E, Z]`, g/kWh now.
        forecast: `[E, Z, H]`, g/kWh.
        sine: `[E, 1 + Z]`, of the hours of the day, UTC first.
        cosine: `[E, 1 + Z]`.
    """
    e, zones, leads = forecast.shape
    out = np.empty((e, zones, 3 + leads), dtype=np.float32)
    for i in range(e):
        for z in range(zones):
            out[i, z, 0] = bounded(squash(carbon[i, z] / 300.0))
            out[i, z, 1] = bounded(sine[i, 1 + z])
            out[i, z, 2] = bounded(cosine[i, 1 + z])
            for lead in range(leads):
                out[i, z, 3 + lead] = bounded(relative(forecast[i, z, lead], carbon[i, z]))
    return out
