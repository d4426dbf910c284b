"""Compiled assembly of observations: every column of every row in one pass, clipped and stored once.

The columns are those of `encoder.CLIENT_TABLE` and `SERVER_TABLE`, in their order. Logarithms, hyperbolic
tangents, sines and cosines are numpy's, taken before; the rest is plain arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.compiled import inner, kernel

# Columns of a client, in the order of `CLIENT_TABLE`.
(
    AVAILABLE, SESSION_AGE, END_ANNOUNCED, ANNOUNCED_LEFT, WILL_FINISH_SHORT, WILL_FINISH_LONG,
    FORECAST_NEAR, FORECAST_FAR, STEP_TIME, TRANSFER_TIME, ROUND_TIME, ROUND_POINTS,
    CARBON_NOW, CARBON_RANK, CARBON_AHEAD, SAMPLES, SAMPLES_SENT, STORAGE_LEFT, TARGET_WEIGHT,
    LOSS_KNOWN, LAST_LOSS, LOSS_RELATIVE, LAST_NORM, STALENESS,
    INVITED_SHARE, COMPLETED_SHARE, SEEN_SHARE, SETUP,
) = range(28)  # fmt: skip
CLIENT_COLUMNS = 28

# Entries of the server, in the order of `SERVER_TABLE`; prices and what is left of budgets are three each.
(
    ROUNDS_DONE, HOURS_DONE, ACCURACY, LOSS, RECENT_GAIN, RECENT_PRICE, AVAILABLE_SHARE, REPORTED_SHARE,
    CLEANEST_NOW, SERVER_CARBON_AHEAD, PRICE_PER_HOUR, PRICE_PER_GB, PRICE_PER_KG,
    HOURS_LEFT, GIGABYTES_LEFT, KILOGRAMS_LEFT, UTC_SIN, UTC_COS,
    LABEL_SKEW, ANNOUNCED_SHARE, OVERHEAD_TIME, SAMPLE_PRICE,
) = range(22)  # fmt: skip
SERVER_COLUMNS = 22

# Rows of what logarithms are taken of.
STEP_RATIO, TRANSFER_RATIO, ROUND_RATIO, SHORT_MARGIN, LONG_MARGIN, RELATIVE_LOSS = range(6)

_LOG_WEEK_H = np.log1p(168.0)
_LOG_SAMPLES = np.log1p(1000.0)
_LARGEST = np.finfo(np.float64).max


class ClientColumns(NamedTuple):
    """Facts of clients as they are."""

    available: Bools  # [E, N]
    announced_left_s: Floats  # [E, N]
    zone: Ints  # [E, N]
    samples_held: Ints  # [E, N]
    samples_sent: Ints  # [E, N]
    storage_left: Ints  # [E, N]
    target_weight: Floats  # [E, N]
    last_loss: Floats  # [E, N]
    last_norm: Floats  # [E, N]
    rounds_since: Ints  # [E, N]
    invitations: Ints  # [E, N]
    completions: Ints  # [E, N]
    sightings: Ints  # [E, N]


class ClientCurves(NamedTuple):
    """What numpy has made of facts of clients."""

    log_age: Floats  # [E, N] log of 1 + hours
    log_samples: Floats  # [E, N] log of 1 + samples
    bends: Floats  # [6, E, N] tanh of the five ratios' logarithms and of the relative loss
    points: Floats  # [E, N] of a round of the middle step level
    carbon: Floats  # [E, N] g/kWh
    setup: Floats  # [E, N] share of a round of the middle step level


class RunColumns(NamedTuple):
    """Facts of the run."""

    round_index: Ints  # [E]
    hours: Floats  # [E]
    gigabytes: Floats  # [E]
    kilograms: Floats  # [E]
    accuracy: Floats  # [E]
    loss: Floats  # [E]
    bent_gain: Floats  # [E] tanh of the recent gain


class Limits(NamedTuple):
    """Prices, what may be spent, and what else differs between operators."""

    max_rounds: int
    prices: Floats  # [3, E]
    budgets: Floats  # [3]
    budget_left: Floats  # [E, 3]
    shares: Floats  # [2, E] label skew, announced share
    overhead_s: Floats  # [E]
    sample_bytes: Floats  # [E]


@inner(cache=True, nogil=True, error_model="numpy", inline="always")
def _bounded(value: float) -> np.float32:
    return np.float32(min(max(value, -1.0), 1.0) if value == value else value)


@inner(cache=True, nogil=True, error_model="numpy")
def squash(value: float) -> float:
    """A non-negative number to [0, 1), 1 to 0.5."""
    return value / (1.0 + value)


@inner(cache=True, nogil=True, error_model="numpy")
def relative(value: float, reference: float) -> float:
    """(a - b) / (a + b), 0 where both vanish: symmetric and bounded."""
    total = value + reference
    return (value - reference) / total if total > 0 else 0.0


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
def client_ratios(
    step_s: Floats,
    empty_s: Floats,
    short_s: Floats,
    middle_s: Floats,
    long_s: Floats,
    announced_left_s: Floats,
    deadline_s: Floats,
    middle_steps: int,
) -> Floats:
    """What logarithms are taken of, `[6, E, N]`; the last row is left to the relative loss."""
    e, n = step_s.shape
    ratios = np.empty((6, e, n))
    for i in range(e):
        for k in range(n):
            left_s = max(announced_left_s[i, k], 1.0)
            ratios[STEP_RATIO, i, k] = step_s[i, k] * middle_steps / 600.0
            ratios[TRANSFER_RATIO, i, k] = empty_s[i, k] / 60.0
            ratios[ROUND_RATIO, i, k] = middle_s[i, k] / deadline_s[i]
            ratios[SHORT_MARGIN, i, k] = left_s / short_s[i, k]
            ratios[LONG_MARGIN, i, k] = left_s / long_s[i, k]
    return ratios


@kernel(nogil=True, error_model="numpy")
def client_table(
    facts: ClientColumns,
    curves: ClientCurves,
    forecast: Floats,
    ahead: Floats,
    mean_carbon: Floats,
    round_index: Ints,
    looks: Ints,
) -> Floats32:
    """The observation `clients`; a long function, for one pass over all columns.

    Args:
        facts: as they are.
        curves: what numpy has made of them.
        forecast: `[E, N, L]`, chances of being available.
        ahead: `[E, Z]`, see `best_ahead`.
        mean_carbon: `[E]`, of the zones now.
        round_index: `[E]`.
        looks: `[E]`, see `RunFacts`.
    """
    bends, n = curves.bends, facts.available.shape[1]
    out = np.empty((facts.available.shape[0], n, CLIENT_COLUMNS), dtype=np.float32)
    # One environment's columns at a time: simple loops that the compiler turns into vector instructions.
    row = np.empty((CLIENT_COLUMNS, n), dtype=np.float32)
    for i in range(out.shape[0]):
        rounds = round_index[i] + 1.0
        for k in range(n):
            row[AVAILABLE, k] = 1.0 if facts.available[i, k] else 0.0
            row[FORECAST_NEAR, k] = _bounded(forecast[i, k, 0])
            row[FORECAST_FAR, k] = _bounded(forecast[i, k, -1])
            row[CARBON_AHEAD, k] = _bounded(ahead[i, facts.zone[i, k]])
        for k in range(n):
            left_s = facts.announced_left_s[i, k]
            announced = left_s < np.inf
            row[END_ANNOUNCED, k] = 1.0 if announced else 0.0
            row[ANNOUNCED_LEFT, k] = _bounded(left_s / (left_s + 3600.0)) if announced else 1.0
        for k in range(n):
            row[WILL_FINISH_SHORT, k] = _bounded(bends[SHORT_MARGIN, i, k])
            row[WILL_FINISH_LONG, k] = _bounded(bends[LONG_MARGIN, i, k])
            row[STEP_TIME, k] = _bounded(bends[STEP_RATIO, i, k])
            row[TRANSFER_TIME, k] = _bounded(bends[TRANSFER_RATIO, i, k])
            row[ROUND_TIME, k] = _bounded(bends[ROUND_RATIO, i, k])
        for k in range(n):
            row[SESSION_AGE, k] = _bounded(curves.log_age[i, k] / _LOG_WEEK_H)
            row[SAMPLES, k] = _bounded(curves.log_samples[i, k] / _LOG_SAMPLES)
            row[ROUND_POINTS, k] = _bounded(squash(curves.points[i, k]))
            row[TARGET_WEIGHT, k] = _bounded(squash(facts.target_weight[i, k] * n))
        for k in range(n):
            row[CARBON_NOW, k] = _bounded(squash(curves.carbon[i, k] / 300.0))
            row[CARBON_RANK, k] = _bounded(relative(curves.carbon[i, k], mean_carbon[i]))
        for k in range(n):
            samples, left = facts.samples_held[i, k], facts.storage_left[i, k]
            row[SAMPLES_SENT, k] = _bounded(facts.samples_sent[i, k] / max(samples, 1))
            row[STORAGE_LEFT, k] = _bounded(left / max(samples + left, 1))
        for k in range(n):
            loss, norm = facts.last_loss[i, k], facts.last_norm[i, k]
            known = loss == loss
            row[LOSS_KNOWN, k] = 1.0 if known else 0.0
            row[LAST_LOSS, k] = _bounded(squash(loss)) if known else 0.0
            row[LOSS_RELATIVE, k] = _bounded(bends[RELATIVE_LOSS, i, k]) if known else 0.0
            norm = min(norm, _LARGEST) if norm == norm else 0.0
            row[LAST_NORM, k] = _bounded(squash(norm))
        for k in range(n):
            asked, since = facts.invitations[i, k], facts.rounds_since[i, k]
            row[STALENESS, k] = _bounded(since / (since + 8.0))
            row[INVITED_SHARE, k] = _bounded(min(asked / rounds, 1.0))
            row[COMPLETED_SHARE, k] = _bounded(facts.completions[i, k] / max(asked, 1)) if asked > 0 else 1.0
            row[SEEN_SHARE, k] = _bounded(facts.sightings[i, k] / looks[i])
            row[SETUP, k] = _bounded(curves.setup[i, k])
        for k in range(n):
            for column in range(CLIENT_COLUMNS):
                out[i, k, column] = row[column, k]
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
    (e, n), prices = available.shape, limits.prices
    out = np.empty((e, SERVER_COLUMNS), dtype=np.float32)
    for i in range(e):
        row = out[i]
        hours, gigabytes, kilograms = run.hours[i], run.gigabytes[i], run.kilograms[i]
        spent = hours * prices[0, i] + gigabytes * prices[1, i] + kilograms * prices[2, i]
        count, known = 0, 0
        for k in range(n):
            count += available[i, k]
            known += not np.isnan(last_loss[i, k])
        row[ROUNDS_DONE] = _bounded(run.round_index[i] / limits.max_rounds)
        row[HOURS_DONE] = _bounded(squash(hours / 24.0))
        row[ACCURACY], row[LOSS] = _bounded(run.accuracy[i]), _bounded(squash(run.loss[i]))
        row[RECENT_GAIN] = _bounded(run.bent_gain[i])
        row[RECENT_PRICE] = _bounded(squash(spent / max(run.round_index[i], 1)))
        row[AVAILABLE_SHARE], row[REPORTED_SHARE] = _bounded(count / n), _bounded(known / n)
        row[CLEANEST_NOW] = _bounded(squash(carbon[i].min() / 300.0))
        row[SERVER_CARBON_AHEAD] = _bounded(ahead[i].min())
        for price in range(3):
            row[PRICE_PER_HOUR + price] = _bounded(squash(prices[price, i]))
            limit, left = limits.budgets[price], limits.budget_left[i, price]
            row[HOURS_LEFT + price] = _bounded(left / limit) if np.isfinite(limit) else 1.0
        row[UTC_SIN], row[UTC_COS] = _bounded(sine[i, 0]), _bounded(cosine[i, 0])
        row[LABEL_SKEW], row[ANNOUNCED_SHARE] = _bounded(limits.shares[0, i]), _bounded(limits.shares[1, i])
        row[OVERHEAD_TIME] = _bounded(squash(limits.overhead_s[i] / 600.0))
        row[SAMPLE_PRICE] = _bounded(squash(prices[1, i] * limits.sample_bytes[i] / 1e6))
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
            out[i, z, 0] = _bounded(squash(carbon[i, z] / 300.0))
            out[i, z, 1] = _bounded(sine[i, 1 + z])
            out[i, z, 2] = _bounded(cosine[i, 1 + z])
            for lead in range(leads):
                out[i, z, 3 + lead] = _bounded(relative(forecast[i, z, lead], carbon[i, z]))
    return out
