"""Machine events of Google's cluster traces: machines that join and leave a cell, 2011 and 2019."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...records import AvailabilityTrace, flat_trace, sessions_of_changes
from ..parsing import brief, read_text

_KEYS = ("time", "machine_id", "type")
# Traces begin at 600 s; 0 is "before", and the largest number of 63 bits "after".
_BEGIN_US, _AFTER_US = 600_000_000, 2**63 - 1
_LONGEST_US = 400 * 86_400_000_000


class _Trace(NamedTuple):
    """What the two releases have in different ways."""

    year: int
    begins_utc: datetime  # when the trace's clock shows 600 s
    local_offset_h: float  # of the cell, where it is told
    add: int  # code of a machine that joins
    remove: int


_2011 = _Trace(2011, datetime(2011, 5, 1, 23, tzinfo=timezone.utc), -4.0, 0, 1)
_2019 = _Trace(2019, datetime(2019, 5, 1, 7, tzinfo=timezone.utc), 0.0, 1, 2)


def recognises(head: str) -> bool:
    """Whether the first line is an event: six cells of 2011, or a JSON object of 2019."""
    line = next((line for line in head.splitlines() if line.strip()), "")
    if line.startswith("{"):
        return all(f'"{key}"' in line for key in _KEYS) and '"metadata"' not in line
    parts = line.split(",")
    return len(parts) == 6 and _whole(parts[0]) and _whole(parts[1]) and parts[2] in ("0", "1", "2")


def read(path: str | Path) -> AvailabilityTrace:
    """Read events `time, machine, type, ...` in microseconds; a machine is there from ADD to REMOVE.

    2011: CSV without a header, `time,machine ID,event type,platform ID,CPUs,Memory`, types 0 ADD, 1 REMOVE,
    2 UPDATE; 600 s is 1 May 2011, 19:00 EDT, and the cell lies in that zone (ClusterData2011_2.md). 2019: one
    JSON object a line with `time`, `machine_id`, `type` (1 ADD, 2 REMOVE, 3 UPDATE) and more; 600 s is 1 May
    2019, 00:00 PDT in every cell (clusterdata_trace_format_v3.proto; both in github.com/google/cluster-data).
    The file does not say which cell it is of, so that the hours of 2019 are those of UTC.

    Raises:
        ValueError: with path and line number.
    """
    text = read_text(path)
    release = _2019 if text.lstrip().startswith("{") else _2011
    machines: dict[str, int] = {}
    owner, times_us, up, lines = [], [], [], []
    after = updates = 0
    rows = _objects(path, text) if release is _2019 else _cells(path, text)
    for number, time_us, machine, kind in rows:
        if time_us == _AFTER_US:
            after += 1
            continue
        if not 0 <= time_us <= _LONGEST_US:
            raise ValueError(f"{path}:{number}: time is {time_us}, expected microseconds of at most 400 days")
        if kind not in (release.add, release.remove):
            updates += 1
            continue
        owner.append(machines.setdefault(machine, len(machines)))
        times_us.append(time_us)
        up.append(kind == release.add)
        lines.append(number)
    end_us = max(times_us, default=0)
    if end_us <= _BEGIN_US:
        raise ValueError(f"{path}: no event after the beginning at 600 s, expected machines that come or go")
    begin_s = release.begins_utc.timestamp()
    size = len(machines)
    ends_s = np.full(size, begin_s + (end_us - _BEGIN_US) / 1e6)
    seconds = begin_s + np.maximum(np.array(times_us, dtype=np.float64) - _BEGIN_US, 0.0) / 1e6
    found = sessions_of_changes(np.array(owner), seconds, np.array(up), np.array(lines), ends_s)
    notes = [f"{updates} changes of capacity passed over"] if updates else []
    notes += [f"{after} events after the trace's end passed over"] if after else []
    notes += [f"{found.idle} events changed nothing"] if found.idle else []
    return flat_trace(
        tuple(machines),
        np.arange(size),
        np.full(size, begin_s),
        ends_s,
        found.owner,
        found.start_s,
        found.stop_s,
        clock="utc",
        utc_offset_h=np.full(size, release.local_offset_h),
        simultaneous=True,
        source=f"{path} (google-machines)",
        notes=(*notes, f"trace of {release.year}, which ends with its last event"),
        unit="us of the trace",
        lines=found.lines,
    )


def _cells(path: str | Path, text: str) -> Iterator[tuple[int, int, str, int]]:
    """Line, time, machine and type of the events of 2011."""
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.strip().split(",")
        if parts == [""]:
            continue
        if len(parts) != 6 or not (_whole(parts[0]) and _whole(parts[1]) and parts[2] in ("0", "1", "2")):
            raise ValueError(
                f"{path}:{number}: {brief(line[:70])}, "
                "expected time, machine, type (0, 1, 2), platform, CPUs, memory"
            )
        yield number, int(parts[0]), parts[1], int(parts[2])


def _objects(path: str | Path, text: str) -> Iterator[tuple[int, int, str, int]]:
    """Line, time, machine and type of the events of 2019, whose whole numbers may stand in quotes."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{path}:{number}: {brief(line[:70])}, expected a JSON object a line") from None
        values = [str(row.get(key)) for key in _KEYS] if isinstance(row, dict) else []
        if len(values) != 3 or not all(map(_whole, values)) or values[2] not in ("1", "2", "3"):
            raise ValueError(
                f"{path}:{number}: {brief(line[:70])}, "
                "expected whole numbers as time, machine_id and type (1, 2, 3)"
            )
        yield number, int(values[0]), values[1], int(values[2])


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20
