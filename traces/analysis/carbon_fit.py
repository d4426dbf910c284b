"""Zone profiles estimated from recorded carbon intensity, with how well they reproduce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from ...common.arrays import Floats, Ints
from ..calibration import calibration
from ..carbon import GeneratedCarbon, ZoneProfile
from ..numerics import utc_offset_h
from ..records import CarbonSeries, Kind

_DAY_H = 24
# A month or season with fewer days than this has no factor of its own.
_LEAST_DAYS = 7
# A slow part is fitted to at least eight weeks, where the autocorrelation a day apart is higher by this than
# that of one AR(1).
_TWO_PARTS_H, _MORE_ALIKE = 56 * _DAY_H, 0.05


@dataclass(frozen=True)
class CarbonSummary:
    """Statistics of an hourly series.

    Attributes:
        mean: g/kWh.
        sd: g/kWh.
        p5: 5th percentile.
        p95: 95th percentile.
        daily_range: median over days of (max - min) / mean.
        naive_mape: mean absolute relative error of "as 24 hours ago".
        hours: mean by local hour `[24]`, g/kWh.
        clean_hour: local hour with the lowest mean.
        dirty_hour: with the highest.
    """

    mean: float
    sd: float
    p5: float
    p95: float
    daily_range: float
    naive_mape: float
    hours: tuple[float, ...]
    clean_hour: int
    dirty_hour: int


@dataclass(frozen=True)
class CarbonFit:
    """A profile and how well it reproduces the series that it was fitted to.

    Attributes:
        profile: the zone's profile.
        recorded: statistics of the series.
        generated: statistics of the same months drawn from the profile.
    """

    profile: ZoneProfile
    recorded: CarbonSummary
    generated: CarbonSummary

    @property
    def spec(self) -> dict[str, object]:
        """What `make_carbon` takes."""
        return {"profiles": [self.profile.model_dump()]}

    def as_dict(self) -> dict[str, object]:
        """Goodness of fit as plain numbers."""
        rounded = [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(s).items() if k != "hours"}
            for s in (self.recorded, self.generated)
        ]
        error = np.abs(np.array(self.recorded.hours) - np.array(self.generated.hours))
        likeness = {
            "hour_error": round(float(error.mean()), 4),
            "hour_error_max": round(float(error.max()), 4),
        }
        return {"recorded": rounded[0], "generated": rounded[1], "likeness": likeness}


def fit_carbon(series: CarbonSeries, tz: str | None = None, seed: int = 0) -> CarbonFit:
    """Estimate mean x month x hour x weekend x exp(AR(1)) from a series.

    Where deviations are more alike a day apart than one AR(1) has them (the sun over a dry week), the
    residual is the sum of a fast one and a slow one.

    Args:
        series: at least three days.
        tz: IANA name of the local time; known for measured zones, otherwise UTC.
        seed: of the drawing that the fit is judged by.

    Raises:
        ValueError: if the series is too short, or zero throughout.
    """
    hourly, first_s = hourly_means(series)
    if hourly.size < 3 * _DAY_H:
        raise ValueError(f"{series.source}: {hourly.size} hours, expected at least three days to fit")
    if not hourly.any():
        raise ValueError(f"{series.source}: zero at all times, expected some carbon intensity to fit")
    known = calibration()["carbon_zones"].get(series.zone)
    tz = tz or (known["tz"] if known else None)
    offset_h = utc_offset_h(tz, first_s, 0.0)
    hours_s = first_s + 3600.0 * np.arange(hourly.size)
    offsets_h = np.array([utc_offset_h(tz, s, 0.0) for s in hours_s[::_DAY_H]])
    local_s = hours_s + 3600.0 * np.repeat(offsets_h, _DAY_H)[: hourly.size]
    mean, month, hour, weekend, usual = _factors(hourly, local_s)
    # A grid near zero would make the logarithm's tail, not its body, set the spread.
    floor = max(1.0, 0.05 * mean)
    residual = np.log(np.maximum(hourly, floor) / np.maximum(usual, floor))
    residual -= residual.mean()
    power = float((residual**2).mean())
    phi, slow_share, slow_phi = _memory(residual)
    profile = ZoneProfile(
        zone=series.zone,
        tz=tz,
        standard_utc_offset_h=known["standard_utc_offset_h"] if known else offset_h,
        kind=cast(Kind, series.kind),
        mean_g_per_kwh=max(mean, 1e-3),
        min_g_per_kwh=float(hourly.min()),
        max_g_per_kwh=max(float(hourly.max()), 1e-3),
        month_factor=tuple(month.round(4).tolist()),
        hour_factor=tuple(tuple(row) for row in hour.round(4).tolist()),
        weekend_factor=round(weekend, 4),
        log_sd=round(min(power**0.5, 5.0), 4),
        phi_per_h=round(phi, 4),
        slow_share=round(slow_share, 4),
        slow_phi_per_h=round(slow_phi, 4),
    )
    drawn = _drawn_like(profile, first_s, hourly.size, np.random.default_rng(seed))
    return CarbonFit(profile, carbon_summary(hourly, local_s), carbon_summary(drawn, local_s))


def _memory(residual: Floats) -> tuple[float, float, float]:
    """Coefficient of the AR(1); share and coefficient of a slow one beside it, where there is need of it.

    The two reproduce the autocorrelation one hour and one day apart, and come as near as they can to that of
    two to four days.
    """

    def after(lag: int) -> float:
        pairs = (residual[lag:] * residual[:-lag]).mean() if residual.size > lag else 0.0
        return float(pairs / max(float((residual**2).mean()), 1e-12))

    hour, day = after(1), after(_DAY_H)
    one = float(np.clip(hour, 0.01, 0.999))
    if residual.size < _TWO_PARTS_H or day - one**_DAY_H < _MORE_ALIKE:
        return one, 0.0, 0.99
    slow = np.linspace(day, 1.0, 60)[1:-1] ** (1.0 / _DAY_H)
    share = day / slow**_DAY_H
    fast = (hour - share * slow) / (1.0 - share)
    later = np.arange(2, 5)[:, None] * _DAY_H
    error = (share * slow**later - np.array([[after(int(lag))] for lag in later[:, 0]])) ** 2
    error = np.where((fast > 0.01) & (fast < 0.97), error.sum(axis=0), np.inf)
    best = int(error.argmin())
    if not np.isfinite(error[best]):
        return one, 0.0, 0.99
    return float(fast[best]), float(share[best]), float(slow[best])


def hourly_means(series: CarbonSeries) -> tuple[Floats, float]:
    """Means over whole UTC hours, and the Unix time of the first."""
    if series.step_s >= 3600.0:
        one = series.resampled(3600.0) if series.step_s % 3600.0 == 0 else series
        return one.g_per_kwh, one.first_utc_s
    per_hour = round(3600.0 / series.step_s)
    first_s = np.ceil(series.first_utc_s / 3600.0) * 3600.0
    begin = round((first_s - series.first_utc_s) / series.step_s)
    whole = (series.g_per_kwh.size - begin) // per_hour
    return series.g_per_kwh[begin : begin + whole * per_hour].reshape(whole, per_hour).mean(axis=1), first_s


def carbon_summary(hourly: Floats, local_s: Floats) -> CarbonSummary:
    """Statistics of hourly values at local seconds since the epoch."""
    days = hourly[: hourly.size // _DAY_H * _DAY_H].reshape(-1, _DAY_H)
    hour = (local_s // 3600.0).astype(np.int64) % _DAY_H
    count = np.maximum(np.bincount(hour, minlength=_DAY_H), 1)
    profile = np.bincount(hour, weights=hourly, minlength=_DAY_H) / count
    before, after = hourly[:-_DAY_H], hourly[_DAY_H:]
    # Zeros occur: an error relative to nothing has no size.
    real = after >= 1.0
    mape = float(np.abs(before[real] / after[real] - 1.0).mean()) if real.any() else float("nan")
    spread = (days.max(axis=1) - days.min(axis=1)) / np.maximum(days.mean(axis=1), 1e-9)
    return CarbonSummary(
        mean=float(hourly.mean()),
        sd=float(hourly.std()),
        p5=float(np.quantile(hourly, 0.05)),
        p95=float(np.quantile(hourly, 0.95)),
        daily_range=float(np.median(spread)) if days.size else float("nan"),
        naive_mape=mape,
        hours=tuple(profile.round(4).tolist()),
        clean_hour=int(profile.argmin()),
        dirty_hour=int(profile.argmax()),
    )


def carbon_correlations(series: Sequence[CarbonSeries]) -> dict[tuple[str, str], float]:
    """Of the hourly values of each pair of zones that have a kind and a week or more in common."""
    hourly = [(one.zone, one.kind, *hourly_means(one)) for one in series]
    found = {}
    for i, (zone, kind, values, first_s) in enumerate(hourly):
        for other, theirs, their_first_s in [row[:1] + row[2:] for row in hourly[i + 1 :] if row[1] == kind]:
            begin_s = max(first_s, their_first_s)
            mine = values[round((begin_s - first_s) / 3600.0) :]
            their = theirs[round((begin_s - their_first_s) / 3600.0) :]
            size = min(mine.size, their.size)
            if size >= 7 * _DAY_H and mine[:size].std() > 0 and their[:size].std() > 0:
                found[zone, other] = float(np.corrcoef(mine[:size], their[:size])[0, 1])
    return found


def _factors(hourly: Floats, local_s: Floats) -> tuple[float, Floats, Floats, float, Floats]:
    """Mean, month `[12]`, hour by season `[4, 24]`, weekend, and the profile at each hour."""
    days = np.floor(local_s / 86400.0).astype(np.int64)
    hour = ((local_s - days * 86400.0) / 3600.0).astype(np.int64)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    season = (months + 1) % 12 // 3
    weekend = (days + 3) % 7 >= 5
    mean = float(hourly.mean())
    month = _ratio(hourly / mean, months, 12)
    rest = hourly / (mean * month[months])
    # Months that are missing borrow the mean, and so do the hours of seasons that are.
    overall = _ratio(rest, hour, _DAY_H)
    by_season = _ratio(rest / overall[hour], season * _DAY_H + hour, 4 * _DAY_H).reshape(4, _DAY_H)
    hours = overall[None, :] * by_season
    hours /= hours.mean(axis=1, keepdims=True)
    rest = rest / hours[season, hour]
    ratio = float(rest[weekend].mean() / rest[~weekend].mean()) if weekend.any() and (~weekend).any() else 1.0
    ratio = float(np.clip(ratio, 0.2, 5.0))
    weekday = 7.0 / (5.0 + 2.0 * ratio)
    usual = mean * month[months] * hours[season, hour] * np.where(weekend, ratio * weekday, weekday)
    return mean, month, hours, ratio, usual


def _ratio(values: Floats, group: Ints, size: int) -> Floats:
    """Mean of each group, one where it has fewer than a week's values."""
    count = np.bincount(group, minlength=size)
    need = _LEAST_DAYS if size % _DAY_H == 0 else _LEAST_DAYS * _DAY_H
    means = np.bincount(group, weights=values, minlength=size) / np.maximum(count, 1)
    return np.clip(np.where(count >= need, means, 1.0), 1e-3, 90.0)


def _drawn_like(profile: ZoneProfile, first_s: float, hours: int, rng: np.random.Generator) -> Floats:
    """As many hours from the same time on, drawn from the profile."""
    model = GeneratedCarbon([profile])
    # Daylight saving moves in the middle; a part per month follows it.
    parts, done = [], 0
    while done < hours:
        length = min(28 * _DAY_H, hours - done)
        episode = model.sample(first_s + 3600.0 * done, 3600.0 * length, rng)
        parts.append(episode.g_per_kwh[0, :length])
        done += length
    return np.concatenate(parts)
