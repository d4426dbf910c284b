"""Compiled assembly of observations: every column of every row in one pass, clipped and stored once.

The columns are those of `encoder.CLIENT_TABLE` and `SERVER_TABLE`, in their order. Logarithms, hyperbolic
tangents, sines and cosines are numpy's, taken before; the rest is plain arithmetic.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_LOG_WEEK_H = np.log1p(168.0)
_LOG_SAMPLES = np.log1p(1000.0)
_LARGEST = np.finfo(np.float64).max


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _bounded(value):  # type: ignore[no-untyped-def]
    return np.float32(min(max(value, -1.0), 1.0) if value == value else value)


@njit(cache=True, nogil=True, error_model="numpy")
def squash(value):  # type: ignore[no-untyped-def]
    """A non-negative number to [0, 1), 1 to 0.5."""
    return value / (1.0 + value)


@njit(cache=True, nogil=True, error_model="numpy")
def relative(value, reference):  # type: ignore[no-untyped-def]
    """(a - b) / (a + b), 0 where both vanish: symmetric and bounded."""
    total = value + reference
    return (value - reference) / total if total > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def best_ahead(forecast, now):  # type: ignore[no-untyped-def]
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


@njit(cache=True, nogil=True, error_model="numpy")
def client_ratios(  # type: ignore[no-untyped-def]
    step_s, empty_s, short_s, middle_s, long_s, announced_left_s, deadline_s, middle_steps
):
    """What logarithms are taken of, `[6, E, N]`; the sixth row is left to the relative loss."""
    e, n = step_s.shape
    ratios = np.empty((6, e, n))
    for i in range(e):
        for k in range(n):
            left_s = max(announced_left_s[i, k], 1.0)
            ratios[0, i, k] = step_s[i, k] * middle_steps / 600.0
            ratios[1, i, k] = empty_s[i, k] / 60.0
            ratios[2, i, k] = middle_s[i, k] / deadline_s[i]
            ratios[3, i, k] = left_s / short_s[i, k]
            ratios[4, i, k] = left_s / long_s[i, k]
    return ratios


@njit(cache=True, nogil=True, error_model="numpy")
def client_table(  # type: ignore[no-untyped-def]
    available, log_age, log_samples, announced_left_s, bends, forecast, points, carbon, mean_carbon, ahead,
    zone, samples, samples_sent, storage_left, target_weight, last_loss, last_norm, rounds_since,
    round_index, invitations, completions, sightings,
):  # fmt: skip
    """Float32 `[E, N, F]`; `bends`: tanh of the five ratios' logarithms and of the relative loss."""
    e, n = available.shape
    out = np.empty((e, n, 27), dtype=np.float32)
    # One environment's columns at a time: simple loops that the compiler turns into vector instructions.
    row = np.empty((27, n), dtype=np.float32)
    for i in range(e):
        rounds = round_index[i] + 1.0
        for k in range(n):
            row[0, k] = 1.0 if available[i, k] else 0.0
            row[6, k] = _bounded(forecast[i, k, 0])
            row[7, k] = _bounded(forecast[i, k, -1])
            row[14, k] = _bounded(ahead[i, zone[i, k]])
        for k in range(n):
            left_s = announced_left_s[i, k]
            told = left_s < np.inf
            row[2, k] = 1.0 if told else 0.0
            row[3, k] = _bounded(left_s / (left_s + 3600.0)) if told else 1.0
        for k in range(n):
            row[4, k], row[5, k] = _bounded(bends[3, i, k]), _bounded(bends[4, i, k])
            row[8, k], row[9, k] = _bounded(bends[0, i, k]), _bounded(bends[1, i, k])
            row[10, k] = _bounded(bends[2, i, k])
        for k in range(n):
            row[1, k] = _bounded(log_age[i, k] / _LOG_WEEK_H)
            row[15, k] = _bounded(log_samples[i, k] / _LOG_SAMPLES)
            row[11, k] = _bounded(squash(points[i, k]))
            row[18, k] = _bounded(squash(target_weight[i, k] * n))
        for k in range(n):
            row[12, k] = _bounded(squash(carbon[i, k] / 300.0))
            row[13, k] = _bounded(relative(carbon[i, k], mean_carbon[i]))
        for k in range(n):
            capacity = samples[i, k] + storage_left[i, k]
            row[16, k] = _bounded(samples_sent[i, k] / max(samples[i, k], 1))
            row[17, k] = _bounded(storage_left[i, k] / max(capacity, 1))
        for k in range(n):
            loss = last_loss[i, k]
            known = loss == loss
            row[19, k] = 1.0 if known else 0.0
            row[20, k] = _bounded(squash(loss)) if known else 0.0
            row[21, k] = _bounded(bends[5, i, k]) if known else 0.0
            norm = last_norm[i, k]
            norm = min(norm, _LARGEST) if norm == norm else 0.0
            row[22, k] = _bounded(squash(norm))
        for k in range(n):
            asked = invitations[i, k]
            row[23, k] = _bounded(rounds_since[i, k] / (rounds_since[i, k] + 8.0))
            row[24, k] = _bounded(min(asked / rounds, 1.0))
            row[25, k] = _bounded(completions[i, k] / max(asked, 1)) if asked > 0 else 1.0
            row[26, k] = _bounded(sightings[i, k] / rounds)
        for k in range(n):
            for column in range(27):
                out[i, k, column] = row[column, k]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def server_table(  # type: ignore[no-untyped-def]
    round_index, max_rounds, hours, gigabytes, kilograms, prices, accuracy, loss, bent_gain, available,
    last_loss, carbon, ahead, budget_left, budgets, sine, cosine,
):  # fmt: skip
    """Float32 `[E, G]`; `prices` is `[3, E]`, `budgets` `[3]`, the angles' functions `[E, 1 + Z]`."""
    e, n = available.shape
    out = np.empty((e, 18), dtype=np.float32)
    for i in range(e):
        row = out[i]
        spent = hours[i] * prices[0, i] + gigabytes[i] * prices[1, i] + kilograms[i] * prices[2, i]
        here, known = 0, 0
        for k in range(n):
            here += available[i, k]
            known += not np.isnan(last_loss[i, k])
        row[0] = _bounded(round_index[i] / max_rounds)
        row[1] = _bounded(squash(hours[i] / 24.0))
        row[2] = _bounded(accuracy[i])
        row[3] = _bounded(squash(loss[i]))
        row[4] = _bounded(bent_gain[i])
        row[5] = _bounded(squash(spent / max(round_index[i], 1)))
        row[6] = _bounded(here / n)
        row[7] = _bounded(known / n)
        row[8] = _bounded(squash(carbon[i].min() / 300.0))
        row[9] = _bounded(ahead[i].min())
        for price in range(3):
            row[10 + price] = _bounded(squash(prices[price, i]))
            limit = budgets[price]
            row[13 + price] = _bounded(budget_left[i, price] / limit) if np.isfinite(limit) else 1.0
        row[16] = _bounded(sine[i, 0])
        row[17] = _bounded(cosine[i, 0])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def zone_table(carbon, forecast, sine, cosine):  # type: ignore[no-untyped-def]
    """Float32 `[E, Z, 3 + H]`."""
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
