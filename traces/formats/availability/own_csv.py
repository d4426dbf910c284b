"""The project's own availability CSV: `client,start,end`, written and read back without loss."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ....common.files import write_text
from ...records import AvailabilityTrace, flat_trace
from ..parsing import brief, check_time, read_text

_HEADER = ["client", "start", "end"]


def recognises(head: str) -> bool:
    """Whether the first line that is no comment is `client,start,end`.

    A file of many recordings shows nothing but comments at first; then the first of them decides.
    """
    lines = head.splitlines()
    for line in lines:
        if not line.startswith("#"):
            return [part.strip().lower() for part in line.split(",")] == _HEADER
    return bool(lines) and lines[0].startswith("# clock,")


def write(trace: AvailabilityTrace, path: str | Path) -> None:
    """Write a trace. Comments carry what the three columns cannot: clock, recordings, zones.

    Raises:
        ValueError: the trace breaks the promises of its class: a client's name of two lines, for one.
    """
    trace.validate()
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    out.write(f"# clock,{trace.clock}\n# simultaneous,{int(trace.simultaneous)}\n")
    groups = trace.group or ("",) * len(trace.users)
    for index in range(trace.num_recordings):
        name = trace.users[trace.user[index]]
        out.write("# recording,")
        window = [float(trace.begin_s[index]), float(trace.end_s[index]), float(trace.utc_offset_h[index])]
        rows.writerow([name, *map(repr, window), groups[trace.user[index]]])
    rows.writerow(_HEADER)
    owner = trace.user[trace.session_recording]
    for user, start_s, end_s in zip(owner, trace.session_start_s, trace.session_end_s, strict=True):
        name = trace.users[user]
        # Unquoted, such a name would make the row a comment.
        (quoted if name.startswith("#") else rows).writerow([name, repr(float(start_s)), repr(float(end_s))])
    write_text(Path(path), out.getvalue())


def read(path: str | Path) -> AvailabilityTrace:
    """Read sessions; times are seconds, or UTC such as 2024-05-01T12:00:00Z.

    Without `# recording` comments every client is taken as observed over the whole span of the file.

    Raises:
        ValueError: with path and line number.
    """
    clock, simultaneous = "", True
    windows: list[tuple[str, float, float, float, str]] = []
    clients: list[str] = []
    lines: list[int] = []
    times: list[tuple[float, float]] = []
    utc = False
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        cells = _cells(path, number, line)
        if line.startswith("#"):
            word = cells[0].lstrip("# ").strip().lower()
            if word == "clock" and len(cells) > 1:
                clock = cells[1].strip()
            elif word == "simultaneous" and len(cells) > 1:
                simultaneous = cells[1].strip() == "1"
            elif word == "recording":
                windows.append(_window(path, number, cells))
            continue
        if [cell.strip().lower() for cell in cells] == _HEADER:
            continue
        if len(cells) != 3:
            raise ValueError(f"{path}:{number}: {len(cells)} columns, expected client,start,end")
        start_s, dated = _time(path, number, "start", cells[1])
        end_s, _ = _time(path, number, "end", cells[2])
        if end_s < start_s:
            raise ValueError(f"{path}:{number}: the session ends before it starts")
        utc |= dated
        clients.append(cells[0])
        lines.append(number)
        times.append((start_s, end_s))
    clock = clock or ("utc" if utc else "none")
    if clock not in ("utc", "local", "none"):
        raise ValueError(f"{path}: clock {brief(clock)}, expected utc, local or none")
    return _assemble(path, clock, simultaneous, windows, clients, times, lines)


def _assemble(
    path: str | Path,
    clock: str,
    simultaneous: bool,
    windows: list[tuple[str, float, float, float, str]],
    clients: Sequence[str],
    times: list[tuple[float, float]],
    lines: Sequence[int],
) -> AvailabilityTrace:
    stamps = np.array(times, dtype=np.float64).reshape(-1, 2)
    if not windows:
        if not clients:
            raise ValueError(f"{path}: no session and no recording")
        low, high = float(stamps.min()), float(stamps.max())
        windows = [(name, low, high, 0.0, "") for name in dict.fromkeys(clients)]
    names = {name: index for index, name in enumerate(dict.fromkeys(window[0] for window in windows))}
    groups = {window[0]: window[4] for window in windows}
    user = np.array([names[window[0]] for window in windows])
    begin_s, end_s = np.array([w[1] for w in windows]), np.array([w[2] for w in windows])
    if not (end_s > begin_s).all():
        raise ValueError(f"{path}: a recording has no span of time")
    for name, line in zip(clients, lines, strict=True):
        if name not in names:
            raise ValueError(f"{path}:{line}: client {brief(name)} has sessions but no recording")
    client = np.array([names[name] for name in clients], dtype=np.int64)
    owner = _owners(path, user, begin_s, client, stamps, lines)
    return flat_trace(
        tuple(names),
        user,
        begin_s,
        end_s,
        owner,
        stamps[:, 0],
        stamps[:, 1],
        clock=clock,
        utc_offset_h=np.array([w[3] for w in windows]),
        simultaneous=simultaneous,
        group=tuple(groups.values()) if any(groups.values()) else (),
        source=f"{path} (csv)",
    )


def _owners(
    path: str | Path,
    user: Ints,
    begin_s: Floats,
    client: Ints,
    stamps: Floats,
    lines: Sequence[int],
) -> Ints:
    """The recording of each session: the client's last one that begins no later than the session."""
    # Times as ranks, so that (client, time) pairs are whole numbers and compare exactly.
    times, rank = np.unique(np.concatenate([begin_s, stamps[:, 0]]), return_inverse=True)
    recorded = user * times.size + rank[: user.size]
    order = np.argsort(recorded, kind="stable")
    place = np.searchsorted(recorded[order], client * times.size + rank[user.size :], side="right") - 1
    owner = order[np.maximum(place, 0)]
    before = (user[owner] != client) | (place < 0)
    if before.any():
        line = lines[int(np.argmax(before))]
        raise ValueError(f"{path}:{line}: a session lies before its client's first recording")
    return owner


def _cells(path: str | Path, number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}:{number}: {error}") from None


def _window(path: str | Path, number: int, cells: list[str]) -> tuple[str, float, float, float, str]:
    try:
        name, begin, end, offset, group = (
            cells[1],
            *map(float, cells[2:5]),
            cells[5] if len(cells) > 5 else "",
        )
    except (IndexError, ValueError):
        raise ValueError(
            f"{path}:{number}: expected # recording,client,begin,end,utc_offset_h[,group]"
        ) from None
    if not (np.isfinite([begin, end]).all() and -14 <= offset <= 14):
        raise ValueError(f"{path}:{number}: the recording's window is not finite")
    return name, begin, end, offset, group


def _time(path: str | Path, number: int, what: str, cell: str) -> tuple[float, bool]:
    text = cell.strip()
    try:
        value, dated = float(text), False
    except ValueError:
        try:
            stamp = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise ValueError(f"{path}:{number}: {what} is {brief(cell)}, expected seconds or UTC") from None
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)
        value, dated = stamp.timestamp(), True
    return check_time(path, value, number), dated
