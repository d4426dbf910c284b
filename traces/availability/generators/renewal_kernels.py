"""Compiled loops of alternating renewal processes: the clock, and all clients' stays one after another.

Each number is computed by the operations of the plain formula in their order (`numpy.interp` included), so
that compiling changes the speed and not one bit of an episode.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Stays are never shorter: flapping is below what a coordinator can act on.
SHORTEST_H = 1.0 / 3600.0


@njit(cache=True, nogil=True, error_model="numpy")
def interpolated(x, xp, fp):  # type: ignore[no-untyped-def]
    """`numpy.interp(x, xp, fp)` of one number; `xp` ascends from 0."""
    last = xp.size - 1
    if np.isnan(x):
        return x
    if x >= xp[last]:
        return fp[last]
    if x < xp[0]:
        return fp[0]
    # Hours are evenly spaced and their hazards alike: the place in proportion is near.
    low = min(int(x / xp[last] * last), last - 1)
    while low > 0 and xp[low] > x:
        low -= 1
    while xp[low + 1] <= x:
        low += 1
    if xp[low] == x:
        return fp[low]
    return (fp[low + 1] - fp[low]) / (xp[low + 1] - xp[low]) * (x - xp[low]) + fp[low]


@njit(cache=True, nogil=True, error_model="numpy")
def hour_after(hour, work, hours, done_by, period_h):  # type: ignore[no-untyped-def]
    """The hour at which `work` more has been done than at `hour`; see `Clock.after`."""
    total = done_by[-1]
    turns = np.floor(hour / period_h)
    done = interpolated(hour - turns * period_h, hours, done_by) + work
    more = np.floor(done / total)
    rest = interpolated(done - more * total, done_by, hours)
    return (turns + more) * period_h + rest


@njit(cache=True, nogil=True, error_model="numpy")
def hours_after(hour, work, hours, done_by, period_h):  # type: ignore[no-untyped-def]
    """`hour_after` of every client, `[N]`."""
    out = np.empty(hour.size)
    for k in range(hour.size):
        out[k] = hour_after(hour[k], work[k], hours, done_by, period_h)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def first_stays(  # type: ignore[no-untyped-def]
    uniform, share_on, on_age, off_rest, hour, up_factor, down_factor, up, down
):
    """Who is on at t = 0 `[N]`, and the beginning of that session or of the next one `[N]`."""
    on0, start = np.empty(hour.size, dtype=np.bool_), np.empty(hour.size)
    for k in range(hour.size):
        on0[k] = uniform[k] < share_on[k]
        if on0[k]:
            start[k] = min(hour_after(hour[k], -on_age[k] / down_factor[k], *down), hour[k])
        else:
            start[k] = hour_after(hour[k], off_rest[k] / up_factor[k], *up)
    return on0, start


@njit(cache=True, nogil=True, error_model="numpy")
def play_stays(  # type: ignore[no-untyped-def]
    first, hour, last, on0, on_rest, up_factor, down_factor, on_work, off_work, sudden, sudden_per_h,
    up, down, start, starts, ends, natural,
):  # fmt: skip
    """Let all clients make the stays of one block of draws.

    `first` says whether the block begins the episode, so that those on at t = 0 make the rest of a stay. Per
    client: hours on the clocks at t = 0 and at the horizon, who is on at t = 0, the work left of that stay,
    factors on the two hazards, and the beginning of the next session, which is moved on. Per row and client:
    the work of the stays, exponential draws of sudden withdrawals (not read without a hazard), and what is
    filled. `up` and `down` are the tables of the two clocks.

    Returns:
        Rows made; and whether every client is beyond the horizon.
    """
    for row in range(on_work.shape[0]):
        ahead = True
        for k in range(hour.size):
            if start[k] > last[k]:
                starts[row, k] = start[k]  # beyond the horizon: no stay that anybody sees
                continue
            begun = first and row == 0 and on0[k]
            since = hour[k] if begun else start[k]
            work = (on_rest[k] if begun else on_work[row, k]) / down_factor[k]
            end = max(hour_after(since, work, *down), since + SHORTEST_H)
            natural[row, k] = True
            if sudden_per_h > 0:
                broken = since + sudden[row, k] / sudden_per_h
                natural[row, k] = end <= broken
                end = min(end, max(broken, since + SHORTEST_H))
            starts[row, k], ends[row, k] = start[k], end
            start[k] = max(hour_after(end, off_work[row, k] / up_factor[k], *up), end + SHORTEST_H)
            ahead = ahead and start[k] > last[k]
        if ahead:
            return row + 1, True
    return on_work.shape[0], False


@njit(cache=True, nogil=True, error_model="numpy")
def padded_sessions(starts, ends, natural, hour, last):  # type: ignore[no-untyped-def]
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
