"""A Poisson model of requests fitted to a recorded trace: rate, hours, bursts, popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ...common.arrays import Floats
from ..arrivals import PoissonArrivals
from ..records import RequestTrace, dispersion, knows_day, minute_rates, summarise_requests

_DAY, _WEEK = 1440, 7 * 1440
# Bursts are looked for up to so many minutes.
_LONGEST_BURST = 240
# A factor of less variance than this is no burst.
_LEAST_VARIANCE = 1e-3
_LARGEST_EXPONENT = 10.0
_MOST_COUNTS = 4_000_000


@dataclass(frozen=True)
class RequestsFit:
    """A fitted model, and how its draws compare with what was recorded.

    Attributes:
        spec: settings that `make_arrivals` takes.
        requests_ratio: requests drawn over requests recorded.
        dispersion: variance over mean of the counts of a minute and source, recorded and drawn.
        dispersion_h: the same of an hour.
        peak_to_trough: of the hours of the day, recorded and drawn.
        top_share: share of the most asked source, recorded and drawn.
        notes: what could not be told from the trace.
    """

    spec: dict[str, object]
    requests_ratio: float
    dispersion: tuple[float, float]
    dispersion_h: tuple[float, float]
    peak_to_trough: tuple[float, float]
    top_share: tuple[float, float]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain numbers, rounded for reading."""
        pairs = {
            f"{name} (recorded, drawn)": [round(value, 4) for value in getattr(self, name)]
            for name in ("dispersion", "dispersion_h", "peak_to_trough", "top_share")
        }
        return {"requests_ratio": round(self.requests_ratio, 4), **pairs, "notes": list(self.notes)}


def fit_requests(trace: RequestTrace, utc_offset_h: float = 0.0, seed: int = 0) -> RequestsFit:
    """Estimate the settings of `kind: poisson` from a trace.

    The rate is the mean; the profile that of the local hours, of the week where four weeks with dates were
    seen. `burst` and `burst_s` are those whose Gamma factor has the autocovariance of the counts about their
    profile: R(l) = (1 - l / burst_s) / burst for lags l below `burst_s`. `zipf` has the greatest likelihood
    given the sources' totals. Ranks that change are not looked for.

    Args:
        trace: at least a day long.
        utc_offset_h: hours that the recorded people's clocks were ahead of UTC, if the trace has dates.
        seed: of the draw that the fit is judged by.

    Raises:
        ValueError: the trace is shorter than a day.
    """
    if trace.num_minutes < _DAY:
        raise ValueError(
            f"{trace.source}: {trace.num_minutes} minutes, expected at least a whole day to fit one from"
        )
    notes: list[str] = []
    hours = 168 if trace.clock == "utc" and trace.num_minutes >= 4 * _WEEK else 24
    profile = np.ones(24)
    if knows_day(trace):
        rates = minute_rates(trace, utc_offset_h, hours)
        profile = rates / rates.mean()
    else:
        hours = 24
        notes.append("no time of day is known: the profile is flat; name the hour of its beginning")
    usual = trace.totals[:, None] / trace.num_minutes * profile[trace.hours(hours, utc_offset_h)]
    # Of many sources, those that are asked most tell enough.
    loud = np.argsort(-trace.totals, kind="stable")[: max(_MOST_COUNTS // trace.num_minutes, 1)]
    burst, burst_s = _bursts(trace.counts[loud].astype(np.float64), usual[loud])
    spec: dict[str, object] = {
        "kind": "poisson",
        "per_hour": float(f"{trace.mean_per_h:.6g}"),
        "profile": [round(float(value), 4) for value in profile],
        "burst": burst,
        "burst_s": burst_s,
        "zipf": _zipf(np.sort(trace.totals)[::-1].astype(np.float64)),
    }
    if len(trace.sources) < 3:
        notes.append(f"{len(trace.sources)} sources tell nothing of popularity: zipf is 0")
    return _judged(trace, spec, utc_offset_h, seed, notes)


def _bursts(counts: Floats, usual: Floats) -> tuple[float, float]:
    """Shape and length in seconds of the Gamma factor; (0, 600) for none."""
    centred = counts - usual
    minutes = counts.shape[1]
    lags = np.arange(min(_LONGEST_BURST + 1, minutes // 4))
    power = np.empty(lags.size)
    for lag in lags:
        both = centred[:, : minutes - lag] * centred[:, lag:]
        weight = (usual[:, : minutes - lag] * usual[:, lag:]).sum()
        power[lag] = both.sum() / weight
    # A count scatters about its own rate, too.
    power[0] -= counts.sum() / (usual**2).sum()
    best, chosen = np.inf, (0.0, 600.0)
    for length in range(1, lags.size):
        shape = np.maximum(1.0 - lags / length, 0.0)
        variance = float((shape * power).sum() / (shape**2).sum())
        error = float(((power - variance * shape) ** 2).sum())
        if variance > _LEAST_VARIANCE and error < best:
            best, chosen = error, (float(f"{1.0 / variance:.4g}"), 60.0 * length)
    return chosen


def _zipf(totals: Floats) -> float:
    """Exponent of the greatest likelihood of totals in descending order; 0 of fewer than three sources."""
    if totals.size < 3:
        return 0.0
    log_rank = np.log(np.arange(1, totals.size + 1))
    share = totals / totals.sum()

    def loss(exponent: float) -> float:
        return float(exponent * (share * log_rank).sum() + np.log(np.exp(-exponent * log_rank).sum()))

    found = minimize_scalar(loss, bounds=(0.0, _LARGEST_EXPONENT), method="bounded")
    return round(float(found.x), 4)


def _judged(
    trace: RequestTrace, spec: dict[str, object], utc_offset_h: float, seed: int, notes: list[str]
) -> RequestsFit:
    """The fit with the likeness of one draw of the trace's length."""
    model = PoissonArrivals.model_validate({key: value for key, value in spec.items() if key != "kind"})
    size = len(trace.sources)
    # Seconds on a clock whose hours are those of the trace.
    start_s = trace.begin_s + (3600.0 * utc_offset_h if trace.clock == "utc" else 0.0)
    drawn = model.draw(seed, size, start_s, np.zeros(size), trace.span_s)
    copy = RequestTrace(
        trace.sources, drawn.counts, start_s, "none" if trace.clock == "none" else "utc", source="drawn"
    )
    one, other = summarise_requests(trace), summarise_requests(copy)
    return RequestsFit(
        spec,
        other.requests / one.requests,
        (_dispersion(trace, 1), _dispersion(copy, 1)),
        (_dispersion(trace, 60), _dispersion(copy, 60)),
        (one.peak_to_trough, other.peak_to_trough),
        (one.top_share, other.top_share),
        tuple(notes),
    )


def _dispersion(trace: RequestTrace, minutes: int) -> float:
    """Index of dispersion of a source's counts, its mean over the sources weighted by their requests."""
    whole = trace.num_minutes // minutes * minutes
    counts = trace.counts[:, :whole].reshape(len(trace.sources), -1, minutes).sum(axis=2, dtype=np.int64)
    asked = np.flatnonzero(counts.any(axis=1))
    each = np.array([dispersion(counts[row].astype(np.float64)) for row in asked])
    return float(np.average(each, weights=counts[asked].sum(axis=1)))
