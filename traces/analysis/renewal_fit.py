"""Generators estimated from recorded availability, with how well they reproduce it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...common.arrays import Floats
from ...common.settings import parse_settings
from ..availability.generators import RenewalAvailability
from ..records import (
    DEBOUNCE_S,
    AvailabilityTrace,
    hour_profile,
    hourly_shares,
    starts_per_day,
    stays_h,
    thinned,
    user_means,
    weekday_shares,
)
from .comparison import Likeness, TraceSummary, compare, generate, summarise

# Rounds of adjusting the hazards to what they bring about, and the clients simulated in each.
_ROUNDS, _CLIENTS = 10, 1500
_NEVER = 0.002
# Days of the week differ by a tenth at most: fewer recording-days say more of chance.
_LEAST_WEEKDAYS = 100


@dataclass(frozen=True)
class AvailabilityFit:
    """A generator and how well it reproduces the trace that it was fitted to.

    Attributes:
        spec: what `make_availability` takes.
        recorded: statistics of the trace.
        generated: statistics of what the generator draws.
        likeness: distances between the two.
    """

    spec: dict[str, object]
    recorded: TraceSummary
    generated: TraceSummary
    likeness: Likeness

    def as_dict(self) -> dict[str, object]:
        """Goodness of fit as plain numbers."""
        return {
            "recorded": self.recorded.as_dict(),
            "generated": self.generated.as_dict(),
            "likeness": self.likeness.as_dict(),
        }


def fit_availability(
    trace: AvailabilityTrace, debounce_s: float = DEBOUNCE_S, seed: int = 0
) -> AvailabilityFit:
    """Estimate a renewal generator from a trace.

    The laws of sessions and gaps are chosen among exponential, Weibull and log-normal by their distance
    (Kolmogorov-Smirnov) from the whole stays. Hourly hazards start from transitions per hour at risk and are
    then adjusted until simulated users reproduce the hour-of-day profile and the sessions per day, because a
    renewal process with memory does not have the hazards that counting gives. Where each day of the week was
    observed for a hundred recording-days, it gets a factor of its own (168 hazards in all, otherwise 24).
    Users' means get a Beta law by moments; users who are hardly ever available are a share of their own.

    Args:
        trace: what was recorded.
        debounce_s: flapping to remove first.
        seed: of the simulations.

    Raises:
        ValueError: if the trace has too few whole sessions and gaps to estimate anything.
    """
    trace = trace.debounced(debounce_s)
    on_h, off_h = stays_h(trace)
    if on_h.size < 10 or off_h.size < 10:
        raise ValueError(
            f"{trace.source}: {on_h.size} whole sessions and {off_h.size} gaps, "
            "expected at least 10 of each to fit"
        )
    rng = np.random.default_rng(seed)
    means = user_means(trace)
    never = float((means < _NEVER).mean())
    live = means[means >= _NEVER]
    profile, _ = hour_profile(trace)
    timed = trace.clock != "none"
    target = profile if timed else np.full(1, float(live.mean()))
    # The profile of those who are available at all.
    target = np.clip(target / max(1.0 - never, 1e-6) if timed else target, 1e-3, 1.0 - 1e-3)
    up, down = _hazards(trace) if timed else (np.full(1, 1 / off_h.mean()), np.full(1, 1 / on_h.mean()))
    spec: dict[str, object] = {
        "kind": "renewal",
        "on_law": _law(on_h, rng),
        "off_law": _law(off_h, rng),
        "share_by_hour": np.broadcast_to(target, 24).round(4).tolist(),
        "never_share": round(min(never, 0.95), 4),
    }
    if live.size >= 5:
        spec["user_beta"] = _beta(live)
    per_day = starts_per_day(trace) / max(1.0 - never, 1e-9)
    weekday, seen_days = weekday_shares(trace)
    if timed and seen_days.min() >= _LEAST_WEEKDAYS:
        up, down = np.tile(up, 7), np.tile(down, 7)
    up, down = _adjust(spec, up, down, target, weekday, per_day, rng)
    spec |= {"up_per_h": up.round(5).tolist(), "down_per_h": down.round(5).tolist()}
    drawn = _draw(spec, 3000, rng)
    return AvailabilityFit(spec, summarise(trace), summarise(drawn), compare(trace, drawn))


def _adjust(
    spec: dict[str, object],
    up: Floats,
    down: Floats,
    target: Floats,
    weekday: Floats,
    per_day: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Hazards that bring about the profile, the days of the week and the sessions per day, by simulation."""
    for _ in range(_ROUNDS):
        hazards = {"up_per_h": up.tolist(), "down_per_h": down.tolist()}
        drawn = _draw({**spec, "never_share": 0.0, **hazards}, _CLIENTS, rng)
        profile, means = hour_profile(drawn)
        found = np.clip(profile if target.size == 24 else means.mean(keepdims=True), 1e-4, 1.0 - 1e-4)
        ratio = (_odds(target) / _odds(found)) ** 0.35
        if up.size == 168:
            # What days differ by; their common level is in the profile.
            day = _odds(weekday) / _odds(weekday_shares(drawn)[0])
            ratio = (ratio * (day[:, None] / day.mean()) ** 0.35).ravel()
        pace = (per_day / starts_per_day(drawn)) ** 0.5
        up = np.clip(up * ratio * pace, 1e-5, 60.0)
        down = np.clip(down / ratio * pace, 1e-5, 60.0)
    return up, down


def _draw(spec: dict[str, object], clients: int, rng: np.random.Generator) -> AvailabilityTrace:
    """A week of so many clients, who begin on all days of the week."""
    values = {name: value for name, value in spec.items() if name != "kind"}
    model = parse_settings(RenewalAvailability, values, "fitted generator")
    return generate(model, clients, 7.0, rng, any_weekday=True)


def _odds(share: Floats) -> Floats:
    share = np.clip(share, 1e-4, 1.0 - 1e-4)
    return share / (1.0 - share)


def _hazards(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """Transitions per hour at risk by local hour of day, coming and leaving, `[24]` each."""
    trace = thinned(trace)
    seconds, _, week_hour = hourly_shares(trace)
    on_h = np.bincount(week_hour % 24, weights=seconds, minlength=24) / 3600.0
    off_h = np.bincount(week_hour % 24, minlength=24) - on_h
    owner = trace.session_recording
    shift = (trace.local_begin_s - trace.begin_s)[owner]
    came = trace.session_start_s > trace.begin_s[owner]
    left = trace.session_end_s < trace.end_s[owner]
    starts = ((trace.session_start_s + shift)[came] // 3600.0).astype(np.int64) % 24
    ends = ((trace.session_end_s + shift)[left] // 3600.0).astype(np.int64) % 24
    # Half an event is added to each hour, so that no hazard is zero for want of data.
    up = (np.bincount(starts, minlength=24) + 0.5) / (off_h + 1.0)
    down = (np.bincount(ends, minlength=24) + 0.5) / (on_h + 1.0)
    return up, down


def _law(stays: Floats, rng: np.random.Generator) -> list[str | float]:
    """The nearest law by Kolmogorov-Smirnov distance and its shape."""
    sample = stays if stays.size <= 4000 else rng.choice(stays, 4000, replace=False)
    shape, _, scale = stats.weibull_min.fit(sample, floc=0)
    log_sd = float(np.log(sample).std())
    laws = {
        "exponential": (1.0, stats.expon(scale=sample.mean())),
        "weibull": (float(shape), stats.weibull_min(shape, scale=scale)),
        "lognormal": (log_sd, stats.lognorm(log_sd, scale=np.exp(np.log(sample).mean()))),
    }
    distance = {name: stats.kstest(sample, law.cdf).statistic for name, (_, law) in laws.items()}
    best = min(distance, key=lambda name: float(distance[name]))
    return [best, round(float(np.clip(laws[best][0], 0.2, 3.0)), 4)]


def _beta(means: Floats) -> list[float]:
    """Beta law by moments."""
    mean = float(np.clip(means.mean(), 1e-3, 1.0 - 1e-3))
    strength = float(np.clip(mean * (1.0 - mean) / max(float(means.var()), 1e-6) - 1.0, 0.5, 500.0))
    return [round(mean * strength, 4), round((1.0 - mean) * strength, 4)]
