"""A spot generator estimated from zones that were watched together."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats
from ...common.settings import parse_settings
from ..availability import AvailabilityRequest
from ..availability.generators import SpotAvailability
from ..records import (
    AvailabilityTrace,
    flat_trace,
    hourly_shares,
    mean_stays_h,
    stays_h,
    user_means,
    week_profile,
)
from .comparison import ks_distance, trace_of

_REGION = re.compile(r"^([a-z]+-[a-z]+-?\d+)", re.ASCII)


@dataclass(frozen=True)
class SpotSummary:
    """Statistics of zones watched together.

    Attributes:
        zones: how many.
        mean: mean over zones of the share of time with capacity.
        sd: its standard deviation over zones.
        sessions_per_day: spells of capacity per zone and day.
        on_median_h: median spell.
        autocorrelation_1h: of the hourly shares.
        autocorrelation_6h: the same, six hours apart.
        correlation: mean correlation of the hourly shares of two zones.
        correlation_in_region: mean correlation of two zones of a region, NaN without such a pair.
        correlation_across: of two zones of different regions.
    """

    zones: int
    mean: float
    sd: float
    sessions_per_day: float
    on_median_h: float
    autocorrelation_1h: float
    autocorrelation_6h: float
    correlation: float
    correlation_in_region: float
    correlation_across: float


@dataclass(frozen=True)
class SpotFit:
    """A spot generator and how well it reproduces the zones that it was fitted to.

    Attributes:
        spec: what `make_availability` takes.
        recorded: statistics of the zones.
        generated: of what the generator draws for as many zones, averaged over draws.
        ks_sessions: Kolmogorov-Smirnov distance of the spells' lengths.
        ks_gaps: of the gaps'.
        week_error: mean absolute difference of the shares of zones with capacity by hour of the week, counted
            from the beginning, as no time of day is known.
        week_error_by_chance: the same between two draws of the generator, which knows no hours.
    """

    spec: dict[str, object]
    recorded: SpotSummary
    generated: SpotSummary
    ks_sessions: float
    ks_gaps: float
    week_error: float
    week_error_by_chance: float

    def as_dict(self) -> dict[str, object]:
        """Goodness of fit as plain numbers."""
        parts = {
            name: vars(part) for name, part in (("recorded", self.recorded), ("generated", self.generated))
        }
        plain = {n: {k: round(float(v), 4) for k, v in part.items()} for n, part in parts.items()}
        names = ("ks_sessions", "ks_gaps", "week_error", "week_error_by_chance")
        likeness = {name: round(float(getattr(self, name)), 4) for name in names}
        likeness["correlation_error"] = round(self.generated.correlation - self.recorded.correlation, 4)
        return {**plain, "likeness": likeness}


def can_fit_spot(trace: AvailabilityTrace) -> bool:
    """Whether a trace has at least three groups of nodes that were watched together."""
    return trace.simultaneous and len({group for group in trace.group if group}) >= 3


def fit_spot(trace: AvailabilityTrace, seed: int = 0, draws: int = 8) -> SpotFit:
    """Estimate zone means, pace and correlations; node withdrawals keep their defaults.

    A zone has capacity while any of its nodes runs. Regions are what zone names begin with (us-east-1a is in
    us-east-1). Only the hours that all zones cover are used.

    Args:
        trace: zones watched together.
        seed: of the draws that the fit is judged by.
        draws: how many.

    Raises:
        ValueError: if there are fewer than three zones or less than two common days.
    """
    if not can_fit_spot(trace):
        raise ValueError(f"{trace.source}: fewer than three zones watched together, expected more to fit")
    zones, names = zone_trace(trace)
    regions = regions_of(names)
    recorded = spot_summary(zones, regions)
    mean, strength = recorded.mean, recorded.mean * (1 - recorded.mean) / max(recorded.sd**2, 1e-4) - 1.0
    strength = float(np.clip(strength, 0.5, 200.0))
    on_h, off_h = mean_stays_h(zones)
    across = float(np.clip(np.nan_to_num(recorded.correlation_across), 0.0, 0.95))
    near = recorded.correlation_in_region
    turns_per_h = round(float(np.clip(2.0 / (on_h + off_h), 0.01, 2.9)), 4)
    spec: dict[str, object] = {
        "kind": "spot",
        "zone_beta": [round(mean * strength, 4), round((1.0 - mean) * strength, 4)],
        "transitions_per_h": turns_per_h,
        "correlation_across": round(across, 4),
        "correlation_in_region": round(float(np.clip(across if np.isnan(near) else near, across, 0.95)), 4),
    }
    # A common pace is that of the median; zones that are hardly ever on or off turn over less.
    drawn = _draw(spec, zones, regions, np.random.default_rng(seed), draws)
    per_day = float(np.mean([spot_summary(t, regions).sessions_per_day for t in drawn]))
    pace = recorded.sessions_per_day / max(per_day, 1e-9)
    spec["transitions_per_h"] = round(float(np.clip(turns_per_h * pace, 0.01, 2.9)), 4)
    drawn = _draw(spec, zones, regions, np.random.default_rng(seed + 1), draws)
    parts = [vars(spot_summary(t, regions)) for t in drawn]
    average = {name: float(np.nanmean([p[name] for p in parts])) for name in parts[0] if name != "zones"}
    stays = [stays_h(t) for t in drawn]
    on_r, off_r = stays_h(zones)
    weeks = np.array([week_profile(t)[0] for t in drawn])
    return SpotFit(
        spec=spec,
        recorded=recorded,
        generated=SpotSummary(zones=len(names), **average),
        ks_sessions=ks_distance(on_r, np.concatenate([s[0] for s in stays])),
        ks_gaps=ks_distance(off_r, np.concatenate([s[1] for s in stays])),
        week_error=float(np.nanmean(np.abs(weeks - week_profile(zones)[0]))),
        week_error_by_chance=float(np.nanmean(np.abs(weeks[1:] - weeks[:-1]))),
    )


def zone_trace(trace: AvailabilityTrace) -> tuple[AvailabilityTrace, list[str]]:
    """One client per zone, available while any of its nodes is, over the time that all zones cover.

    Raises:
        ValueError: if that is less than two days.
    """
    names = list(dict.fromkeys(trace.group))
    begin_s, end_s = float(trace.begin_s.max()), float(trace.end_s.min())
    if end_s - begin_s < 2 * 86400.0:
        raise ValueError(f"{trace.source}: less than two days in common, expected more to fit")
    index = np.array([names.index(group) for group in trace.group])
    owner = index[trace.user[trace.session_recording]]
    size = len(names)
    whole = flat_trace(
        tuple(names),
        np.arange(size),
        np.full(size, begin_s),
        np.full(size, end_s),
        owner,
        np.minimum(trace.session_start_s, end_s),
        np.maximum(trace.session_end_s, begin_s),
        clock=trace.clock,
        simultaneous=True,
        group=tuple(names),
        source=trace.source,
    )
    return whole, names


def spot_summary(zones: AvailabilityTrace, regions: list[str]) -> SpotSummary:
    """Statistics of a trace with one client per zone."""
    table = hourly_shares(zones)[0].reshape(len(regions), -1)
    centred = table - table.mean(axis=1, keepdims=True)
    power = np.maximum((centred**2).mean(axis=1), 1e-9)
    varies = power > 1e-6
    lagged = [((centred[:, k:] * centred[:, :-k]).mean(axis=1) / power)[varies] for k in (1, 6)]
    near: list[float] = []
    far: list[float] = []
    for i in range(len(regions)):
        for j in range(i):
            if varies[i] and varies[j]:
                value = float((centred[i] * centred[j]).mean() / np.sqrt(power[i] * power[j]))
                (near if regions[i] == regions[j] else far).append(value)
    means, (on_h, _) = user_means(zones), stays_h(zones)
    days = float((zones.end_s - zones.begin_s).sum()) / 86400.0
    return SpotSummary(
        zones=len(regions),
        mean=float(means.mean()),
        sd=float(means.std()),
        sessions_per_day=zones.session_recording.size / days,
        on_median_h=float(np.median(on_h)) if on_h.size else float("nan"),
        autocorrelation_1h=_mean(lagged[0]),
        autocorrelation_6h=_mean(lagged[1]),
        correlation=_mean(near + far),
        correlation_in_region=_mean(near),
        correlation_across=_mean(far),
    )


def _draw(
    spec: dict[str, object],
    zones: AvailabilityTrace,
    regions: list[str],
    rng: np.random.Generator,
    draws: int,
) -> list[AvailabilityTrace]:
    """Zones of the same regions and length, one node each that is never withdrawn itself."""
    order = list(dict.fromkeys(regions))
    values = {name: value for name, value in spec.items() if name != "kind"}
    values |= {"node_hazard_per_h": 0.0, "regions": tuple(order.index(r) for r in regions)}
    model = parse_settings(SpotAvailability, values, "fitted generator")
    size, length_s = len(regions), float(zones.end_s[0] - zones.begin_s[0])
    request = AvailabilityRequest(4 * 86400.0, length_s, np.arange(size), np.zeros(size))
    return [trace_of(model.sample(request, rng), request, "generated") for _ in range(draws)]


def regions_of(names: list[str]) -> list[str]:
    """The region of each zone: what its name begins with, or the name."""
    found = [_REGION.match(name) for name in names]
    return [match.group(1) if match else name for match, name in zip(found, names, strict=True)]


def _mean(values: Floats | list[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
