"""Reading files of any kind: availability, carbon intensity, requests or devices, by their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...common.spelling import suggest
from ..devices import DeviceTable, EnergyProfile, is_energy_file, read_devices, read_energy
from ..formats import Formats
from ..formats.arrivals import ARRIVAL_FORMATS, read_arrivals, sniff_arrivals
from ..formats.availability import AVAILABILITY_FORMATS, read_availability, sniff_availability
from ..formats.carbon import CARBON_FORMATS, OWN_CARBON, read_carbon, sniff_carbon
from ..formats.parsing import read_head
from ..records import AvailabilityTrace, CarbonSeries, RequestTrace

_OWN_AVAILABILITY = "client,start,end"
_OWN_ARRIVALS = "time,source,requests"

_Table: TypeAlias = Formats[AvailabilityTrace] | Formats[list[CarbonSeries]] | Formats[RequestTrace]


@dataclass(frozen=True)
class Content:
    """What a file turned out to hold; all but one are empty.

    Attributes:
        path: the file.
        trace: availability.
        series: carbon intensity by zone.
        devices: capacities.
        requests: what sources were asked.
        energy: what answering costs, by model and server.
    """

    path: str
    trace: AvailabilityTrace | None = None
    series: tuple[CarbonSeries, ...] = ()
    devices: DeviceTable | None = None
    requests: RequestTrace | None = None
    energy: tuple[EnergyProfile, ...] = ()


def read_any(path: str | Path, format: str | None = None, kind: str | None = None) -> Content:
    """Read a file of any kind, by its content or a named format.

    Raises:
        ValueError: one line, if it is of no known kind or breaks the rules of its own.
    """
    name = str(path)
    if format is None:
        for sniff in (sniff_availability, sniff_carbon, sniff_arrivals):
            try:
                found: str | None = sniff(path)
            except ValueError:
                continue
            if sniff is sniff_carbon:
                return Content(name, series=tuple(read_carbon(path, found, kind)))
            if sniff is sniff_arrivals:
                return Content(name, requests=read_arrivals(path, found))
            if found == "fedscale":
                return _pickled(path)
            return Content(name, trace=read_availability(path, found))
        if _shows_energy(path):
            return Content(name, energy=read_energy(path))
        return Content(name, devices=_devices_or_refusal(path))
    tables = [table for table in (AVAILABILITY_FORMATS, CARBON_FORMATS, ARRIVAL_FORMATS) if format in table]
    if not tables:
        known = [*AVAILABILITY_FORMATS, *CARBON_FORMATS, *ARRIVAL_FORMATS]
        raise ValueError(f"format: {format!r} is unknown; {suggest(format, known)}")
    table = tables[0] if len(tables) == 1 else _table_of(path, format, tables)
    if table is CARBON_FORMATS:
        return Content(name, series=tuple(read_carbon(path, format, kind)))
    if table is ARRIVAL_FORMATS:
        return Content(name, requests=read_arrivals(path, format))
    return Content(name, trace=read_availability(path, format))


def read_all(
    paths: Sequence[str | Path], format: str | None = None, kind: str | None = None
) -> tuple[list[Content], list[str]]:
    """What files hold, and a line for each that was refused."""
    contents: list[Content] = []
    refused: list[str] = []
    for path in paths:
        try:
            contents.append(read_any(path, format, kind))
        except ValueError as error:
            refused.append(str(error))
    return contents, refused


def expand(paths: Sequence[str | Path]) -> list[Path]:
    """Files as they are, folders as the files in them (notes left out).

    Raises:
        ValueError: if there is none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(
                p for p in path.rglob("*") if p.is_file() and p.suffix.lower() not in (".md", ".py")
            )
        else:
            files.append(path)
    if not files:
        raise ValueError("files: none, expected at least one file or a folder with files")
    return files


def notes_of(content: Content) -> list[str]:
    """What was repaired or assumed while reading, one sentence each, repeated ones once."""
    notes = [
        *(content.trace.notes if content.trace else ()),
        *(content.devices.notes if content.devices else ()),
        *(content.requests.notes if content.requests else ()),
    ]
    notes += [note for series in content.series for note in series.notes]
    return list(dict.fromkeys(notes))


def _table_of(path: str | Path, name: str, tables: Sequence[_Table]) -> _Table:
    """Which of the formats of this name a file is in: that of one of the tables."""
    head = read_head(path)
    for table in tables:
        recognises = table.find(name).recognises
        if recognises is not None and recognises(head):
            return table
    raise ValueError(
        f"{path}:1: not in format {name!r}, expected the header {_OWN_AVAILABILITY}, {OWN_CARBON} or "
        f"{_OWN_ARRIVALS}"
    )


def _pickled(path: str | Path) -> Content:
    """FedScale has two pickles: behaviour and capacity."""
    try:
        return Content(str(path), trace=read_availability(path, "fedscale"))
    except ValueError as error:
        if "expected active, inactive" not in str(error):
            raise
        return Content(str(path), devices=read_devices(path))


def _shows_energy(path: str | Path) -> bool:
    try:
        return is_energy_file(read_head(path))
    except ValueError:  # a pickle of devices, or what nobody can read
        return False


def _devices_or_refusal(path: str | Path) -> DeviceTable:
    try:
        return read_devices(path)
    except ValueError as error:
        if "not a device file" not in str(error):
            raise
        raise ValueError(
            f"{path}: no availability, carbon intensity, requests or devices that are known; formats are "
            f"{', '.join(AVAILABILITY_FORMATS)} (availability), {', '.join(CARBON_FORMATS)} (carbon "
            f"intensity) and {', '.join(ARRIVAL_FORMATS)} (requests); write the file as {_OWN_AVAILABILITY}, "
            f"{OWN_CARBON} or {_OWN_ARRIVALS} (csv, docs/traces.md), or name its format"
        ) from None
