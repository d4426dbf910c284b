"""This project's own CSV of requests: how many each source was asked in which minute."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from ....common.arrays import Floats
from ....common.files import write_text
from ...records import MINUTE_S, Clock, RequestTrace
from ..parsing import Table, brief, header_cells, plain_number, read_blocks
from .counting import MinuteCounter

_HEADER = ["time", "source", "requests"]
_CLOCKS = ("utc", "day", "none")
# Smaller numbers are seconds since a beginning, not Unix time.
_UNIX_S = 1e8
_MOST_S, _MOST_COUNT = 1e11, 1e9


def recognises(head: str) -> bool:
    """Whether the header is `time,source,requests`; of many sources, only comments stand at first."""
    return header_cells(head, *_HEADER) == _HEADER or head.startswith("# minutes,")


def read(path: str | Path) -> RequestTrace:
    """Read `time,source,requests`, a row per minute and source in which there were any.

    Times are dates or Unix seconds in UTC, or seconds since a beginning. Comments before the header say what
    rows cannot: `# clock,day` that seconds count from a midnight, `# minutes,0,1440` where the trace begins
    and how many minutes it has, `# source,name` that there is a source, in the order in which they count.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "csv")
    clock: Clock | None = None
    begin = minutes = None
    notes: list[str] = []
    for block in read_blocks(path, _HEADER):
        if clock is None:
            said, begin, minutes, names = _comments(path, block.comments)
            clock = said or _clock_of(block)
            counter.know(names)
        times_s = _times(path, block, clock)
        requests = _requests(path, block)
        asked = requests > 0
        counter.add(
            times_s[asked], block.cells("source")[asked], block.lines[asked], requests[asked], gaps=False
        )
        notes += [note for note in block.notes if note not in notes]
    end = None if begin is None or minutes is None else begin + minutes
    unit = (
        "date" if clock == "utc" else "seconds since " + ("a midnight" if clock == "day" else "the beginning")
    )
    return counter.trace(clock or "none", unit, notes, begin, end)


def write_arrivals(trace: RequestTrace, path: str | Path) -> None:
    """Write a trace as `read` reads it: counts, names and clock come back as they are."""
    trace.validate()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    text.write(f"# minutes,{trace.begin_s:.0f},{trace.num_minutes}\n# clock,{trace.clock}\n")
    for name in trace.sources:
        text.write("# ")
        writer.writerow(["source", name])
    writer.writerow(_HEADER)
    minute, source = np.nonzero(trace.counts.T)
    times_s = trace.begin_s + MINUTE_S * minute
    if trace.clock == "utc":
        shown = np.datetime_as_string(
            times_s.astype(np.int64).astype("datetime64[s]"), timezone="UTC"
        ).tolist()
    else:
        shown = times_s.astype(np.int64).tolist()
    counts = trace.counts[source, minute].tolist()
    writer.writerows(zip(shown, (trace.sources[index] for index in source), counts, strict=True))
    write_text(Path(path), text.getvalue())


def _comments(
    path: str | Path, comments: Sequence[tuple[int, str]]
) -> tuple[Clock | None, int | None, int | None, list[str]]:
    """Clock, first minute, number of minutes and names of sources, as far as comments say them."""
    clock: Clock | None = None
    begin = minutes = None
    names: list[str] = []
    for number, line in comments:
        try:
            cells = next(csv.reader([line.lstrip("# ")], strict=True), [])
        except csv.Error as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if cells[:1] == ["clock"] and len(cells) == 2:
            if cells[1] not in _CLOCKS:
                raise ValueError(
                    f"{path}:{number}: clock {brief(cells[1])}, expected one of {', '.join(_CLOCKS)}"
                )
            clock = cast(Clock, cells[1])
        elif cells[:1] == ["minutes"] and len(cells) == 3:
            values = [plain_number(cell) for cell in cells[1:]]
            if not (abs(values[0]) <= _MOST_S and 1 <= values[1] <= _MOST_S):
                raise ValueError(f"{path}:{number}: {brief(line)}, expected # minutes,begin in s,how many")
            begin, minutes = int(values[0] // MINUTE_S), int(values[1])
        elif cells[:1] == ["source"] and len(cells) == 2:
            names.append(cells[1])
    return clock, begin, minutes, names


def _clock_of(block: Table) -> Clock:
    """Seconds since a beginning, or else dates."""
    values = np.array([plain_number(cell) for cell in block.cells("time")])
    return "none" if (np.abs(values) < _UNIX_S).all() else "utc"


def _times(path: str | Path, block: Table, clock: Clock) -> Floats:
    if clock == "utc":
        return block.utc_times("time")
    values = block.numbers("time", ".")
    odd = ~(np.abs(values) <= _MOST_S)
    if odd.any():
        row = int(np.argmax(odd))
        said = brief(block.cells("time").iloc[row])
        raise ValueError(f"{path}:{block.lines[row]}: time is {said}, expected seconds")
    return values


def _requests(path: str | Path, block: Table) -> np.ndarray:
    values = block.numbers("requests", ".")
    odd = ~((values >= 0) & (values <= _MOST_COUNT) & (values == np.floor(values)))
    if odd.any():
        row = int(np.argmax(odd))
        said = brief(block.cells("requests").iloc[row])
        raise ValueError(f"{path}:{block.lines[row]}: requests is {said}, expected a whole number, 0 or more")
    return values.astype(np.int64)
