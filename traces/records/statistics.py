"""What is in an availability trace: shares, stays, hours, correlations."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from .availability_trace import AvailabilityTrace

# Profiles of larger traces are taken from a part of their recordings.
_MOST_HOURS = 2e7


def hourly_shares(trace: AvailabilityTrace) -> tuple[Floats, Ints, Ints]:
    """Seconds available in every whole clock hour of every recording.

    Returns:
        Seconds `[H]`, the recording of each hour `[H]`, and its hour of the week `[H]` (local; counted from
        the beginning if no time of day is known). Hours cut by a recording's edge are left out.
    """
    local = trace.local_begin_s
    first = np.ceil(local / 3600.0 - 1e-9).astype(np.int64)
    last = np.floor((local + trace.end_s - trace.begin_s) / 3600.0 + 1e-9).astype(np.int64)
    hours = np.maximum(last - first, 0)
    base = np.cumsum(hours) - hours
    recording = np.repeat(np.arange(trace.num_recordings), hours)
    clock = np.arange(recording.size) - base[recording] + first[recording]
    # Each session gives its part to each hour that it touches.
    owner = trace.session_recording
    shift = (local - trace.begin_s)[owner]
    start, end = trace.session_start_s + shift, trace.session_end_s + shift
    seconds: Floats = np.zeros(recording.size)
    if owner.size:
        lo = np.maximum(np.floor(start / 3600.0).astype(np.int64), first[owner])
        hi = np.minimum(np.ceil(end / 3600.0).astype(np.int64), last[owner])
        spans = np.maximum(hi - lo, 0)
        session = np.repeat(np.arange(owner.size), spans)
        hour: Ints = np.arange(session.size) - np.repeat(np.cumsum(spans) - spans, spans) + lo[session]
        part = np.minimum(end[session], (hour + 1) * 3600.0) - np.maximum(start[session], hour * 3600.0)
        index = base[owner[session]] + hour - first[owner[session]]
        parts = np.bincount(index, weights=np.maximum(part, 0.0), minlength=recording.size)
        seconds = parts.astype(np.float64)
    return seconds, recording, clock % 168


def thinned(trace: AvailabilityTrace) -> AvailabilityTrace:
    """The trace, or every k-th of its recordings if it has too many hours to look at one by one."""
    hours = float((trace.end_s - trace.begin_s).sum()) / 3600.0
    every = int(np.ceil(hours / _MOST_HOURS))
    return trace if every <= 1 else trace.only(np.arange(trace.num_recordings) % every == 0)


def hour_profile(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """P(available) by local hour of day `[24]`, and the users' mean shares `[U']` of those observed."""
    seconds, _, week_hour = hourly_shares(thinned(trace))
    hour = week_hour % 24
    count = np.bincount(hour, minlength=24)
    profile = np.bincount(hour, weights=seconds, minlength=24) / np.maximum(count, 1) / 3600.0
    mean = user_means(trace)
    profile = np.where(count > 0, profile, mean.mean())
    if trace.clock == "none":
        profile = np.full(24, mean.mean())
    return profile, mean


def week_profile(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """P(available) by local hour of the week from Monday, and its standard error, `[168]` each.

    Hours are counted from the beginning if no time of day is known. Hours that were not seen are NaN. The
    standard error takes recordings as independent of each other, which those watched together are not.
    """
    seconds, _, week_hour = hourly_shares(thinned(trace))
    shares = seconds / 3600.0
    count = np.bincount(week_hour, minlength=168)
    seen = np.where(count > 0, count, np.nan)
    mean = np.bincount(week_hour, weights=shares, minlength=168) / seen
    square = np.bincount(week_hour, weights=shares**2, minlength=168) / seen
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0) / seen)


def weekday_shares(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """P(available) by day of the week from Monday (NaN if not seen), and recording-days seen, `[7]` each."""
    seconds, _, week_hour = hourly_shares(thinned(trace))
    hours = np.bincount(week_hour // 24, minlength=7)
    on_h = np.bincount(week_hour // 24, weights=seconds, minlength=7) / 3600.0
    return on_h / np.where(hours > 0, hours, np.nan), hours / 24.0


def user_means(trace: AvailabilityTrace) -> Floats:
    """Share of its observed time that each observed user is available."""
    owner = trace.user[trace.session_recording]
    size = len(trace.users)
    on_s = np.bincount(owner, trace.session_end_s - trace.session_start_s, minlength=size)
    seen_s = np.bincount(trace.user, trace.end_s - trace.begin_s, minlength=size)
    return on_s[seen_s > 0] / seen_s[seen_s > 0]


def stays_h(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """Hours of the sessions and of the gaps that lie wholly within a recording."""
    owner, start, end = trace.session_recording, trace.session_start_s, trace.session_end_s
    whole = (start > trace.begin_s[owner]) & (end < trace.end_s[owner])
    same = owner[1:] == owner[:-1]
    return (end - start)[whole] / 3600.0, (start[1:] - end[:-1])[same] / 3600.0


def starts_per_day(trace: AvailabilityTrace) -> float:
    """Sessions that begin while a user is observed, per user-day.

    Sessions that run at the beginning are left out: they would make short recordings look livelier than long
    ones. Half a session is added, so that the number is never zero.
    """
    began = int((trace.session_start_s > trace.begin_s[trace.session_recording]).sum())
    return (began + 0.5) / max(float((trace.end_s - trace.begin_s).sum()) / 86400.0, 1e-9)


def mean_stays_h(trace: AvailabilityTrace) -> tuple[float, float]:
    """Mean hours of a session and of a gap, from the totals, so that cut ones count too."""
    owner = trace.session_recording
    on_s = float((trace.session_end_s - trace.session_start_s).sum())
    seen_s = float((trace.end_s - trace.begin_s).sum())
    changes = max(owner.size, 1)
    return max(on_s / changes, 60.0) / 3600.0, max((seen_s - on_s) / changes, 60.0) / 3600.0
