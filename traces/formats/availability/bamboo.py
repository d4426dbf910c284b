"""Bamboo and Oobleck spot traces: node events, and counts of nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ...records import AvailabilityTrace, are_unix_times, flat_trace, sessions_of_changes
from ..parsing import Table, brief, plain_number, read_table, read_text, utc_times
from .counts import MAX_NODES, pooled


def recognises_events(head: str) -> bool:
    """Whether the first line is `ms,add|remove,node`."""
    parts = head.split("\n", 1)[0].strip().split(",")
    return len(parts) == 3 and _digits(parts[0].strip()) and parts[1].strip() in ("add", "remove")


def recognises_counts(head: str) -> bool:
    """Whether the first line is `seconds,count` or `date, time, count`; Unix seconds are not meant."""
    parts = [part.strip() for part in head.split("\n", 1)[0].split(",")]
    if len(parts) == 2:
        # Seconds since the beginning are never so many: they are Unix times, and perhaps not of counts.
        seconds = _digits(parts[0].replace(".", "", 1)) and _digits(parts[1])
        return seconds and not are_unix_times(np.array([float(parts[0])]))
    return len(parts) == 3 and len(parts[0]) == 10 and parts[1].count(":") == 2 and parts[2].isdigit()


def read_events(path: str | Path) -> AvailabilityTrace:
    """Read `ms,add|remove,node`: nodes that come and go, milliseconds since the beginning.

    Adding a node that runs, or removing one that does not, changes nothing and is counted.

    Raises:
        ValueError: with path and line number.
    """
    index: dict[str, int] = {}
    owner, times, up, lines = [], [], [], []
    now_s, back = 0.0, 0
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 3 or parts[1] not in ("add", "remove") or not _digits(parts[0]):
            raise ValueError(f"{path}:{number}: {brief(line)}, expected ms,add|remove,node")
        back += float(parts[0]) / 1000.0 < now_s
        now_s = max(float(parts[0]) / 1000.0, now_s)
        owner.append(index.setdefault(parts[2], len(index)))
        times.append(now_s)
        up.append(parts[1] == "add")
        lines.append(number)
    if not index or now_s <= 0:
        raise ValueError(f"{path}: no span of time, expected events of nodes in ms")
    size = len(index)
    found = sessions_of_changes(
        np.array(owner), np.array(times), np.array(up), np.array(lines), np.full(size, now_s)
    )
    idle = found.idle
    notes = [f"{idle} events changed nothing"] if idle else []
    notes += [f"{back} events out of order put at the time before"] if back else []
    return flat_trace(
        tuple(index),
        np.arange(size),
        np.zeros(size),
        np.full(size, now_s),
        found.owner,
        found.start_s,
        found.stop_s,
        clock="none",
        simultaneous=True,
        group=("",) * size,
        source=f"{path} (bamboo-events)",
        notes=tuple(notes),
        unit="ms",
        lines=found.lines,
    )


def read_counts(path: str | Path) -> AvailabilityTrace:
    """Read `date, time, count` (UTC), or the step curve `x,count`, x in seconds, or hours if it has decimals.

    Steps back in time (interleaved samplers) are put in order; of several counts at a time the last holds.

    Raises:
        ValueError: with path and line number.
    """
    table = read_table(path, header=False, separator=",")
    frame, lines = table.frame, table.lines
    dated = frame.shape[1] == 3
    if frame.shape[1] not in (2, 3):
        raise ValueError(f"{path}:1: {frame.shape[1]} columns, expected seconds,count or date, time, count")
    times_s, unit = _times(table)
    notes = ["times have decimals and count as hours"] if unit == "h" else []
    counts = _numbers(path, frame[str(frame.shape[1] - 1)].tolist(), lines, "count")
    bad = (counts != np.floor(counts)) | (counts > MAX_NODES)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{path}:{lines[row]}: count is {counts[row]:g}, expected a whole number up to {MAX_NODES}"
        )
    back = int((np.diff(times_s) < 0).sum())
    if back:
        notes.append(f"{back} steps back in time put in order")
    order = np.argsort(times_s, kind="stable")
    times_s, counts = times_s[order], counts[order]
    last = np.append(times_s[1:] > times_s[:-1], True)
    times_s, counts = times_s[last], counts[last].astype(np.int64)
    if times_s.size < 2:
        raise ValueError(f"{path}: one count only, expected a span of time")
    longest_h = float(np.diff(times_s).max()) / 3600.0
    if dated and longest_h > 0.25:
        notes.append(f"counts held through gaps of up to {longest_h:.1f} h")
    pool = (Path(path).stem, times_s[:-1], counts[:-1], float(times_s[-1]))
    names, groups, begin_s, end_s, owner, start_s, stop_s = pooled([pool])
    return flat_trace(
        names,
        np.arange(len(names)),
        begin_s,
        end_s,
        owner,
        start_s,
        stop_s,
        clock="utc" if dated else "none",
        simultaneous=True,
        group=groups,
        source=f"{path} (bamboo-counts)",
        notes=(*notes, "nodes of a pool are told apart by their count only"),
        unit=unit,
    )


def _times(table: Table) -> tuple[Floats, str]:
    """The times of counts in seconds, and how they are written."""
    path, lines = table.path, table.lines
    if table.frame.shape[1] == 3:
        return utc_times(path, table.cells("0") + " " + table.cells("1"), "time", lines), "date and time"
    times_s = _numbers(path, table.cells("0").tolist(), lines, "time")
    if are_unix_times(times_s):
        raise ValueError(
            f"{path}:{lines[0]}: time is {brief(table.cells('0').iloc[0])}, a Unix time, expected seconds "
            "since the beginning; write carbon intensity as time,zone,kind,g_per_kwh"
        )
    hours = bool(table.cells("0").str.contains(".", regex=False).any())
    return (times_s * 3600.0, "h") if hours else (times_s, "s")


def _digits(text: str) -> bool:
    """Whether a text is a number that floats can hold."""
    return text.isascii() and text.isdigit() and len(text) < 300


def _numbers(path: str | Path, cells: list[str], lines: Ints, what: str) -> Floats:
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        values[row] = plain_number(cell)
        if not 0 <= values[row] < 1e12:
            raise ValueError(f"{path}:{lines[row]}: {what} is {brief(cell)}, expected a number of 0 or more")
    return values
