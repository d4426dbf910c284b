"""Likeness of two availability traces: what a fitted generator is judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from ...common.arrays import Floats
from ...common.units import SECONDS_PER_DAY
from ..availability import AvailabilityEpisode, AvailabilityModel, AvailabilityRequest
from ..records import (
    AvailabilityTrace,
    hour_profile,
    hourly_shares,
    starts_per_day,
    stays_h,
    user_means,
    week_profile,
)

_WEEK_S = 7 * SECONDS_PER_DAY
# Sets of recordings of which pairs are formed, and recordings of each.
_GROUPS, _GROUP_SIZE = 20, 80


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
        correlation_beyond_hours: the same after the profile by hour of day is taken off.
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
    correlation_beyond_hours: float

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
        week_error: mean absolute difference of the hour-of-week profiles, NaN if no time of day is known.
        week_error_max: the largest.
        week_error_by_chance: the mean to be expected of a perfect generator, because the trace is finite.
        mean_error: difference of the mean availability.
        sessions_ratio: generated over recorded sessions that begin per day.
        correlation_error: difference of the mean pairwise correlation, NaN if unknown.
    """

    ks_sessions: float
    ks_gaps: float
    ks_means: float
    hour_error: float
    hour_error_max: float
    week_error: float
    week_error_max: float
    week_error_by_chance: float
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
    days = float((trace.end_s - trace.begin_s).sum()) / SECONDS_PER_DAY
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
        correlation_beyond_hours=pairwise_correlation(trace, beyond_hours=True),
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
    week_mean, week_max, week_chance = week_difference(recorded, generated)
    return Likeness(
        ks_sessions=ks_distance(on_r, on_g),
        ks_gaps=ks_distance(off_r, off_g),
        ks_means=ks_distance(user_means(recorded), user_means(generated)),
        hour_error=float(error.mean()),
        hour_error_max=float(error.max()),
        week_error=week_mean,
        week_error_max=week_max,
        week_error_by_chance=week_chance,
        mean_error=float(means_g.mean() - means_r.mean()),
        sessions_ratio=starts_per_day(generated) / starts_per_day(recorded),
        correlation_error=pairwise_correlation(generated) - pairwise_correlation(recorded),
    )


def week_difference(recorded: AvailabilityTrace, generated: AvailabilityTrace) -> tuple[float, float, float]:
    """Mean and largest absolute difference of the hour-of-week profiles, and the mean that is due to chance.

    Only hours of the week that both have are compared. NaN if a trace has no time of day, or none in common.
    """
    if "none" in (recorded.clock, generated.clock):
        return float("nan"), float("nan"), float("nan")
    (profile_r, error_r), (profile_g, error_g) = week_profile(recorded), week_profile(generated)
    difference = np.abs(profile_r - profile_g)
    both = np.isfinite(difference)
    if not both.any():
        return float("nan"), float("nan"), float("nan")
    # The mean absolute value of a Gaussian is its standard deviation times sqrt(2 / pi).
    chance = np.sqrt(2.0 / np.pi) * np.hypot(error_r, error_g)[both].mean()
    return float(difference[both].mean()), float(difference[both].max()), float(chance)


def ks_distance(a: Floats, b: Floats) -> float:
    """Kolmogorov-Smirnov distance of two samples, NaN if one is empty."""
    if not a.size or not b.size:
        return float("nan")
    return float(stats.ks_2samp(a, b, method="asymp").statistic)


def pairwise_correlation(trace: AvailabilityTrace, beyond_hours: bool = False) -> float:
    """Mean correlation of hourly shares over pairs of recordings that have two days or more in common.

    Pairs are taken within the twenty largest sets of recordings that began in the same week on clocks with
    the same distance from UTC, up to eighty recordings of each.

    Args:
        trace: what was recorded.
        beyond_hours: whether the population's profile by local hour of day is taken off first; what is left
            is what users have in common beyond the time of day.

    Returns:
        NaN if there are no two such recordings whose availability varies.
    """
    if trace.clock == "none" and not trace.simultaneous:
        return float("nan")
    usual_s = 3600.0 * hour_profile(trace)[0] if beyond_hours else np.zeros(24)
    long = np.flatnonzero(trace.end_s - trace.begin_s >= 2 * SECONDS_PER_DAY)
    key = np.stack([trace.local_begin_s // _WEEK_S, trace.local_begin_s - trace.begin_s])[:, long]
    _, which, counts = np.unique(key, axis=1, return_inverse=True, return_counts=True)
    total, pairs = 0.0, 0
    for group in np.argsort(-counts, kind="stable")[:_GROUPS]:
        chosen = np.zeros(trace.num_recordings, dtype=bool)
        chosen[long[which.ravel() == group][:_GROUP_SIZE]] = True
        found = _correlations(trace.only(chosen), usual_s)
        total, pairs = total + float(found.sum()), pairs + found.size
    return total / pairs if pairs else float("nan")


def _correlations(part: AvailabilityTrace, usual_s: Floats) -> Floats:
    """Of all pairs of recordings, over the hours that both cover, where there are two days of them."""
    seconds, recording, week_hour = hourly_shares(part)
    first = np.ceil(part.local_begin_s / 3600.0 - 1e-9).astype(np.int64)
    within = np.arange(recording.size) - np.searchsorted(recording, recording)
    hour = first[recording] - first.min() + within
    shape = (part.num_recordings, int(hour.max(initial=0)) + 1)
    seen, x = np.zeros(shape), np.zeros(shape)
    seen[recording, hour] = 1.0
    x[recording, hour] = (seconds - usual_s[week_hour % 24]) / 3600.0
    hours = seen @ seen.T
    count = np.maximum(hours, 1.0)
    mean, square = x @ seen.T / count, x**2 @ seen.T / count
    power = square - mean**2
    covariance = x @ x.T / count - mean * mean.T
    varies = np.bincount(recording, seconds, part.num_recordings) > 0
    use = (hours >= 48) & (power > 1e-9) & (power.T > 1e-9) & varies[:, None] & varies
    use &= np.tri(part.num_recordings, k=-1, dtype=bool)
    return np.asarray(covariance[use] / np.sqrt(power * power.T)[use])


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
    model: AvailabilityModel, clients: int, days: float, rng: np.random.Generator, any_weekday: bool = False
) -> AvailabilityTrace:
    """A trace of `clients` clients on UTC, from a Monday on.

    Args:
        model: what draws it.
        clients: how many.
        days: how long.
        rng: the only source of chance.
        any_weekday: whether clients begin on all days of the week in turn, so that what is particular to
            the beginning of an episode does not look particular to Mondays.
    """
    monday_s = 4 * SECONDS_PER_DAY
    shifts = 7 if any_weekday else 1
    zone, offset_h = np.arange(clients) % shifts, 24.0 * np.arange(shifts, dtype=np.float64)
    request = AvailabilityRequest(monday_s, days * SECONDS_PER_DAY, zone, offset_h, "train")
    return trace_of(model.sample(request, rng), request, "generated")


def _median(values: Floats) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _plain(value: float) -> float:
    return value if isinstance(value, int) else round(float(value), 4)
