"""Tables of what is in trace files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...common.arrays import Floats
from ...common.saying import say
from ...common.spelling import printable
from ..calibration import calibration
from ..formats.availability import read_availability
from ..numerics import utc_offset_h
from ..records import (
    DEBOUNCE_S,
    AvailabilityTrace,
    CarbonSeries,
    RequestTrace,
    hour_profile,
    knows_day,
    minute_rates,
    summarise_requests,
)
from .carbon_fit import carbon_correlations, carbon_summary, hourly_means
from .comparison import summarise
from .content import Content, notes_of
from .spot_fit import can_fit_spot, regions_of, spot_summary, zone_trace

_BARS = "▁▂▃▄▅▆▇█"


def print_contents(contents: Sequence[Content], console: Console, debounce_s: float = DEBOUNCE_S) -> None:
    """Print a table of each kind of content, how zones go together, and what was repaired."""
    if any(content.trace for content in contents):
        console.print(availability_table(contents, debounce_s))
    if any(content.series for content in contents):
        console.print(carbon_table(contents))
    if any(content.devices for content in contents):
        console.print(device_table(contents))
    if any(content.energy for content in contents):
        console.print(energy_table(contents))
    if any(content.requests for content in contents):
        console.print(requests_table(contents))
    notes = [f"{Path(content.path).name}: {note}" for content in contents for note in notes_of(content)]
    clocks = [f"{Path(one.path).name}: {clock_of(one.trace)}" for one in contents if one.trace is not None]
    clocks += [
        f"{Path(one.path).name}: {requests_clock_of(one.requests)}"
        for one in contents
        if one.requests is not None
    ]
    for line in (*correlations_of(contents), *clocks, *notes):
        say(console, line)


def availability_table(contents: Sequence[Content], debounce_s: float = DEBOUNCE_S) -> Table:
    """One row per availability file."""
    table = Table(title=f"availability (flapping under {debounce_s:g} s removed)")
    for name in ("file", "format", "clients", "days each", "available", "sd", "sessions/day (raw)"):
        table.add_column(name, justify="left" if name in ("file", "format") else "right")
    for name in ("on h median/mean", "off h median/mean", "hours 0-23", "peak/trough", "pair corr", "clock"):
        table.add_column(name, justify="right")
    for content in contents:
        if content.trace is None:
            continue
        raw, trace = content.trace, content.trace.debounced(debounce_s)
        facts = summarise(trace)
        profile, _ = hour_profile(trace)
        timed = trace.clock != "none"
        peak = f"{facts.peak_hour}/{facts.trough_hour} h x{facts.peak_to_trough:.1f}" if timed else "-"
        days = (raw.end_s - raw.begin_s) / 86400.0
        table.add_row(
            escape(printable(Path(content.path).name)),
            _format(raw.source),
            f"{facts.clients:,}",
            f"{days.sum() / facts.clients:.3g}",
            f"{facts.mean:.3f}",
            f"{facts.sd:.3f}",
            f"{facts.sessions_per_day:.2f} ({raw.session_recording.size / days.sum():.2f})",
            f"{facts.on_median_h:.2f}/{facts.on_mean_h:.2f}",
            f"{facts.off_median_h:.2f}/{facts.off_mean_h:.2f}",
            _bars(profile) if timed else "-",
            peak,
            "-" if np.isnan(facts.correlation) else f"{facts.correlation:.3f}",
            trace.clock,
        )
    return table


def clock_of(trace: AvailabilityTrace) -> str:
    """How a file's times were read, in one sentence: what nobody can see in a share of hours."""
    begin_s, end_s = float(trace.begin_s.min()), float(trace.end_s.max())
    since = f", from {_date(begin_s)} UTC" if trace.clock == "utc" else ""
    gaps = trace.num_recordings - np.unique(trace.user).size
    return (
        f"times as {trace.unit or 'numbers'}, clock {trace.clock}{since}, "
        f"span {(end_s - begin_s) / 86400.0:.3g} days, {gaps} unobserved gaps"
    )


def carbon_table(contents: Sequence[Content]) -> Table:
    """One row per zone and file."""
    table = Table(title="carbon intensity, g/kWh")
    for name in ("file", "format", "zone", "kind", "unit read", "clock read", "from (UTC)", "days", "step s"):
        table.add_column(name, justify="right" if name in ("days", "step s") else "left")
    for name in ("mean", "sd", "p5-p95", "daily range", "hours 0-23", "clean/dirty h", "24 h MAPE"):
        table.add_column(name, justify="right")
    for name in ("zeros", "estimated", "held"):
        table.add_column(name, justify="right")
    for content in contents:
        for series in content.series:
            table.add_row(*map(escape, map(printable, _carbon_row(content.path, series))))
    return table


def correlations_of(contents: Sequence[Content]) -> list[str]:
    """One sentence for the carbon zones that were given together, and one for such spot zones."""
    lines = []
    series: dict[tuple[str, str], CarbonSeries] = {}
    for one in (one for content in contents for one in content.series):
        series.setdefault((one.zone, one.kind), one)
    found = carbon_correlations(list(series.values()))
    if found:
        text = ", ".join(f"{a} and {b} {value:.2f}" for (a, b), value in found.items())
        lines.append(f"correlation of hourly intensity: {text}")
    folders: dict[Path, list[str]] = {}
    for content in contents:
        if content.trace is not None and content.trace.source.endswith("(skypilot)"):
            folders.setdefault(Path(content.path).parent, []).append(content.path)
    for folder, paths in folders.items():
        together = read_availability(paths) if len(paths) >= 3 else None
        if together is not None and can_fit_spot(together):
            zones, names = zone_trace(together)
            facts = spot_summary(zones, regions_of(names))
            lines.append(
                f"{folder.name}: {facts.zones} zones together: correlation {facts.correlation:.2f}, "
                f"in a region {facts.correlation_in_region:.2f}, across {facts.correlation_across:.2f}"
            )
    return lines


def device_table(contents: Sequence[Content]) -> Table:
    """One row per device file."""
    table = Table(title="devices (p10 / median / p90)")
    for name in ("file", "format", "devices", "step ms", "down Mbit/s", "up Mbit/s"):
        table.add_column(name, justify="left" if name in ("file", "format") else "right")
    for content in contents:
        if content.devices is None:
            continue
        own = content.devices
        columns = (own.step_ms, own.down_bytes_per_s, own.up_bytes_per_s)
        count = next(c.size for c in columns if c is not None)
        cells = []
        for column, scale in zip(columns, (1.0, 8e-6, 8e-6), strict=True):
            quantiles = None if column is None else np.quantile(column, [0.1, 0.5, 0.9]) * scale
            cells.append("-" if quantiles is None else " / ".join(f"{q:.3g}" for q in quantiles))
        table.add_row(escape(printable(Path(content.path).name)), _format(own.source), f"{count:,}", *cells)
    return table


def requests_table(contents: Sequence[Content]) -> Table:
    """One row per request trace."""
    table = Table(title="requests (dispersion: variance over mean of the counts, 1 of a Poisson process)")
    for name in ("file", "format", "sources", "top share", "hours", "requests", "per h"):
        table.add_column(name, justify="left" if name in ("file", "format") else "right")
    for name in ("dispersion min/h", "gaps cv", "empty min (longest)", "hours 0-23", "peak/trough"):
        table.add_column(name, justify="right")
    for content in contents:
        if content.requests is not None:
            table.add_row(*map(escape, map(printable, _requests_row(content.path, content.requests))))
    return table


def requests_clock_of(trace: RequestTrace) -> str:
    """How a request trace's times were read, in one sentence."""
    day, hour = divmod(trace.begin_s / 3600.0, 24.0)
    since = {
        "utc": f"utc, from {_date(trace.begin_s)} UTC",
        "day": f"hours of a day, from {hour:.4g} h of day {day + 1:.0f}",
        "none": "none",
    }[trace.clock]
    return f"times as {trace.unit or 'numbers'}, clock {since}, resolution {trace.resolution_s:.3g} s"


def _requests_row(path: str, trace: RequestTrace) -> list[str]:
    facts = summarise_requests(trace)
    peak = f"{facts.peak_hour}/{facts.trough_hour} h x{facts.peak_to_trough:.1f}"
    return [
        Path(path).name,
        _format(trace.source),
        f"{len(trace.sources):,}",
        f"{facts.top_share:.2f}",
        f"{trace.span_s / 3600.0:.4g}",
        f"{facts.requests:,}",
        f"{facts.per_h:,.4g}",
        f"{facts.dispersion:.3g}/{facts.dispersion_h:.3g}",
        "-" if np.isnan(trace.gap_cv) else f"{trace.gap_cv:.3g}",
        f"{facts.empty:.1%} ({facts.longest_empty_min})",
        _bars(minute_rates(trace)) if knows_day(trace) else "-",
        peak if knows_day(trace) else "-",
    ]


def energy_table(contents: Sequence[Content]) -> Table:
    """One row per model, server and layout that was measured."""
    table = Table(title="energy per request by batch size (least and greatest measured)")
    for name in ("file", "model", "GPUs", "layout", "points", "batch", "J/request", "ms", "W"):
        table.add_column(name, justify="left" if name in ("file", "model", "GPUs", "layout") else "right")
    for content in contents:
        for one in content.energy:
            columns = (one.batch, one.joules_per_request, one.latency_ms, one.watts)
            cells = [f"{column[0]:,.4g} -> {column[-1]:,.4g}" for column in columns]
            names = (Path(content.path).name, one.model, f"{one.num_gpus} {one.gpu}", one.layout)
            table.add_row(*map(escape, map(printable, names)), str(one.batch.size), *cells)
    return table


def _carbon_row(path: str, series: CarbonSeries) -> list[str]:
    hourly, first_s = hourly_means(series)
    known = calibration()["carbon_zones"].get(series.zone)
    offset_h = utc_offset_h(known["tz"], first_s, known["standard_utc_offset_h"]) if known else 0.0
    facts = (
        carbon_summary(hourly, first_s + 3600.0 * (np.arange(hourly.size, dtype=np.float64) + offset_h))
        if hourly.size
        else None
    )
    clock = "" if known else " UTC"
    long = facts is not None and hourly.size >= 48
    return [
        Path(path).name,
        _format(series.source),
        series.zone,
        series.kind,
        series.unit,
        series.clock,
        str(np.datetime64(int(series.first_utc_s), "s").astype("datetime64[m]")),
        f"{series.g_per_kwh.size * series.step_s / 86400.0:.3g}",
        f"{series.step_s:g}",
        f"{series.g_per_kwh.mean():.1f}",
        f"{series.g_per_kwh.std():.1f}",
        "{:.0f}-{:.0f}".format(*np.quantile(series.g_per_kwh, [0.05, 0.95])),
        f"{facts.daily_range:.2f}" if facts and long else "-",
        _bars(facts.hours) if facts and long else "-",
        f"{facts.clean_hour}/{facts.dirty_hour}{clock}" if facts and long else "-",
        f"{facts.naive_mape:.3f}" if facts and long else "-",
        str(int((series.g_per_kwh == 0).sum())),
        "-" if np.isnan(series.estimated) else f"{series.estimated:.0%}",
        f"{series.held} ({series.held / series.g_per_kwh.size:.1%})" if series.held else "0",
    ]


def _date(unix_s: float) -> str:
    """A moment in UTC, to the minute."""
    return str(np.datetime64(int(unix_s), "s").astype("datetime64[m]"))


def _format(source: str) -> str:
    return source.rsplit("(", 1)[-1].rstrip(")") if source.endswith(")") else "-"


def _bars(profile: Sequence[float] | Floats) -> str:
    low, high = float(min(profile)), float(max(profile))
    if high <= low:
        return "-"
    return "".join(_BARS[min(int((p - low) / (high - low) * 8), 7)] for p in profile)
