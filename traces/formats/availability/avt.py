"""`.avt` of the Repository of Availability Traces: Skype superpeers, PlanetLab, KAD, servers, PCs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...records import AvailabilityTrace, are_unix_times, flat_trace
from ..parsing import brief, plain_number, read_text


def recognises(head: str) -> bool:
    """Whether the first line that is no comment is `node count start end ...`, as long as it says."""
    line = next((line for line in head.splitlines() if line.strip() and not line.startswith("#")), "")
    parts = line.split()
    return (
        len(parts) >= 4
        and _whole(parts[1])
        and len(parts) == 2 + 2 * int(parts[1])
        and all(map(_whole, parts[2:]))
    )


def read(path: str | Path) -> AvailabilityTrace:
    """Read `node count start end start end ...`: the intervals in which a node was up, in seconds.

    All nodes count as observed from the file's first second to its last. The format is that of Godfrey's
    repository (pbg.cs.illinois.edu/availability), as public readers of it take it
    (it.unitn.disi.utils.tracetools.AVTReplay).

    Raises:
        ValueError: with path and line number.
    """
    names: list[str] = []
    owner: list[int] = []
    times: list[float] = []
    lines: list[int] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        if len(parts) < 2 or not _whole(parts[1]) or len(parts) != 2 + 2 * int(parts[1]):
            raise ValueError(
                f"{path}:{number}: {brief(line[:60])}, expected node, count, so many pairs of start and end"
            )
        before = -np.inf
        for part in parts[2:]:
            value = plain_number(part)
            if not value >= before:
                raise ValueError(f"{path}:{number}: {brief(part)}, expected seconds that do not go back")
            before = value
            times.append(value)
        owner += [len(names)] * int(parts[1])
        lines += [number] * int(parts[1])
        names.append(parts[0])
    if not times:
        raise ValueError(f"{path}: no interval, expected lines of node, count, start, end, ...")
    stamps = np.array(times).reshape(-1, 2)
    unix = are_unix_times(stamps)
    size = len(names)
    if stamps.min() == stamps.max():
        raise ValueError(f"{path}: no span of time, expected intervals that last")
    return flat_trace(
        tuple(names),
        np.arange(size),
        np.full(size, float(stamps.min())),
        np.full(size, float(stamps.max())),
        np.array(owner, dtype=np.int64),
        stamps[:, 0],
        stamps[:, 1],
        clock="utc" if unix else "none",
        simultaneous=True,
        source=f"{path} (avt)",
        notes=("nodes count as observed from the file's first second to its last",),
        unit="Unix seconds" if unix else "s",
        lines=np.array(lines),
    )


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15
