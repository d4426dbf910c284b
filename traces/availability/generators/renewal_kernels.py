"""Compiled loops of alternating renewal processes: the clock, and all clients' stays one after another.

Each number is computed by the operations of the plain formula in their order (`numpy.interp` included), so
that compiling changes the speed and not one bit of an episode.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....common.arrays import Bools, Floats
from ....common.compiled import inner, kernel

# Stays are never shorter: flapping is below what a coordinator can act on.
SHORTEST_H = 1.0 / 3600.0


class ClockTable(NamedTuple):
    """Cumulative hazard at each hour of a period."""

    hours: Floats  # [P + 1] 0 to the period
    done_by: Floats  # [P + 1] work done by each hour
    period_h: float


class Rates(NamedTuple):
    """Each client's time and pace."""

    hour: Floats  # [N] hour on the clocks at t = 0
    last: Floats  # [N] the same at the horizon
    up_factor: Floats  # [N] on the hazard off -> on
    down_factor: Floats  # [N] on the hazard on -> off


class Work(NamedTuple):
    """One block of draws, R stays of each client."""

    on: Floats  # [R, N] work of the sessions
    off: Floats  # [R, N] work of the gaps
    sudden: Floats  # [R, N] exponential draws of sudden withdrawals; not read without a hazard
    sudden_per_h: float


class Stays(NamedTuple):
    """Sessions that are filled in, hours on the clocks."""

    coming: Floats  # [N] beginning of the next session, moved on
    starts: Floats  # [R, N]
    ends: Floats  # [R, N]
    natural: Bools  # [R, N] whether the session ends by the law, and not suddenly


@inner(nogil=True, error_model="numpy")
def _interpolated(x: float, xp: Floats, fp: Floats) -> float:
    last = xp.size - 1
    if np.isnan(x):
        return x
    if x >= xp[last]:
        return float(fp[last])
    if x < xp[0]:
        return float(fp[0])
    # Hours are evenly spaced and their hazards alike: the place in proportion is near.
    low = min(int(x / xp[last] * last), last - 1)
    while low > 0 and xp[low] > x:
        low -= 1
    while xp[low + 1] <= x:
        low += 1
    if xp[low] == x:
        return float(fp[low])
    return float((fp[low + 1] - fp[low]) / (xp[low + 1] - xp[low]) * (x - xp[low]) + fp[low])


@kernel(nogil=True, error_model="numpy")
def interpolated(x: float, xp: Floats, fp: Floats) -> float:
    """`numpy.interp(x, xp, fp)` of one number; `xp` ascends from 0."""
    return float(_interpolated(x, xp, fp))


@inner(nogil=True, error_model="numpy")
def _hour_after(hour: float, work: float, clock: ClockTable) -> float:
    """The hour at which `work` more has been done than at `hour`; see `Clock.after`."""
    total = clock.done_by[-1]
    turns = np.floor(hour / clock.period_h)
    done = _interpolated(hour - turns * clock.period_h, clock.hours, clock.done_by) + work
    more = np.floor(done / total)
    rest = _interpolated(done - more * total, clock.done_by, clock.hours)
    return float((turns + more) * clock.period_h + rest)


@kernel(nogil=True, error_model="numpy")
def hours_after(hour: Floats, work: Floats, clock: ClockTable) -> Floats:
    """The hour `[N]` at which each client has done `work` more than at `hour`."""
    out = np.empty(hour.size)
    for k in range(hour.size):
        out[k] = _hour_after(hour[k], work[k], clock)
    return out


@kernel(nogil=True, error_model="numpy")
def first_stays(
    uniform: Floats,
    share_on: Floats,
    on_age: Floats,
    off_rest: Floats,
    rates: Rates,
    up: ClockTable,
    down: ClockTable,
) -> tuple[Bools, Floats]:
    """Who is on at t = 0 `[N]`, and the beginning of that session or of the next one `[N]`."""
    hour = rates.hour
    on0, start = np.empty(hour.size, dtype=np.bool_), np.empty(hour.size)
    for k in range(hour.size):
        on0[k] = uniform[k] < share_on[k]
        if on0[k]:
            start[k] = min(_hour_after(hour[k], -on_age[k] / rates.down_factor[k], down), hour[k])
        else:
            start[k] = _hour_after(hour[k], off_rest[k] / rates.up_factor[k], up)
    return on0, start


@kernel(nogil=True, error_model="numpy")
def play_stays(
    first: bool,
    rates: Rates,
    on0: Bools,
    on_rest: Floats,
    work: Work,
    up: ClockTable,
    down: ClockTable,
    stays: Stays,
) -> tuple[int, bool]:
    """Let all clients make the stays of one block of draws.

    Args:
        first: whether the block begins the episode, so that those on at t = 0 make the rest of a stay.
        rates: of the clients.
        on0: `[N]`, who is on at t = 0.
        on_rest: `[N]`, the work left of that stay.
        work: what is drawn.
        up: clock of the hazard off -> on.
        down: clock of the hazard on -> off.
        stays: what is filled.

    Returns:
        Rows made; and whether every client is beyond the horizon.
    """
    hour, last, coming = rates.hour, rates.last, stays.coming
    for row in range(work.on.shape[0]):
        ahead = True
        for k in range(hour.size):
            if coming[k] > last[k]:
                stays.starts[row, k] = coming[k]  # beyond the horizon: no stay that anybody sees
                continue
            begun = first and row == 0 and on0[k]
            since = hour[k] if begun else coming[k]
            todo = (on_rest[k] if begun else work.on[row, k]) / rates.down_factor[k]
            end = max(_hour_after(since, todo, down), since + SHORTEST_H)
            stays.natural[row, k] = True
            if work.sudden_per_h > 0:
                broken = since + work.sudden[row, k] / work.sudden_per_h
                stays.natural[row, k] = end <= broken
                end = min(end, max(broken, since + SHORTEST_H))
            stays.starts[row, k], stays.ends[row, k] = coming[k], end
            coming[k] = max(_hour_after(end, work.off[row, k] / rates.up_factor[k], up), end + SHORTEST_H)
            ahead = ahead and coming[k] > last[k]
        if ahead:
            return row + 1, True
    return work.on.shape[0], False


@kernel(nogil=True, error_model="numpy")
def padded_sessions(
    starts: Floats, ends: Floats, natural: Bools, hour: Floats, last: Floats
) -> tuple[Floats, Floats, Bools]:
    """Hours on the clocks `[R, N]` as padded seconds since t = 0 `[N, S]`, none beyond the horizon."""
    rows, n = starts.shape
    width = 1
    for k in range(n):
        count = 0
        for row in range(rows):
            count += starts[row, k] <= last[k]
        width = max(width, count)
    start_s, end_s = np.full((n, width), np.inf), np.full((n, width), np.inf)
    by_law = np.zeros((n, width), dtype=np.bool_)
    for k in range(n):
        for row in range(min(rows, width)):
            if starts[row, k] <= last[k]:
                start_s[k, row] = (starts[row, k] - hour[k]) * 3600.0
                end_s[k, row] = (ends[row, k] - hour[k]) * 3600.0
                by_law[k, row] = natural[row, k]
    return start_s, end_s, by_law
