"""Compiled assembly of the observation `clients`: every column of every row in one pass.

The columns are those of `features.CLIENT_TABLE`, in their order. Logarithms and hyperbolic tangents are
numpy's, taken before; the rest is plain arithmetic, clipped and stored once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.compiled import inner, kernel
from .squashing import SMALLEST, bounded, relative, squash

# Columns of a client, in the order of `CLIENT_TABLE`.
(
    AVAILABLE, SESSION_AGE, END_ANNOUNCED, ANNOUNCED_LEFT, WILL_FINISH_SHORT, WILL_FINISH_LONG,
    FORECAST_NEAR, FORECAST_FAR, FINISH_SHORT, FINISH_MIDDLE, FINISH_LONG,
    STEP_TIME, TRANSFER_TIME, ROUND_TIME, POINTS_SHORT, POINTS_LONG, TIME_POINTS,
    CARBON_NOW, CARBON_RANK, CARBON_AHEAD, SAMPLES, SAMPLES_SENT, STORAGE_LEFT, TARGET_WEIGHT,
    LOSS_KNOWN, LAST_LOSS, LAST_NORM, STALENESS,
    INVITED_SHARE, COMPLETED_SHARE, SEEN_SHARE, SETUP,
    SPEED_RANK, POINTS_RANK, LOSS_RANK, STALENESS_RANK, SAMPLES_RANK,
) = range(37)  # fmt: skip
CLIENT_COLUMNS = 37

# Rows of what a client's logarithms are taken of.
(
    STEP_RATIO, TRANSFER_RATIO, ROUND_RATIO, SHORT_MARGIN, LONG_MARGIN,
    SHORT_POINTS, MIDDLE_POINTS, LONG_POINTS, HOURLY_POINTS,
) = range(9)  # fmt: skip
_LARGEST_DEVIATION = 3.0

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


class RoundLines(NamedTuple):
    """What a round would take of each client: both grow with its steps in a straight line."""

    empty_s: Floats  # [E, N] seconds of one without steps
    step_s: Floats  # [E, N] of each step
    empty_points: Floats  # [E, N] points in bytes and emissions of one without steps
    step_points: Floats  # [E, N] of each step


class ClientCurves(NamedTuple):
    """What numpy has made of facts of clients."""

    log_age: Floats  # [E, N] log of 1 + hours
    log_samples: Floats  # [E, N] log of 1 + samples
    bends: Floats  # [9, E, N] tanh of the ratios' logarithms
    ranked: Floats  # [5, E, N] what is ranked among the available clients, in the order of the columns
    finishes: Floats  # [3, E, N] chance to finish a short, a middle and a long round
    carbon: Floats  # [E, N] g/kWh
    setup: Floats  # [E, N] share of a round of the middle step level


@kernel(nogil=True, error_model="numpy")
def client_ratios(
    lines: RoundLines, steps: Ints, announced_left_s: Floats, deadline_s: Floats, price_per_hour: Floats
) -> tuple[Floats, Floats]:
    """What logarithms are taken of, `[9, E, N]`, and seconds of a short, middle and long round `[3, E, N]`.

    Args:
        lines: seconds and points of a round.
        steps: `[3]`, of a short, a middle and a long one.
        announced_left_s: `[E, N]`.
        deadline_s: `[E]`.
        price_per_hour: `[E]`.
    """
    e, n = announced_left_s.shape
    ratios, rounds_s = np.empty((9, e, n)), np.empty((3, e, n))
    for i in range(e):
        for k in range(n):
            empty_s, step_s = lines.empty_s[i, k], lines.step_s[i, k]
            empty_points, step_points = lines.empty_points[i, k], lines.step_points[i, k]
            for level in range(3):
                rounds_s[level, i, k] = empty_s + steps[level] * step_s
                points = empty_points + steps[level] * step_points
                ratios[SHORT_POINTS + level, i, k] = max(points, SMALLEST)
            left_s = max(announced_left_s[i, k], 1.0)
            ratios[STEP_RATIO, i, k] = step_s * steps[1] / 600.0
            ratios[TRANSFER_RATIO, i, k] = empty_s / 60.0
            ratios[ROUND_RATIO, i, k] = rounds_s[1, i, k] / deadline_s[i]
            ratios[SHORT_MARGIN, i, k] = left_s / rounds_s[0, i, k]
            ratios[LONG_MARGIN, i, k] = left_s / rounds_s[2, i, k]
            hourly = rounds_s[1, i, k] / 3600.0 * price_per_hour[i]
            ratios[HOURLY_POINTS, i, k] = max(hourly, SMALLEST)
    return ratios, rounds_s


@inner(cache=True, nogil=True, error_model="numpy")
def _rank(values: Floats, available: Bools, out: Floats32) -> None:
    """Deviations from the mean of the available clients in a row, 1 at three of them; 0 where unknown."""
    count, total, largest = 0, 0.0, 0.0
    for k in range(values.size):
        if available[k] and np.isfinite(values[k]):
            count += 1
            total += values[k]
            largest = max(largest, abs(values[k]))
    mean, squares = total / max(count, 1), 0.0
    for k in range(values.size):
        if available[k] and np.isfinite(values[k]):
            squares += (values[k] - mean) ** 2
    deviation = np.sqrt(squares / max(count, 1))
    flat = deviation <= 1e-12 * max(largest, 1e-300)
    for k in range(values.size):
        if flat or not available[k] or not np.isfinite(values[k]):
            out[k] = np.float32(0.0)
        else:
            out[k] = bounded((values[k] - mean) / deviation / _LARGEST_DEVIATION)


@kernel(nogil=True, error_model="numpy")
def client_table(
    facts: ClientColumns,
    curves: ClientCurves,
    forecast: Floats,
    ahead: Floats,
    mean_carbon: Floats,
    round_index: Ints,
    looks: Ints,
    federation_size: Ints,
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
        federation_size: `[E]`, see `Terms`; rows beyond it are zeros.
    """
    bends, n = curves.bends, facts.available.shape[1]
    out = np.empty((facts.available.shape[0], n, CLIENT_COLUMNS), dtype=np.float32)
    # One environment's columns at a time: simple loops that the compiler turns into vector instructions.
    row = np.empty((CLIENT_COLUMNS, n), dtype=np.float32)
    for i in range(out.shape[0]):
        rounds = round_index[i] + 1.0
        for k in range(n):
            row[AVAILABLE, k] = 1.0 if facts.available[i, k] else 0.0
            row[FORECAST_NEAR, k] = bounded(forecast[i, k, 0])
            row[FORECAST_FAR, k] = bounded(forecast[i, k, -1])
            row[CARBON_AHEAD, k] = bounded(ahead[i, facts.zone[i, k]])
            row[FINISH_SHORT, k] = bounded(curves.finishes[0, i, k])
            row[FINISH_MIDDLE, k] = bounded(curves.finishes[1, i, k])
            row[FINISH_LONG, k] = bounded(curves.finishes[2, i, k])
        for k in range(n):
            left_s = facts.announced_left_s[i, k]
            announced = left_s < np.inf
            row[END_ANNOUNCED, k] = 1.0 if announced else 0.0
            row[ANNOUNCED_LEFT, k] = bounded(left_s / (left_s + 3600.0)) if announced else 1.0
        for k in range(n):
            row[WILL_FINISH_SHORT, k] = bounded(bends[SHORT_MARGIN, i, k])
            row[WILL_FINISH_LONG, k] = bounded(bends[LONG_MARGIN, i, k])
            row[STEP_TIME, k] = bounded(bends[STEP_RATIO, i, k])
            row[TRANSFER_TIME, k] = bounded(bends[TRANSFER_RATIO, i, k])
            row[ROUND_TIME, k] = bounded(bends[ROUND_RATIO, i, k])
            row[POINTS_SHORT, k] = bounded(bends[SHORT_POINTS, i, k])
            row[POINTS_LONG, k] = bounded(bends[LONG_POINTS, i, k])
            row[TIME_POINTS, k] = bounded(bends[HOURLY_POINTS, i, k])
        for k in range(n):
            row[SESSION_AGE, k] = bounded(curves.log_age[i, k] / _LOG_WEEK_H)
            row[SAMPLES, k] = bounded(curves.log_samples[i, k] / _LOG_SAMPLES)
            row[TARGET_WEIGHT, k] = bounded(squash(facts.target_weight[i, k] * federation_size[i]))
        for k in range(n):
            row[CARBON_NOW, k] = bounded(squash(curves.carbon[i, k] / 300.0))
            row[CARBON_RANK, k] = bounded(relative(curves.carbon[i, k], mean_carbon[i]))
        for k in range(n):
            samples, left = facts.samples_held[i, k], facts.storage_left[i, k]
            row[SAMPLES_SENT, k] = bounded(facts.samples_sent[i, k] / max(samples, 1))
            row[STORAGE_LEFT, k] = bounded(left / max(samples + left, 1))
        for k in range(n):
            loss, norm = facts.last_loss[i, k], facts.last_norm[i, k]
            known = loss == loss
            row[LOSS_KNOWN, k] = 1.0 if known else 0.0
            row[LAST_LOSS, k] = bounded(squash(loss)) if known else 0.0
            norm = min(norm, _LARGEST) if norm == norm else 0.0
            row[LAST_NORM, k] = bounded(squash(norm))
        for k in range(n):
            asked, since = facts.invitations[i, k], facts.rounds_since[i, k]
            row[STALENESS, k] = bounded(since / (since + 8.0))
            row[INVITED_SHARE, k] = bounded(min(asked / rounds, 1.0))
            row[COMPLETED_SHARE, k] = bounded(facts.completions[i, k] / max(asked, 1)) if asked > 0 else 1.0
            row[SEEN_SHARE, k] = bounded(facts.sightings[i, k] / looks[i])
            row[SETUP, k] = bounded(curves.setup[i, k])
        for rank in range(len(curves.ranked)):
            _rank(curves.ranked[rank, i], facts.available[i], row[SPEED_RANK + rank])
        for k in range(n):
            for column in range(CLIENT_COLUMNS):
                out[i, k, column] = row[column, k] if k < federation_size[i] else np.float32(0.0)
    return out
