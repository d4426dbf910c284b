"""Figures of traces: survival of sessions, hour-of-week availability, the grid's day and its forecast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from ...common.arrays import Floats
from ...common.files import write_file
from ...common.spelling import plain_text
from ..calibration import calibration
from ..carbon import CarbonBatch, RecordedCarbon
from ..numerics import utc_offset_h
from ..records import AvailabilityTrace, CarbonSeries, hourly_shares, stays_h
from .carbon_fit import hourly_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_BLUE, _ORANGE, _GREY = "#1f4e79", "#d9822b", "#8a8a8a"


def plot_availability(trace: AvailabilityTrace, path: str | Path) -> None:
    """Write a picture of the session survival curve and the hour-of-week heat map.

    Args:
        trace: what to draw.
        path: a PNG, PDF or SVG file.
    """
    figure = _figure(11.0, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    on_h, off_h = stays_h(trace)
    for stays, colour, name in ((on_h, _BLUE, "sessions"), (off_h, _ORANGE, "gaps")):
        if stays.size:
            lasts = stats.ecdf(stays).sf
            at_h, share = np.append(lasts.quantiles[0], lasts.quantiles), np.append(1.0, lasts.probabilities)
            left.step(at_h, share, where="post", color=colour, label=name)
    left.set(xscale="log", xlabel="hours", ylabel="share that lasts longer", ylim=(0, 1.02))
    left.set_title(f"{on_h.size:,} sessions, median {_median(on_h):.2g} h")
    left.grid(alpha=0.3)
    if on_h.size or off_h.size:
        left.legend(frameon=False)
    _heat_map(right, figure, trace)
    figure.suptitle(_title(trace.source), fontsize=10)
    write_file(Path(path), figure.savefig)


def plot_carbon(series: CarbonSeries, path: str | Path, horizon_h: int = 48) -> None:
    """Write a picture of the days' bands by local hour, and of two days with the coordinator's forecast.

    Args:
        series: what to draw.
        path: a PNG, PDF or SVG file.
        horizon_h: hours of the forecast panel.
    """
    figure = _figure(11.0, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    hourly, first_s = hourly_means(series)
    known = calibration()["carbon_zones"].get(series.zone)
    offset_h = utc_offset_h(known["tz"], first_s, known["standard_utc_offset_h"]) if known else 0.0
    hour = ((first_s / 3600.0 + np.arange(hourly.size)) % 24 + offset_h).astype(np.int64) % 24
    bands = np.array(
        [
            np.quantile(hourly[hour == h], [0.05, 0.25, 0.5, 0.75, 0.95])
            if (hour == h).any()
            else [np.nan] * 5
            for h in range(24)
        ]
    )
    at = np.arange(24) + 0.5
    left.fill_between(at, bands[:, 0], bands[:, 4], color=_BLUE, alpha=0.15, lw=0, label="5-95 % of days")
    left.fill_between(at, bands[:, 1], bands[:, 3], color=_BLUE, alpha=0.3, lw=0, label="25-75 %")
    left.plot(at, bands[:, 2], color=_BLUE, label="median")
    clock = "local" if known else "UTC"
    left.set(xlim=(0, 24), xticks=range(0, 25, 6), xlabel=f"{clock} hour", ylabel=f"gCO2/kWh ({series.kind})")
    left.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=8)
    left.set_title(f"{plain_text(series.zone)}: mean {hourly.mean():.0f}")
    left.grid(alpha=0.3)
    _forecast_panel(right, series, horizon_h)
    figure.suptitle(_title(series.source), fontsize=10)
    write_file(Path(path), figure.savefig)


def _heat_map(axes: Axes, figure: Figure, trace: AvailabilityTrace) -> None:
    seconds, _, week_hour = hourly_shares(trace)
    count = np.bincount(week_hour, minlength=168)
    total = np.bincount(week_hour, weights=seconds, minlength=168)
    share = np.where(count > 0, total / np.maximum(count, 1) / 3600.0, np.nan).reshape(7, 24)
    image = axes.imshow(share, aspect="auto", cmap="viridis", vmin=0.0, interpolation="nearest")
    timed = trace.clock != "none"
    axes.set_xticks(range(0, 24, 3), [str(h) for h in range(0, 24, 3)])
    axes.set_yticks(range(7), _DAYS if timed else [f"day {d + 1}" for d in range(7)])
    axes.set_xlabel("local hour" if timed else "hour since the beginning (no time of day is known)")
    axes.set_title("share of clients available")
    figure.colorbar(image, ax=axes)


def _forecast_panel(axes: Axes, series: CarbonSeries, horizon_h: int) -> None:
    hours = series.g_per_kwh.size * series.step_s / 3600.0
    if hours < horizon_h + 30:
        axes.plot(np.arange(series.g_per_kwh.size) * series.step_s / 3600.0, series.g_per_kwh, color=_GREY)
        axes.set(xlabel="hours", title="the whole series (too short for a forecast)")
        axes.set_ylim(bottom=0)
        return
    model = RecordedCarbon([series])
    start_s = series.first_utc_s + (hours - horizon_h - 1) * 3600.0 * 0.6 // 3600.0 * 3600.0
    start_s = max(start_s, series.first_utc_s + 25 * 3600.0)
    episode = model.sample(start_s, horizon_h * 3600.0, np.random.default_rng(0))
    batch = CarbonBatch(1, 1)
    batch.set(0, episode)
    lead_s = np.arange(0.0, horizon_h * 3600.0, min(series.step_s, 3600.0))
    zero = np.zeros(1)
    axes.step(
        lead_s / 3600.0, batch.true_ahead(zero, lead_s)[0, 0], color=_GREY, where="post", label="what came"
    )
    axes.plot(lead_s / 3600.0, batch.expected(zero, lead_s)[0, 0], color=_BLUE, ls=":", label="past 28 days")
    axes.plot(lead_s / 3600.0, batch.forecast(zero, lead_s)[0, 0], color=_ORANGE, label="forecast at hour 0")
    axes.set_ylim(bottom=0)
    axes.set(xlim=(0, horizon_h), xlabel="hours ahead", xticks=range(0, horizon_h + 1, 6))
    axes.set_title(f"from {np.datetime64(int(start_s), 's').astype('datetime64[m]')} UTC")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _title(source: str) -> str:
    """File and format without the folders, and without what matplotlib would read as mathematics."""
    return plain_text(Path(source).name)


def _median(values: Floats) -> float:
    return float(np.median(values)) if values.size else float("nan")
