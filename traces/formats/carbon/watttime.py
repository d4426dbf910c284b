"""WattTime: JSON of API v2 (a list, newest first) and v3 (data and meta), in lbs CO2 per MWh."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ...records import CarbonSeries, regular_series
from ..parsing import brief, header_cells, lines_of, read_json, read_table
from .json_rows import number, rows_of, unix_time

# Pounds per MWh to grams per kWh: 453.59237 g / 1000 kWh.
G_PER_KWH_PER_LB_PER_MWH = 0.45359237
_SIGNALS = {"co2_moer": "marginal", "co2_aoer": "direct"}


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys."""
    return '"point_time"' in head and '"value"' in head


def recognises_csv(head: str) -> bool:
    """Whether the first line is the header of Vessim's WattTime example (its typing error included)."""
    return header_cells(head)[:1] == ["oootime"]


def read(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read `point_time` and `value`; v2 names the zone as `ba`, v3 in `meta.region` with signal and unit.

    Raises:
        ValueError: naming the line and the entry.
    """
    document = read_json(path)
    meta = document.get("meta") if isinstance(document, dict) else None
    rows = rows_of(path, document, "data")
    if "generated_at" in rows[0] or "forecast" in rows[0]:
        raise ValueError(
            f"{path}: forecasts by the time they were made (/v3/forecast/historical), expected measured "
            "values; get /v3/historical"
        )
    factor, found = _meaning(path, meta if isinstance(meta, dict) else {})
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")
    region = meta.get("region") if isinstance(meta, dict) else None
    zones: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        zones.setdefault(str(region or row.get("ba") or "unknown"), []).append(index)
    lines = lines_of(path, len(rows), "data")
    times, values = np.empty(len(rows)), np.empty(len(rows))
    for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
        times[index] = unix_time(path, line, f"data[{index}].point_time", row.get("point_time"))
        values[index] = number(path, line, f"data[{index}].value", row.get("value")) * factor
    period = meta.get("data_point_period_seconds") if isinstance(meta, dict) else None
    notes = ["converted from lbs/MWh"]
    if isinstance(meta, dict) and meta.get("generated_at"):
        notes.append("the values are the provider's forecast")
    imputed = [bool(row.get("imputed_data_used")) for row in rows]
    told = any("imputed_data_used" in row for row in rows)
    series = []
    for zone, own in zones.items():
        share = float(np.mean([imputed[row] for row in own])) if told else math.nan
        estimates = [f"{share:.0%} of the values are the provider's estimates"] if share > 0 else []
        series.append(
            regular_series(
                path,
                zone,
                found,
                times[own],
                values[own],
                lines[own],
                any_order=True,
                step_s=float(period) if isinstance(period, (int, float)) else None,
                notes=[*notes, *estimates],
                unit="lb/MWh",
                estimated=share,
            )
        )
    return series


def read_vessim(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Vessim's CSV `oootime,<zone>`: WattTime values already in g/kWh, five minutes apart, UTC."""
    if kind not in (None, "marginal"):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected marginal")
    table = read_table(path)
    if len(table.columns) < 2 or "time" not in table.columns[0].lower():
        raise ValueError(f"{path}:{table.header_line}: expected a column of times and one per zone")
    times = table.utc_times(table.columns[0])
    return [
        regular_series(path, name, "marginal", times, table.numbers(name), table.lines)
        for name in table.columns[1:]
    ]


def _meaning(path: str | Path, meta: dict[str, object]) -> tuple[float, str]:
    """Factor to g/kWh and kind of intensity."""
    signal, units = meta.get("signal_type", "co2_moer"), meta.get("units", "lbs_co2_per_mwh")
    if units != "lbs_co2_per_mwh" or signal not in _SIGNALS:
        raise ValueError(
            f"{path}: signal {brief(signal)} in {brief(units)}, "
            "expected co2_moer or co2_aoer in lbs_co2_per_mwh"
        )
    return G_PER_KWH_PER_LB_PER_MWH, _SIGNALS[signal]
