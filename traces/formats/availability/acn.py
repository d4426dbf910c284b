"""ACN-Data: charging sessions of electric cars at Caltech, JPL and an office, JSON of the web API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path

import numpy as np

from ...numerics import utc_offset_h
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, check_time, lines_of, read_json

_TIMES = ("connectionTime", "disconnectTime")


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys, in the API's envelope or in a plain list."""
    return head.lstrip()[:1] in ("{", "[") and '"connectionTime"' in head and '"stationID"' in head


def read(path: str | Path, users: bool = False) -> AvailabilityTrace:
    """Read sessions `{"stationID", "userID", "connectionTime", "disconnectTime", "timezone", ...}`.

    A client is a charging station, available while a car is connected to it; or, if asked for, a registered
    driver (sessions without one, the larger part, are left out). Fields and the style of times (RFC 1123,
    GMT) as in ACN-Data's API and its client (Lee, Li, Low 2019; github.com/zach401/acnportal).

    Args:
        path: `{"_items": [...]}` as the API and the web page give it, or a list of sessions.
        users: whether clients are drivers.

    Raises:
        ValueError: naming the line and the field.
    """
    found = _sessions(path, "userID" if users else "stationID")
    clients = {name: index for index, name in enumerate(dict.fromkeys(found.names))}
    stamps, size = np.array(found.times), len(clients)
    low, high = float(stamps.min()), float(stamps.max())
    offsets = [utc_offset_h(zone if isinstance(zone, str) else None, low) for zone in found.zones.values()]
    return flat_trace(
        tuple(clients),
        np.arange(size),
        np.full(size, low),
        np.full(size, high),
        np.array([clients[name] for name in found.names], dtype=np.int64),
        stamps[:, 0],
        stamps[:, 1],
        clock="utc",
        utc_offset_h=np.array(offsets),
        simultaneous=True,
        source=f"{path} ({'acn-users' if users else 'acn'})",
        notes=(*found.notes, "clients count as observed from the file's first moment to its last"),
        unit="GMT",
        lines=np.array(found.lines),
    )


@dataclass
class _Sessions:
    """Sessions of a file, with the line of each."""

    names: list[str] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    zones: dict[str, object] = field(default_factory=dict)  # time zone of each client
    notes: list[str] = field(default_factory=list)


def _sessions(path: str | Path, key: str) -> _Sessions:
    """The sessions of clients that `key` names."""
    document = read_json(path)
    rows = document.get("_items") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}:1: expected a list of sessions, alone or under '_items'")
    lines = lines_of(path, len(rows), "_items")
    found = _Sessions()
    nameless = running = 0
    for row, line in zip(rows, lines.tolist(), strict=True):
        if not isinstance(row, dict) or not {*_TIMES, "stationID"} <= row.keys():
            raise ValueError(f"{path}:{line}: expected a session with stationID, {' and '.join(_TIMES)}")
        if row.get(key) is None:
            nameless += 1
            continue
        if row["disconnectTime"] is None:
            running += 1
            continue
        start_s, stop_s = (_time(path, line, name, row[name]) for name in _TIMES)
        if stop_s < start_s:
            raise ValueError(f"{path}:{line}: disconnectTime lies before connectionTime")
        found.names.append(_name(path, line, key, row[key]))
        found.zones.setdefault(found.names[-1], row.get("timezone"))
        found.times.append((start_s, stop_s))
        found.lines.append(line)
    if not found.names:
        raise ValueError(f"{path}: no session with {key} and an end, expected at least one")
    found.notes += [f"{nameless} sessions without {key} left out"] if nameless else []
    found.notes += [f"{running} sessions without an end left out"] if running else []
    return found


def _name(path: str | Path, line: int, key: str, value: object) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise ValueError(f"{path}:{line}: {key} is {brief(value)}, expected a name or a number")
    return str(value)


def _time(path: str | Path, line: int, what: str, value: object) -> float:
    """A time as "Wed, 25 Apr 2018 11:08:04 GMT" in Unix seconds; the names of days are English everywhere."""
    try:
        stamp: datetime = parsedate_to_datetime(value)  # type: ignore[arg-type]  # whatever it is
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)
        unix_s = stamp.timestamp()
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise ValueError(
            f"{path}:{line}: {what} is {brief(value)}, expected a time like 'Wed, 25 Apr 2018 11:08:04 GMT'"
        ) from None
    return check_time(path, unix_s, line)
