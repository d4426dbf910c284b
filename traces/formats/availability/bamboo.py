"""Bamboo and Oobleck spot traces: node events, and counts of nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, read_table, read_text, utc_times
from .counts import MAX_NODES, pooled

# Seconds since the beginning are never so many: such numbers are Unix times, and perhaps not of counts.
_UNIX_TIMES_S = 1e9


def recognises_events(head: str) -> bool:
    """Whether the first line is `ms,add|remove,node`."""
    parts = head.split("\n", 1)[0].strip().split(",")
    return len(parts) == 3 and parts[0].strip().isdigit() and parts[1].strip() in ("add", "remove")


def recognises_counts(head: str) -> bool:
    """Whether the first line is `seconds,count` or `date, time, count`, without a header."""
    parts = [part.strip() for part in head.split("\n", 1)[0].split(",")]
    if len(parts) == 2:
        seconds = parts[0].replace(".", "", 1).isdigit() and parts[0].isascii() and parts[1].isdigit()
        return seconds and float(parts[0]) < _UNIX_TIMES_S
    return len(parts) == 3 and len(parts[0]) == 10 and parts[1].count(":") == 2 and parts[2].isdigit()


def read_events(path: str | Path) -> AvailabilityTrace:
    """Read `ms,add|remove,node`: nodes that come and go, milliseconds since the beginning.

    Adding a node that runs, or removing one that does not, changes nothing and is counted.

    Raises:
        ValueError: with path and line number.
    """
    since: dict[str, float] = {}
    index: dict[str, int] = {}
    owner, start, stop = [], [], []
    idle, now_s, back = 0, 0.0, 0
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 3 or parts[1] not in ("add", "remove") or not parts[0].isdigit():
            raise ValueError(f"{path}:{number}: {brief(line)}, expected ms,add|remove,node")
        back += float(parts[0]) / 1000.0 < now_s
        now_s = max(float(parts[0]) / 1000.0, now_s)
        node = parts[2]
        index.setdefault(node, len(index))
        if (parts[1] == "add") == (node in since):
            idle += 1
        elif parts[1] == "add":
            since[node] = now_s
        else:
            owner.append(index[node])
            start.append(since.pop(node))
            stop.append(now_s)
    for node, began_s in since.items():
        owner.append(index[node])
        start.append(began_s)
        stop.append(now_s)
    if not index or now_s <= 0:
        raise ValueError(f"{path}: no span of time, expected events of nodes in ms")
    notes = [f"{idle} events changed nothing"] if idle else []
    notes += [f"{back} events out of order put at the time before"] if back else []
    size = len(index)
    return flat_trace(
        tuple(index),
        np.arange(size),
        np.zeros(size),
        np.full(size, now_s),
        np.array(owner, dtype=np.int64),
        np.array(start, dtype=np.float64),
        np.array(stop, dtype=np.float64),
        clock="none",
        simultaneous=True,
        group=("",) * size,
        source=f"{path} (bamboo-events)",
        notes=tuple(notes),
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
    notes = []
    if dated:
        times_s = utc_times(path, table.cells("0") + " " + table.cells("1"), "time", lines)
    else:
        times_s = _numbers(path, frame["0"].tolist(), lines, "time")
        if times_s[0] >= _UNIX_TIMES_S:
            raise ValueError(
                f"{path}:{lines[0]}: time is {brief(frame['0'].iloc[0])}, a Unix time, expected seconds "
                "since the beginning; write carbon intensity as time,zone,kind,g_per_kwh"
            )
        if any("." in cell for cell in frame["0"]):
            times_s = times_s * 3600.0
            notes.append("times have decimals and count as hours")
    counts = _numbers(path, frame[str(frame.shape[1] - 1)].tolist(), lines, "count")
    if (counts != np.floor(counts)).any() or (counts > MAX_NODES).any():
        raise ValueError(f"{path}: a count is no whole number up to {MAX_NODES}")
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
    )


def _numbers(path: str | Path, cells: list[str], lines: Ints, what: str) -> Floats:
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            values[row] = float(cell)
        except ValueError:
            values[row] = np.nan
        if not 0 <= values[row] < 1e12:
            raise ValueError(f"{path}:{lines[row]}: {what} is {brief(cell)}, expected a number of 0 or more")
    return values
