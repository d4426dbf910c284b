"""Carbon intensity tables: MOER with forecasts, CityLearn, Let's wait awhile, API dumps, our own."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....common.arrays import Floats
from ....common.files import write_text
from ...records import KINDS, CarbonSeries, regular_series
from ..parsing import Table, brief, header_cells, read_table

# CityLearn gives no times: its year is taken to begin here, 2022-01-01 00:00 UTC.
_CITYLEARN_START_S = 1640995200.0
OWN_CARBON = "time,zone,kind,g_per_kwh"
"""The header of our own tables."""


def recognises_moer(head: str) -> bool:
    """Whether the header is `time,moer[,f1,...]`."""
    return header_cells(head)[:2] == ["time", "moer"]


def recognises_citylearn(head: str) -> bool:
    """Whether the header is `carbon_intensity`, alone."""
    return header_cells(head) == ["carbon_intensity"]


def recognises_lwa(head: str) -> bool:
    """Whether the header is `Time,Carbon Intensity`."""
    return header_cells(head) == ["time", "carbon intensity"]


def recognises_dump(head: str) -> bool:
    """Whether the header is that of an Electricity Maps API dump."""
    names = header_cells(head)
    return "carbon_intensity_avg" in names and "zone_name" in names and "datetime" in names


def recognises_own(head: str) -> bool:
    """Whether the header is `time,zone,kind,g_per_kwh`."""
    return header_cells(head) == OWN_CARBON.split(",")


def recognises_codecarbon(head: str) -> bool:
    """Whether the header is that of codecarbon's `emissions.csv`, which no carbon intensity is in."""
    return {"emissions", "energy_consumed", "run_id"} <= set(header_cells(head))


def read_moer(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read CAISO's MOER: `time,moer,f1..f36`, kg CO2/kWh, forecasts for 1 to 36 steps ahead.

    Monthly files overlap by a day; within a file a repeated time keeps its first row.
    """
    _only(path, kind, "marginal")
    table = read_table(path, ["time", "moer"])
    times = table.utc_times("time")
    values = table.numbers("moer") * 1000.0
    leads = [name for name in table.columns if name[:1] == "f" and name[1:].isdigit()]
    ahead = [table.numbers(name) * 1000.0 for name in leads]
    provider = np.stack(ahead, axis=1) if ahead else None
    zone = _stem(path).rsplit("_", 1)[0].removeprefix("SGIP_") or _stem(path)
    lines = table.lines
    notes = (*table.notes, "converted from kg/kWh")
    return [
        regular_series(
            path,
            zone,
            "marginal",
            times,
            values,
            lines,
            repeats_differ=True,
            provider=provider,
            notes=notes,
            unit="kg/kWh",
        )
    ]


def read_citylearn(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read CityLearn's single column of kg CO2/kWh by the hour; its times and kind are assumptions.

    The zone is the file's name, or its folder's where the name is the usual `carbon_intensity.csv`.
    """
    table = read_table(path, ["carbon_intensity"])
    values = table.numbers("carbon_intensity") * 1000.0
    times = _CITYLEARN_START_S + 3600.0 * np.arange(values.size, dtype=np.float64)
    notes = (
        *table.notes,
        "no times in the file: hourly from 2022-01-01 UTC is assumed",
        _assumed(kind),
        "converted from kg/kWh",
    )
    stem = _stem(path)
    # All data sets of CityLearn call the file so, in a folder of their own.
    zone = (Path(path).resolve().parent.name or stem) if stem == "carbon_intensity" else stem
    return [
        regular_series(
            path,
            zone,
            kind or "direct",
            times,
            values,
            table.lines,
            step_s=3600.0,
            notes=notes,
            unit="kg/kWh",
            clock="none",
        )
    ]


def read_lwa(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Let's wait awhile's `Time,Carbon Intensity`: life-cycle g/kWh, times without a zone are UTC."""
    _only(path, kind, "life-cycle")
    table = read_table(path, ["time", "carbon intensity"])
    times, values = table.utc_times("time"), table.numbers("carbon intensity")
    zone = {"ger": "DE", "cal": "US-CAL-CISO"}.get(
        _stem(path).split("_")[0], _stem(path).split("_")[0].upper()
    )
    return [regular_series(path, zone, "life-cycle", times, values, table.lines, notes=table.notes)]


def read_dump(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read an Electricity Maps API dump: `datetime`, `zone_name`, `carbon_intensity_avg` (life cycle)."""
    _only(path, kind, "life-cycle")
    table = read_table(path, ["datetime", "zone_name", "carbon_intensity_avg"])
    values = table.numbers("carbon_intensity_avg")
    return _by_zone(table, "zone_name", ["life-cycle"] * values.size, table.utc_times("datetime"), values)


def read_own(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read the project's own `time,zone,kind,g_per_kwh`; times in UTC."""
    table = read_table(path, OWN_CARBON.split(","))
    times, values = table.utc_times("time"), table.numbers("g_per_kwh")
    kinds = table.cells("kind").tolist()
    for line, own in zip(table.lines, kinds, strict=True):
        if own not in KINDS or kind not in (None, own):
            expected = kind or ", ".join(KINDS)
            raise ValueError(f"{path}:{line}: kind is {brief(own)}, expected {expected}")
    return _by_zone(table, "zone", kinds, times, values)


def write_own(series: Sequence[CarbonSeries], path: str | Path) -> None:
    """Write series as `time,zone,kind,g_per_kwh`; reading them back gives the same values."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(OWN_CARBON.split(","))
    for one in series:
        seconds = one.first_utc_s + one.step_s * np.arange(one.g_per_kwh.size)
        stamps = np.datetime_as_string((seconds * 1000).astype("datetime64[ms]"), unit="ms")
        for stamp, value in zip(stamps, one.g_per_kwh, strict=True):
            rows.writerow([f"{stamp}Z", one.zone, one.kind, repr(float(value))])
    write_text(Path(path), out.getvalue())


def _by_zone(
    table: Table, zone_column: str, kinds: Sequence[str], times: Floats, values: Floats
) -> list[CarbonSeries]:
    path, zones, lines = table.path, table.cells(zone_column).to_numpy(), table.lines
    series = []
    for zone in dict.fromkeys(zones):
        rows = zones == zone
        own = {kind for kind, own_row in zip(kinds, rows, strict=True) if own_row}
        if len(own) > 1:
            raise ValueError(f"{path}: zone {brief(zone)}: kinds {' and '.join(sorted(own))} are mixed")
        series.append(
            regular_series(
                path, str(zone), own.pop(), times[rows], values[rows], lines[rows], notes=table.notes
            )
        )
    return series


def _only(path: str | Path, kind: str | None, found: str) -> None:
    if kind not in (None, found):
        raise ValueError(f"{path}: kind {kind!r} is not in the file, expected {found}")


def _assumed(kind: str | None) -> str:
    return f"the kind is not in the file: {kind or 'direct'} is {'as asked' if kind else 'assumed'}"


def _stem(path: str | Path) -> str:
    return Path(path).name.split(".")[0]
