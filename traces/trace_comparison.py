"""How alike two availability traces are: what a fitted generator is judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from .availability_trace import AvailabilityTrace
from .episode import AvailabilityEpisode, AvailabilityModel, AvailabilityRequest
from .trace_statistics import hour_profile, hourly_shares, stays_h, user_means

Floats = NDArray[np.float64]

_WEEK_S = 7 * 86400.0


@dataclass(frozen=True)
class TraceSummary:
    """Statistics of an availability trace.

    Attributes:
        clients: users observed.
        days: user-days observed.
        mean: mean over users of the share of time available.
        sd: its standard deviation over users.
        sessions_per_day: sessions per user-day.
        on_median_h: median whole session.
        on_mean_h: mean whole session.
        off_median_h: median whole gap.
        off_mean_h: mean whole gap.
        peak_hour: local hour of day with the highest share, -1 if no time of day is known.
        trough_hour: with the lowest.
        peak_to_trough: ratio of their shares.
        correlation: mean correlation of the hourly shares of pairs observed together, NaN if none were.
    """

    clients: int
    days: float
    mean: float
    sd: float
    sessions_per_day: float
    on_median_h: float
    on_mean_h: float
    off_median_h: float
    off_mean_h: float
    peak_hour: int
    trough_hour: int
    peak_to_trough: float
    correlation: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, rounded for reading."""
        return {name: _plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Likeness:
    """Distances between a trace and what a generator makes of it.

    Attributes:
        ks_sessions: Kolmogorov-Smirnov distance of the session lengths.
        ks_gaps: of the gap lengths.
        ks_means: of the users' means.
        hour_error: mean absolute difference of the hour-of-day profiles.
        hour_error_max: the largest.
        mean_error: difference of the mean availability.
        sessions_ratio: generated over recorded sessions per day.
        correlation_error: difference of the mean pairwise correlation, NaN if unknown.
    """

    ks_sessions: float
    ks_gaps: float
    ks_means: float
    hour_error: float
    hour_error_max: float
    mean_error: float
    sessions_ratio: float
    correlation_error: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, rounded for reading."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def summarise(trace: AvailabilityTrace) -> TraceSummary:
    """Statistics of a trace."""
    on_h, off_h = stays_h(trace)
    profile, means = hour_profile(trace)
    days = float((trace.end_s - trace.begin_s).sum()) / 86400.0
    timed = trace.clock != "none"
    return TraceSummary(
        clients=means.size,
        days=days,
        mean=float(means.mean()),
        sd=float(means.std()),
        sessions_per_day=trace.session_recording.size / max(days, 1e-9),
        on_median_h=_median(on_h),
        on_mean_h=float(on_h.mean()) if on_h.size else float("nan"),
        off_median_h=_median(off_h),
        off_mean_h=float(off_h.mean()) if off_h.size else float("nan"),
        peak_hour=int(profile.argmax()) if timed else -1,
        trough_hour=int(profile.argmin()) if timed else -1,
        peak_to_trough=float(profile.max() / max(profile.min(), 1e-6)),
        correlation=pairwise_correlation(trace),
    )


def compare(recorded: AvailabilityTrace, generated: AvailabilityTrace) -> Likeness:
    """Distances between two traces."""
    on_r, off_r = stays_h(recorded)
    on_g, off_g = stays_h(generated)
    profile_r, means_r = hour_profile(recorded)
    profile_g, means_g = hour_profile(generated)
    if "none" in (recorded.clock, generated.clock):
        profile_g = np.full(24, means_g.mean())
    error = np.abs(profile_r - profile_g)
    per_day = [
        trace.session_recording.size / float((trace.end_s - trace.begin_s).sum())
        for trace in (recorded, generated)
    ]
    return Likeness(
        ks_sessions=ks_distance(on_r, on_g),
        ks_gaps=ks_distance(off_r, off_g),
        ks_means=ks_distance(user_means(recorded), user_means(generated)),
        hour_error=float(error.mean()),
        hour_error_max=float(error.max()),
        mean_error=float(means_g.mean() - means_r.mean()),
        sessions_ratio=per_day[1] / max(per_day[0], 1e-12),
        correlation_error=pairwise_correlation(generated) - pairwise_correlation(recorded),
    )


def ks_distance(a: Floats, b: Floats) -> float:
    """Largest difference of two empirical distribution functions, NaN if one is empty."""
    if not a.size or not b.size:
        return float("nan")
    edges = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(np.sort(a), edges, side="right") / a.size
    below_b = np.searchsorted(np.sort(b), edges, side="right") / b.size
    return float(np.abs(below_a - below_b).max())


def pairwise_correlation(trace: AvailabilityTrace, most: int = 80) -> float:
    """Mean correlation of hourly shares over pairs of recordings that cover the same time.

    The largest set of recordings with a common beginning and at least two days is taken, up to `most` of
    them. NaN if it has no two recordings whose availability varies.
    """
    if trace.clock == "none" and not trace.simultaneous:
        return float("nan")
    long = trace.end_s - trace.begin_s >= 2 * 86400.0
    begins, which, counts = np.unique(trace.begin_s[long], return_inverse=True, return_counts=True)
    if not begins.size:
        return float("nan")
    rows = np.flatnonzero(long)[which == counts.argmax()][:most]
    chosen = np.zeros(trace.num_recordings, dtype=bool)
    chosen[rows] = True
    part = trace.only(chosen)
    seconds, recording, _ = hourly_shares(part)
    hours = int(np.bincount(recording).min())
    within = np.arange(recording.size) - np.searchsorted(recording, recording)
    table = seconds[within < hours].reshape(-1, hours)
    table = table[table.std(axis=1) > 1e-9]
    if table.shape[0] < 2:
        return float("nan")
    matrix = np.corrcoef(table)
    return float(matrix[np.triu_indices_from(matrix, 1)].mean())


def trace_of(episode: AvailabilityEpisode, request: AvailabilityRequest, source: str) -> AvailabilityTrace:
    """An episode as a trace of one recording per client, on the clients' local clocks."""
    sessions, n = episode.sessions, request.zone.size
    # Seconds since a Monday 00:00 local time.
    begin_s = request.local_hour_of_week * 3600.0
    client, slot = np.nonzero(np.isfinite(sessions.start_s))
    start_s = np.maximum(sessions.start_s[client, slot], 0.0)
    end_s = np.minimum(sessions.end_s[client, slot], request.horizon_s)
    keep = end_s > start_s
    client, start_s, end_s = client[keep], start_s[keep], end_s[keep]
    return AvailabilityTrace(
        users=tuple(map(str, range(n))),
        user=np.arange(n),
        begin_s=begin_s,
        end_s=begin_s + request.horizon_s,
        session_recording=client,
        session_start_s=start_s + begin_s[client],
        session_end_s=end_s + begin_s[client],
        clock="local",
        utc_offset_h=np.zeros(n),
        simultaneous=True,
        source=source,
    )


def generate(
    model: AvailabilityModel, clients: int, days: float, rng: np.random.Generator
) -> AvailabilityTrace:
    """A trace of `clients` clients in one zone at UTC, from a Monday on."""
    monday_s = 4 * 86400.0
    request = AvailabilityRequest(
        monday_s, days * 86400.0, np.zeros(clients, dtype=np.int64), np.zeros(1), "train"
    )
    return trace_of(model.sample(request, rng), request, "generated")


def _median(values: Floats) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _plain(value: float) -> float:
    return value if isinstance(value, int) else round(float(value), 4)
