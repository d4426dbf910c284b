"""FedScale client behaviour: a pickle `{id: {duration, active, inactive, finish_time, model}}`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, is_pickle, load_plain

_NOTE = "a subset of the original is the most available part of it: its clients are sorted by availability"


def recognises(head: str) -> bool:
    """Whether the first bytes are those of a pickle."""
    return is_pickle(head.encode("latin-1"))


def read(path: str | Path) -> AvailabilityTrace:
    """Read `active` to `inactive` windows, which repeat after `finish_time`.

    Second zero is the client's own first event, so that no time of day is known.

    Raises:
        ValueError: naming the client; also if the pickle is not plain, and nothing in it is run.
    """
    document = load_plain(path)
    if not isinstance(document, dict) or not document:
        raise ValueError(f"{path}: expected a dictionary of clients")
    users, finish, owner, start, stop = [], [], [], [], []
    for index, (client, entry) in enumerate(document.items()):
        where = f"{path}: client {brief(client)}"
        if not isinstance(entry, dict) or not {"active", "inactive", "finish_time"} <= entry.keys():
            raise ValueError(f"{where}: expected active, inactive and finish_time")
        active, inactive, last = entry["active"], entry["inactive"], entry["finish_time"]
        numbers = _numbers(active) and _numbers(inactive) and isinstance(last, (int, float))
        if not numbers or len(active) != len(inactive) or not 0 < last < 1e9:
            raise ValueError(f"{where}: expected as many active as inactive seconds and a finish_time")
        begins, ends = np.array(active, dtype=np.float64), np.array(inactive, dtype=np.float64)
        if not (np.isfinite(begins).all() and np.isfinite(ends).all()) or (ends < begins).any():
            raise ValueError(f"{where}: a window ends before it starts")
        users.append(str(client))
        finish.append(float(last))
        owner.append(np.full(begins.size, index))
        start.append(begins)
        stop.append(ends)
    size = len(users)
    return flat_trace(
        tuple(users),
        np.arange(size),
        np.zeros(size),
        np.array(finish),
        np.concatenate(owner),
        np.concatenate(start),
        np.concatenate(stop),
        clock="none",
        source=f"{path} (fedscale)",
        notes=(_NOTE,),
        unit="s",
    )


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, (int, float)) for item in value)
