"""FLASH phones: JSON state windows `{guid: {isSuccess, trace_start, trace_end, ready_time}}`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Floats
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, line_of, read_json

# The log's second zero is 2020-01-02 00:00:00 on the phone's clock, a Thursday.
_MONDAY_SHIFT_S = 3 * 86400.0


def recognises(head: str) -> bool:
    """Whether the beginning shows the format's own keys."""
    return head.lstrip().startswith("{") and '"ready_time"' in head and '"trace_start"' in head


def read(path: str | Path) -> AvailabilityTrace:
    """Read state windows; the phone's own clock counts as local time.

    Devices that were never ready have no times at all in such files; they are left out and counted.

    Raises:
        ValueError: naming the line and the device.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not document:
        raise ValueError(f"{path}: expected a JSON object of devices")
    users: list[str] = []
    begin, end, owner, start, stop = [], [], [], [], []
    never = 0
    for guid, entry in document.items():
        windows = _windows(path, guid, entry)
        if windows is None:
            never += 1
            continue
        first, last, pairs = windows
        index = len(users)
        users.append(str(guid))
        begin.append(first)
        end.append(last)
        owner.append(np.full(len(pairs), index))
        start.append(pairs[:, 0])
        stop.append(pairs[:, 1])
    if not users:
        raise ValueError(f"{path}: none of {never} devices was ever ready, expected at least one")
    note = (f"{never} of {len(document)} devices were never ready and are left out",) if never else ()
    size = len(users)
    return flat_trace(
        tuple(users),
        np.arange(size),
        np.array(begin) + _MONDAY_SHIFT_S,
        np.array(end) + _MONDAY_SHIFT_S,
        np.concatenate(owner),
        np.concatenate(start) + _MONDAY_SHIFT_S,
        np.concatenate(stop) + _MONDAY_SHIFT_S,
        clock="local",
        source=f"{path} (flash)",
        notes=note,
        unit="s on the phone's clock",
    )


def _windows(path: str | Path, guid: str, entry: object) -> tuple[float, float, Floats] | None:
    if not isinstance(entry, dict) or not {"trace_start", "trace_end", "ready_time"} <= entry.keys():
        raise _refusal(path, guid, "expected trace_start, trace_end and ready_time")
    if entry["trace_start"] is None or entry["trace_end"] is None:
        return None
    try:
        first, last = float(entry["trace_start"]), float(entry["trace_end"])
        pairs = np.array(entry["ready_time"], dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise _refusal(path, guid, "expected numbers of seconds and [start, end] pairs") from None
    if not (np.isfinite([first, last]).all() and np.isfinite(pairs).all() and last > first):
        raise _refusal(path, guid, f"trace_start {first:g} and trace_end {last:g}, expected a finite span")
    backward = pairs[:, 1] < pairs[:, 0]
    if backward.any():
        index = int(np.argmax(backward))
        raise _refusal(path, guid, f"ready_time[{index}] ends before it starts", "ready_time", index)
    return first, last, pairs


def _refusal(path: str | Path, guid: str, why: str, *steps: str | int) -> ValueError:
    return ValueError(f"{path}:{line_of(path, guid, *steps)}: device {brief(guid)}: {why}")
