"""Failure Trace Archive: event tables `event_id ... node_id ... event_type start stop reason`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, check_time, read_text

_COLUMNS = ("node_id", "event_type", "event_start_time", "event_stop_time")


def recognises(head: str) -> bool:
    """Whether the first line names the columns of an event table, with a hash or without."""
    names = head.split("\n", 1)[0].lstrip("# ").split()
    return all(name in names for name in _COLUMNS)


def read(path: str | Path) -> AvailabilityTrace:
    """Read blank-separated events; type 1 is available, 0 is not; times are Unix seconds.

    A node's recording runs from its first event to its last; what no event covers is unavailable.

    Raises:
        ValueError: with path and line number.
    """
    rows = read_text(path).splitlines()
    names = rows[0].lstrip("# ").split()
    if not all(name in names for name in _COLUMNS):
        raise ValueError(f"{path}:1: expected a header with {', '.join(_COLUMNS)}")
    place = [names.index(name) for name in _COLUMNS]
    nodes: dict[str, int] = {}
    owner, on, start, stop = [], [], [], []
    for number, line in enumerate(rows[1:], start=2):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        try:
            node, kind, begin, end = (parts[index] for index in place)
            begin_s, end_s = float(begin), float(end)
        except (IndexError, ValueError):
            raise ValueError(f"{path}:{number}: {brief(line[:70])}, expected an event of 9 columns") from None
        if kind not in ("0", "1"):
            raise ValueError(f"{path}:{number}: event_type is {brief(kind)}, expected 0 or 1")
        if check_time(path, end_s, number) < check_time(path, begin_s, number):
            raise ValueError(f"{path}:{number}: the event stops before it starts")
        owner.append(nodes.setdefault(node, len(nodes)))
        on.append(kind == "1")
        start.append(begin_s)
        stop.append(end_s)
    if not nodes:
        raise ValueError(f"{path}: no event")
    return _assemble(path, list(nodes), np.array(owner), np.array(on), np.array(start), np.array(stop))


def _assemble(
    path: str | Path, nodes: list[str], who: Ints, on: Bools, first: Floats, last: Floats
) -> AvailabilityTrace:
    begin_all, end_all = np.full(len(nodes), np.inf), np.full(len(nodes), -np.inf)
    np.minimum.at(begin_all, who, first)
    np.maximum.at(end_all, who, last)
    seen = end_all > begin_all
    if not seen.any():
        raise ValueError(f"{path}: no node has a span of time, expected events that last")
    notes = ["times count as UTC; the archive does not give the machines' time zone"]
    if not seen.all():
        notes.append(f"{int((~seen).sum())} nodes without a span of time are left out")
    names_seen = [name for name, keep in zip(nodes, seen, strict=True) if keep]
    index = np.cumsum(seen) - 1
    up = on & seen[who]
    return flat_trace(
        tuple(names_seen),
        np.arange(len(names_seen)),
        begin_all[seen],
        end_all[seen],
        index[who[up]],
        first[up],
        last[up],
        clock="utc",
        source=f"{path} (fta)",
        notes=tuple(notes),
    )
