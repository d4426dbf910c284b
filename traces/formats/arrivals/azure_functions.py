"""Azure Functions: invocations by the minute in 2019, and one by one in 2021."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ....common.arrays import Ints
from ...records import RequestTrace
from ..parsing import Table, brief, header_cells, plain_number, read_blocks
from .counting import MinuteCounter

_KEYS_2019 = ("HashOwner", "HashApp", "HashFunction", "Trigger")
_COLUMNS_2021 = ("app", "func", "end_timestamp", "duration")
_DAY_MINUTES = 1440
_DAY = re.compile(r"\.d(\d\d)\b")
_MOST_COUNT = 1e9


def recognises_2019(head: str) -> bool:
    """Whether the header begins `HashOwner,HashApp,HashFunction,Trigger,1`."""
    return header_cells(head, *_KEYS_2019)[:5] == [*(name.lower() for name in _KEYS_2019), "1"]


def recognises_2021(head: str) -> bool:
    """Whether the header is `app,func,end_timestamp,duration`."""
    return header_cells(head) == list(_COLUMNS_2021)


def read_2019(path: str | Path) -> RequestTrace:
    """Read `invocations_per_function_md.anon.d01.csv` and its like: a row per function, a column per minute.

    A source is an application, the unit to which resources are given; its functions are added up. The 1,440
    minutes are those of a day (AzureFunctionsDataset2019.md of github.com/Azure/AzurePublicDataset: July
    2019, no date and no zone are told); the day's number is in the file's name, so that files may be given
    together.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "azure-functions-2019")
    numbered = _DAY.search(Path(path).name)
    first = (int(numbered[1]) - 1) * _DAY_MINUTES if numbered and int(numbered[1]) else 0
    functions = 0
    for block in read_blocks(path, _KEYS_2019):
        invocations = _invocations(path, block)
        codes, apps = pd.factorize(block.cells("HashApp"))
        if not all(name and name.isprintable() and len(name) <= 200 for name in apps):
            raise ValueError(f"{path}:{block.lines[0]}: a HashApp of this block is no name, expected names")
        by_app = np.zeros((len(apps), _DAY_MINUTES), dtype=np.int64)
        np.add.at(by_app, codes, invocations)
        app, minute = np.nonzero(by_app)
        counter.add_minutes(app, minute + first, by_app[app, minute], list(map(str, apps)))
        functions += len(codes)
    return counter.trace(
        "day",
        "invocations in the minute of a day",
        (f"{functions:,} functions added up by application",),
        first,
        first + _DAY_MINUTES,
    )


def read_2021(path: str | Path) -> RequestTrace:
    """Read `app,func,end_timestamp,duration` in seconds: a request begins its duration before its end.

    A source is an application. Times count from the trace's beginning, 31 January 2021, and were modified
    (AzureFunctionsInvocationTrace2021.md of github.com/Azure/AzurePublicDataset), so that no time of day is
    known.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "azure-functions-2021")
    for block in read_blocks(path, _COLUMNS_2021):
        end_s, lasts_s = block.numbers("end_timestamp", "."), block.numbers("duration", ".")
        bad = ~(lasts_s >= 0)
        if bad.any():
            row = int(np.argmax(bad))
            said = brief(block.cells("duration").iloc[row])
            raise ValueError(f"{path}:{block.lines[row]}: duration is {said}, expected seconds, 0 or more")
        counter.add(end_s - lasts_s, block.cells("app"), block.lines, gaps=False)
    return counter.trace("none", "seconds since the beginning, of the end", ("begin = end - duration",))


def _invocations(path: str | Path, block: Table) -> Ints:
    """Counts `[K, 1440]` of a block's functions."""
    names = [str(minute) for minute in range(1, _DAY_MINUTES + 1)]
    there = set(block.columns)
    missing = next((name for name in names if name not in there), None)
    if missing is not None:
        raise ValueError(
            f"{path}:{block.header_line}: no column {missing!r}, expected one for each minute of a day"
        )
    cells = block.frame[names].to_numpy()
    try:
        values = cells.astype(np.float64)
    except (ValueError, OverflowError):
        # Cell by cell, so that the first bad one is named; empty ones are none.
        plain = [plain_number(cell) if cell.strip() else 0.0 for cell in cells.ravel()]
        values = np.array(plain).reshape(cells.shape)
    bad = ~((values >= 0) & (values <= _MOST_COUNT) & (values == np.floor(values)))
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        said = brief(cells[row, column])
        raise ValueError(
            f"{path}:{block.lines[row]}: minute {names[column]} is {said}, expected a whole number"
        )
    return np.asarray(values.astype(np.int64))
