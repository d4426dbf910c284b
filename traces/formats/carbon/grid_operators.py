"""Carbon intensity as grid operators publish it: NESO, RTE's eCO2mix, Energinet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Ints
from ...records import CarbonSeries, regular_series
from ..parsing import Table, header_cells, lines_of, local_times, read_head, read_json, read_table
from .fuels import check_kind
from .json_rows import number, rows_of, unix_time

_NESO = ("DATETIME", "CARBON_INTENSITY")
_RTE_RATE = "taux de co2"


def recognises_neso(head: str) -> bool:
    """Whether the header is that of the historic generation mix."""
    names = header_cells(head)
    return all(name.lower() in names for name in _NESO)


def recognises_eco2mix(head: str) -> bool:
    """Whether the header is eCO2mix's, of RTE's own files or of its open data portal."""
    names = header_cells(head)
    return "nature" in names and any(name.startswith(_RTE_RATE) for name in names)


def recognises_energinet(head: str) -> bool:
    """Whether it shows the columns of CO2Emis, as JSON or as CSV."""
    return "CO2Emission" in head and "PriceArea" in head and "Minutes5UTC" in head


def read_neso(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Great Britain's historic generation mix: `DATETIME` in UTC, `CARBON_INTENSITY` in g/kWh.

    (https://www.neso.energy/data-portal/historic-generation-mix) It counts emissions of generation and
    imports, which is direct intensity.
    """
    check_kind(path, kind, "direct")
    table = read_table(path, _NESO)
    values, times = table.numbers("CARBON_INTENSITY", "."), table.utc_times("DATETIME")
    return [regular_series(path, "GB", "direct", times, values, table.lines, notes=table.notes)]


def read_eco2mix(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read France's eCO2mix: the rate of CO2 in g/kWh by quarter or half hours, direct intensity.

    RTE's own files (https://www.rte-france.com/eco2mix/telecharger-les-indicateurs) are tab-separated Latin-1
    text called .xls: `Date` and `Heures` on the French clock, of which the hour that daylight saving
    repeats is there once. The portal's (https://odre.opendatasoft.com, eco2mix-national) have
    `Date et Heure` with its offset and `Taux de CO2 (g/kWh)`. Rows without a rate are missing; `ND` is, too.
    """
    check_kind(path, kind, "direct")
    table = read_table(path, ["Nature", "Date"])
    rate = next((name for name in table.columns if name.lower().startswith(_RTE_RATE)), None)
    if rate is None:
        rate = table.named("Taux de Co2")
    # The last line of RTE's files is a legal note in one cell, and blank rows stand between days.
    cells = table.cells(rate)
    table = table.only((cells != "").to_numpy() & (cells.str.upper() != "ND").to_numpy())
    if not len(table.lines):
        raise ValueError(f"{path}: no row has a value, expected rates of CO2")
    stamp = next((name for name in table.columns if name.lower() in ("date et heure", "date - heure")), None)
    if stamp is not None:
        times, clock = table.utc_times(stamp), "UTC"
    else:
        hours = table.find("heure")
        stamps = table.cells("Date") + " " + table.cells(hours or "Heures")
        clock = "Europe/Paris"
        times = local_times(path, stamps, "%Y-%m-%d %H:%M", clock, table.lines, autumn_once=True)
    zone, known = _area(table), np.isfinite(times)
    values, lines = table.numbers(rate)[known], table.lines[known]
    return [
        regular_series(
            path, zone, "direct", times[known], values, lines, any_order=True, notes=table.notes, clock=clock
        )
    ]


def read_energinet(path: str | Path, kind: str | None = None) -> list[CarbonSeries]:
    """Read Denmark's CO2Emis (https://www.energidataservice.dk/tso-electricity/CO2Emis), g/kWh by price area.

    JSON has its rows under `records`, CSV is separated by semicolons; both are newest first. CO2EmisProg, the
    forecast, has the same columns and cannot be told apart by them, only by the `dataset` that JSON names.
    """
    check_kind(path, kind, "direct")
    notes: list[str] = []
    if _is_json(path):
        document = read_json(path)
        rows = rows_of(path, document, "records")
        lines: Ints = lines_of(path, len(rows), "records")
        times, values = np.empty(len(rows)), np.empty(len(rows))
        for index, (row, line) in enumerate(zip(rows, lines.tolist(), strict=True)):
            times[index] = unix_time(path, line, f"records[{index}].Minutes5UTC", row.get("Minutes5UTC"))
            values[index] = number(path, line, f"records[{index}].CO2Emission", row.get("CO2Emission"))
        areas = np.array([str(row.get("PriceArea")) for row in rows])
        if isinstance(document, dict) and str(document.get("dataset", "")).lower() == "co2emisprog":
            notes.append("the values are the provider's forecast")
    else:
        table = read_table(path, ["Minutes5UTC", "PriceArea", "CO2Emission"])
        times, values = table.utc_times("Minutes5UTC"), table.numbers("CO2Emission")
        areas, lines, notes = table.cells("PriceArea").to_numpy(), table.lines, table.notes
    return [
        regular_series(
            path,
            str(area),
            "direct",
            times[areas == area],
            values[areas == area],
            lines[areas == area],
            any_order=True,
            notes=notes,
        )
        for area in dict.fromkeys(areas.tolist())
    ]


def _area(table: Table) -> str:
    """FR, or the region that the file is of; refused if there are several."""
    column = next(
        (name for name in table.columns if name.lower().startswith(("p\xe9rim", "r\xe9gion"))), None
    )
    found = table.cells(column) if column else None
    if found is None or found.iloc[0].lower() == "france":
        return "FR"
    if found.nunique() > 1:
        row = int(np.argmax((found != found.iloc[0]).to_numpy()))
        raise ValueError(
            f"{table.path}:{table.lines[row]}: {found.iloc[row]!r}, expected one area in the file"
        )
    return f"FR-{found.iloc[0]}"


def _is_json(path: str | Path) -> bool:
    return read_head(path).lstrip().startswith(("{", "["))
