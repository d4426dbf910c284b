"""A figure of a request trace: its days by hour, how counts scatter by window, who is asked most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ...common.files import write_file
from ...common.spelling import plain_text
from ..records import RequestTrace, dispersion, knows_day

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE = "#1f4e79", "#d9822b"
_WINDOWS = (1, 2, 5, 10, 30, 60, 180, 360)  # minutes


def plot_requests(trace: RequestTrace, path: str | Path) -> None:
    """Write a picture of requests by hour, of their index of dispersion, and of the sources' shares.

    Args:
        trace: what to draw.
        path: a PNG, PDF or SVG file.
    """
    figure = Figure(figsize=(11.0, 3.8), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    together = trace.counts.sum(axis=0, dtype=np.int64)
    _hours(left, trace, together)
    windows = [w for w in _WINDOWS if together.size >= 2 * w]
    sums = [together[: together.size // w * w].reshape(-1, w).sum(axis=1) for w in windows]
    middle.plot(windows, [dispersion(s.astype(np.float64)) for s in sums], "o-", color=_BLUE)
    middle.axhline(1.0, color=_ORANGE, ls=":", label="Poisson")
    middle.set(xscale="log", yscale="log", xlabel="minutes", title="variance over mean of counts")
    middle.legend(frameon=False)
    middle.grid(alpha=0.3)
    share = np.sort(trace.totals)[::-1] / trace.totals.sum()
    right.plot(np.arange(1, share.size + 1), share, "." if share.size > 1 else "o", color=_BLUE)
    right.set(xscale="log", yscale="log", xlabel="rank", title=f"share of requests, {share.size} sources")
    right.grid(alpha=0.3)
    figure.suptitle(plain_text(Path(trace.source).name), fontsize=10)
    write_file(Path(path), figure.savefig)


def _hours(axes: Axes, trace: RequestTrace, together: np.ndarray) -> None:
    """Bands of the days by hour; the whole trace where no day can be told."""
    if not knows_day(trace):
        step = max(together.size // 500, 1)
        means = together[: together.size // step * step].reshape(-1, step).mean(axis=1)
        axes.plot(np.arange(means.size) * step / 60.0, means, color=_BLUE)
        axes.set(xlabel="hours since the beginning", title="requests a minute")
        axes.set_ylim(bottom=0)
        return
    hour = trace.hours(24)
    edges = np.flatnonzero(np.diff(hour)) + 1
    means = np.array([part.mean() for part in np.split(together, edges)])
    at = hour[np.concatenate([[0], edges])]
    bands = np.array(
        [np.quantile(means[at == h], [0.1, 0.5, 0.9]) if (at == h).any() else [np.nan] * 3 for h in range(24)]
    )
    place = np.arange(24) + 0.5
    axes.fill_between(place, bands[:, 0], bands[:, 2], color=_BLUE, alpha=0.2, lw=0, label="10-90 % of days")
    axes.plot(place, bands[:, 1], color=_BLUE, label="median")
    clock = "UTC hour" if trace.clock == "utc" else "hour of the recorded day"
    axes.set(xlim=(0, 24), xticks=range(0, 25, 6), xlabel=clock, title="requests a minute")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
