"""STUNner phones (University of Szeged): one user-week per line of blank-separated text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....common.arrays import Floats
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, check_time, plain_number, read_text


def recognises(head: str) -> bool:
    """Whether the first line is `user state start_ms tz_h d1 ...`."""
    parts = head.split("\n", 1)[0].split()
    return (
        len(parts) >= 5
        and parts[1] in ("0", "1")
        and len(parts[2]) >= 12
        and all(_whole(part) for part in parts[2:6])
    )


def read(path: str | Path) -> AvailabilityTrace:
    """Read `user first_state start_ms tz_h d1 d2 ...`: durations in ms of states that alternate.

    A line with one duration never changed its state. Weeks of one user are separate recordings.

    Raises:
        ValueError: with path and line number.
    """
    names: dict[str, int] = {}
    user, begin, offset, states = [], [], [], []
    lengths = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) < 5:
            raise ValueError(
                f"{path}:{number}: {len(parts)} fields, "
                "expected user, state, start in ms, offset in h and durations"
            )
        durations = np.array([plain_number(part) for part in parts[4:]])
        if not all(map(_whole, parts[1:4])) or np.isnan(durations).any():
            raise ValueError(f"{path}:{number}: {brief(line[:60])} holds something that is no number")
        head = [int(part) for part in parts[1:4]]
        _check(path, number, head, durations)
        user.append(names.setdefault(parts[0], len(names)))
        begin.append(check_time(path, head[1] / 1000.0, number))
        states.append(head[0])
        offset.append(float(head[2]))
        lengths.append(durations)
    if not lengths:
        raise ValueError(f"{path}: no user-week, expected lines of user, state, start, offset, durations")
    return _assemble(path, tuple(names), user, begin, offset, states, lengths)


def _assemble(
    path: str | Path,
    names: tuple[str, ...],
    user: list[int],
    begin: list[float],
    offset: list[float],
    states: list[int],
    lengths: list[Floats],
) -> AvailabilityTrace:
    sizes = np.array([row.size for row in lengths])
    first = np.cumsum(sizes) - sizes
    edges = np.cumsum(np.concatenate(lengths))
    before = np.where(first > 0, edges[first - 1], 0.0)
    begin_s = np.array(begin)
    owner = np.repeat(np.arange(sizes.size), sizes)
    stop_s = begin_s[owner] + (edges - before[owner]) / 1000.0
    start_s = np.concatenate([[0.0], stop_s[:-1]])
    start_s[first] = begin_s
    place = np.arange(owner.size) - first[owner]
    on = (place % 2 == 0) == (np.array(states)[owner] == 1)
    return flat_trace(
        names,
        np.array(user),
        begin_s,
        stop_s[first + sizes - 1],
        owner[on],
        start_s[on],
        stop_s[on],
        clock="utc",
        utc_offset_h=np.array(offset),
        source=f"{path} (stunner)",
        unit="ms",
    )


def _check(path: str | Path, number: int, head: list[int], durations: Floats) -> None:
    if head[0] not in (0, 1):
        raise ValueError(f"{path}:{number}: state {head[0]}, expected 0 or 1")
    if not -14 <= head[2] <= 14:
        raise ValueError(f"{path}:{number}: time zone offset {head[2]} h, expected -14 to 14")
    if not np.isfinite(durations).all() or (durations < 0).any() or durations.sum() <= 0:
        raise ValueError(f"{path}:{number}: durations, expected numbers of ms of which none is negative")
    if durations.sum() > 400 * 86400e3:
        raise ValueError(f"{path}:{number}: durations sum to more than 400 days, expected ms")


def _whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 20
