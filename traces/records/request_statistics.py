"""What is in a request trace: rates by hour, how counts scatter and hang together, who is asked most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats
from .request_trace import RequestTrace, minute_rates

_DAY_MINUTES = 1440


@dataclass(frozen=True)
class RequestSummary:
    """Statistics of a request trace.

    Attributes:
        requests: all of them.
        per_h: requests an hour of all sources together.
        dispersion: variance over mean of the counts of a minute, all sources together.
        dispersion_h: the same of an hour, NaN if the trace has fewer than two.
        peak_hour: hour of day with most requests, -1 if no time of day is known or no whole day was seen.
        trough_hour: with fewest.
        peak_to_trough: ratio of their rates.
        empty: share of minutes without any request.
        longest_empty_min: the longest run of such minutes.
        top_share: share of the requests that the most asked source has.
    """

    requests: int
    per_h: float
    dispersion: float
    dispersion_h: float
    peak_hour: int
    trough_hour: int
    peak_to_trough: float
    empty: float
    longest_empty_min: int
    top_share: float


def summarise_requests(trace: RequestTrace) -> RequestSummary:
    """Statistics of a trace."""
    totals = trace.totals
    together = trace.counts.sum(axis=0, dtype=np.int64)
    requests = int(totals.sum())
    whole_hours = together[: together.size // 60 * 60].reshape(-1, 60).sum(axis=1)
    peak = trough = -1
    ratio = float("nan")
    if knows_day(trace):
        rates = minute_rates(trace)
        peak, trough = int(rates.argmax()), int(rates.argmin())
        ratio = float(rates.max() / rates.min()) if rates.min() > 0 else float("inf")
    return RequestSummary(
        requests=requests,
        per_h=requests * 3600.0 / trace.span_s,
        dispersion=dispersion(together.astype(np.float64)),
        dispersion_h=dispersion(whole_hours.astype(np.float64)),
        peak_hour=peak,
        trough_hour=trough,
        peak_to_trough=ratio,
        empty=float((together == 0).mean()),
        longest_empty_min=_longest(together == 0),
        top_share=float(totals.max()) / requests,
    )


def knows_day(trace: RequestTrace) -> bool:
    """Whether the trace tells how the rate depends on the hour of the day."""
    return trace.clock != "none" and trace.num_minutes >= _DAY_MINUTES


def dispersion(counts: Floats) -> float:
    """Index of dispersion: variance over mean; 1 of a Poisson process, NaN of fewer than two counts."""
    if counts.size < 2 or not counts.any():
        return float("nan")
    return float(counts.var(ddof=1) / counts.mean())


def _longest(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[0::2]).max(initial=0))
