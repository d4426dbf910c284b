"""The project's own availability CSV: `client,start,end`, written and read back without loss."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....common.arrays import Floats, Ints
from ....common.files import write_text
from ...records import AvailabilityTrace, are_unix_times, flat_trace
from ..parsing import Table, brief, check_time, header_cells, plain_number, read_table

_HEADER = ["client", "start", "end"]


def recognises(head: str) -> bool:
    """Whether the header is `client,start,end`, quoted or not.

    A file of many recordings shows nothing but comments at first; then the first of them decides.
    """
    named = [name for name in header_cells(head, *_HEADER) if name]
    return named == _HEADER or head.startswith("# clock,")


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
    """Read sessions; times are UTC such as 2024-05-01T12:00:00Z, or seconds.

    Without `# recording` comments every client is taken as observed over the whole span of the file. Without
    a `# clock` comment seconds are Unix time, and so UTC, unless they are too few for that; then they count
    from an unknown beginning.

    Raises:
        ValueError: with path and line number.
    """
    table = read_table(path, _HEADER, empty=True)
    comments = _Comments.of(path, table)
    again = np.ones(table.lines.size, dtype=bool)
    for name in _HEADER:
        again &= (table.cells(name).str.lower() == name).to_numpy(dtype=bool)
    table = table.only(~again)  # files put behind each other repeat their headers
    stamps, dated = _times(path, table)
    clock, unit, notes = comments.clock, "ISO 8601" if dated else "s", []
    if dated and clock not in ("", "utc"):
        raise ValueError(f"{path}:{table.lines[0]}: a date and time, expected seconds on the clock {clock!r}")
    if not clock and not dated:
        edges = np.array([edge for window in comments.windows for edge in window[1:3]])
        clock = "utc" if are_unix_times(np.concatenate([edges, stamps.ravel()])) else "none"
        notes.append(
            "times count as Unix seconds (UTC)"
            if clock == "utc"
            else "times count as seconds since an unknown beginning: no time of day is known"
        )
    clock = clock or "utc"
    unit = "Unix seconds" if clock == "utc" and not dated else unit
    return _assemble(path, table, stamps, comments, (clock, unit, (*table.notes, *notes)))


@dataclass
class _Comments:
    """What comments carry: the clock, whether users were watched together, and their recordings."""

    clock: str = ""
    simultaneous: bool = True
    windows: list[tuple[str, float, float, float, str]] = field(default_factory=list)

    @classmethod
    def of(cls, path: str | Path, table: Table) -> _Comments:
        """The comments of a table; those that begin with no word of ours are passed over."""
        found = cls()
        for number, line in table.comments:
            word = line.lstrip("# ").partition(table.separator)[0].strip().lower()
            if word not in ("clock", "simultaneous", "recording"):
                continue
            cells = _cells(path, number, line, table.separator)
            if word == "recording":
                found.windows.append(_window(path, number, cells))
            elif word == "clock":
                found.clock = cells[1].strip() if len(cells) > 1 else ""
                if found.clock not in ("utc", "local", "none"):
                    raise ValueError(
                        f"{path}:{number}: clock {brief(found.clock)}, expected utc, local or none"
                    )
            else:
                found.simultaneous = len(cells) > 1 and cells[1].strip() == "1"
        return found


def _times(path: str | Path, table: Table) -> tuple[Floats, bool]:
    """Starts and ends `[K, 2]`, and whether they are dates and times rather than numbers of seconds."""
    if not table.lines.size:
        return np.empty((0, 2)), False
    dated = [
        table.cells(name).str.contains(r"\d[-:T]", regex=True).to_numpy(dtype=bool) for name in _HEADER[1:]
    ]
    first = bool(dated[0][0])
    for name, column in zip(_HEADER[1:], dated, strict=True):
        if (column != first).any():
            row = int(np.argmax(column != first))
            raise ValueError(
                f"{path}:{table.lines[row]}: {name} is {brief(table.cells(name).iloc[row])}, expected "
                f"{'UTC' if first else 'seconds'} as in line {table.lines[0]}: a file has one clock"
            )
    columns = [table.utc_times(name) if first else _seconds(table, name) for name in _HEADER[1:]]
    for name, values in zip(_HEADER[1:], columns, strict=True):
        bad = ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            said = brief(table.cells(name).iloc[row])
            raise ValueError(f"{path}:{table.lines[row]}: {name} is {said}, expected seconds or UTC")
        for index in np.flatnonzero(np.abs(values) > 2e9):
            check_time(path, float(values[index]), int(table.lines[index]))
    return np.stack(columns, axis=1), first


def _seconds(table: Table, name: str) -> Floats:
    """A column of numbers, each to the last bit as it was written; or with decimal commas."""
    cells = table.cells(name)
    if cells.str.contains(",", regex=False).any():
        return table.numbers(name)
    return np.array([plain_number(cell) for cell in cells])


def _assemble(
    path: str | Path,
    table: Table,
    stamps: Floats,
    comments: _Comments,
    known: tuple[str, str, tuple[str, ...]],
) -> AvailabilityTrace:
    """The trace; `known` is its clock, the unit of its times, and what was noted."""
    clients, windows = table.frame[table.named("client")].tolist(), comments.windows
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
        raise ValueError(
            f"{path}: a recording has no span of time, expected sessions or recordings that last"
        )
    for name, line in zip(clients, table.lines, strict=True):
        if name not in names:
            raise ValueError(f"{path}:{line}: client {brief(name)} has sessions but no recording")
    client = np.array([names[name] for name in clients], dtype=np.int64)
    clock, unit, notes = known
    return flat_trace(
        tuple(names),
        user,
        begin_s,
        end_s,
        _owners(path, user, begin_s, client, stamps, table.lines),
        stamps[:, 0],
        stamps[:, 1],
        clock=clock,
        utc_offset_h=np.array([w[3] for w in windows]),
        simultaneous=comments.simultaneous,
        group=tuple(groups.values()) if any(groups.values()) else (),
        source=f"{path} (csv)",
        notes=notes,
        unit=unit,
        lines=table.lines,
    )


def _owners(
    path: str | Path,
    user: Ints,
    begin_s: Floats,
    client: Ints,
    stamps: Floats,
    lines: Ints,
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


def _cells(path: str | Path, number: int, line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True, delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"{path}:{number}: {error}") from None


def _window(path: str | Path, number: int, cells: list[str]) -> tuple[str, float, float, float, str]:
    try:
        name, begin, end, offset, group = (
            cells[1],
            *map(plain_number, cells[2:5]),
            cells[5] if len(cells) > 5 else "",
        )
    except (IndexError, ValueError):
        raise ValueError(
            f"{path}:{number}: expected # recording,client,begin,end,utc_offset_h[,group]"
        ) from None
    if not (begin < end and np.isfinite([begin, end]).all() and -14 <= offset <= 14):
        raise ValueError(
            f"{path}:{number}: a recording from {begin:g} to {end:g} s, {offset:g} h from UTC, "
            "expected a span of seconds and an offset of -14 to 14 h"
        )
    return name, begin, end, offset, group
