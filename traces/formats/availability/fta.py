"""Failure Trace Archive: event tables `event_id ... node_id ... event_type start stop reason`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, check_time, header_cells, read_table

_COLUMNS = ("node_id", "event_type", "event_start_time", "event_stop_time")


def recognises(head: str) -> bool:
    """Whether a line names the columns of an event table, with a hash or without, perhaps below comments."""
    return set(_COLUMNS) <= set(header_cells(head, *_COLUMNS, blanks=True))


def read(path: str | Path) -> AvailabilityTrace:
    """Read events in Unix seconds, separated as their header is, by tabs or by blanks; type 1 is available.

    A node's recording runs from its first event to its last; what no event covers is unavailable. An event
    whose stop is NULL is still open: it lasts until the latest time in the file.

    Raises:
        ValueError: with path and line number.
    """
    table = read_table(path, _COLUMNS, blanks=True)
    kinds = table.cells("event_type")
    strange = ~kinds.isin(["0", "1"]).to_numpy(dtype=bool)
    if strange.any():
        row = int(np.argmax(strange))
        raise ValueError(
            f"{path}:{table.lines[row]}: event_type is {brief(kinds.iloc[row])}, expected 0 or 1"
        )
    first, last = (table.numbers(name, ".") for name in _COLUMNS[2:])
    if np.isnan(first).any():
        row = int(np.argmax(np.isnan(first)))
        raise ValueError(f"{path}:{table.lines[row]}: the event has no start, expected Unix seconds")
    for edge in (first, last):
        for index in np.flatnonzero(np.abs(edge) > 2e9):
            check_time(path, float(edge[index]), int(table.lines[index]))
    nodes, who = np.unique(table.cells("node_id").to_numpy(dtype=str), return_inverse=True)
    still = np.isnan(last)
    last = np.where(still, max(float(first.max()), float(np.nanmax(last, initial=-np.inf))), last)
    _check_open(path, who, first, still, table.lines)
    if (last < first).any():
        row = int(np.argmax(last < first))
        raise ValueError(f"{path}:{table.lines[row]}: the event stops before it starts")
    notes = (
        [f"{int(still.sum())} open events (stop NULL) last until the file's latest time"]
        if still.any()
        else []
    )
    on = (kinds == "1").to_numpy(dtype=bool)
    return _assemble(path, nodes.tolist(), who, on, first, last, table.lines, (*table.notes, *notes))


def _check_open(path: str | Path, who: Ints, first: Floats, still: Bools, lines: Ints) -> None:
    """Refuse open events that are not the last of their node."""
    latest = np.full(int(who.max()) + 1, -np.inf)
    np.maximum.at(latest, who, first)
    early = still & (first < latest[who])
    if early.any():
        line = int(lines[int(np.argmax(early))])
        raise ValueError(
            f"{path}:{line}: event_stop_time is NULL and the node has later events, expected Unix seconds"
        )


def _assemble(
    path: str | Path,
    nodes: list[str],
    who: Ints,
    on: Bools,
    first: Floats,
    last: Floats,
    lines: Ints,
    remarks: tuple[str, ...],
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
        notes=(*remarks, *notes),
        unit="Unix seconds",
        lines=lines[up],
    )
