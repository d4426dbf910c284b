"""Columns of text turned into numbers and times, with the line number of the first bad cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....common.arrays import Floats
from .text import brief

if TYPE_CHECKING:
    import pandas as pd


# What providers write where a number is missing.
MISSING = frozenset({"", "n/e", "n/a", "na", "nan", "null", "none", "-", "--"})
_EARLIEST_S, _LATEST_S = -2208988800.0, 7258118400.0  # 1900 to 2200


def numbers(path: str | Path, column: pd.Series, what: str, first_line: int = 2) -> Floats:
    """A column as float64, NaN where the provider says that it is missing.

    Raises:
        ValueError: at the first cell that is neither a number nor a known word for a missing one.
    """
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    suspicious = ~np.isfinite(values)
    for row in np.flatnonzero(suspicious):
        cell = str(column.iloc[row]).strip()
        if cell.lower() not in MISSING:
            raise ValueError(f"{path}:{row + first_line}: {what} is {brief(cell)}, expected a number")
    values[suspicious] = np.nan
    return values


def utc_times(path: str | Path, column: pd.Series, what: str, first_line: int = 2) -> Floats:
    """A column of timestamps as Unix seconds; those without a zone count as UTC.

    Raises:
        ValueError: at the first cell that is not a time.
    """
    import pandas as pd

    parsed = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    bad = parsed.isna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        cell = brief(column.iloc[row])
        raise ValueError(
            f"{path}:{row + first_line}: {what} is {cell}, expected a time like 2023-01-01 00:00"
        )
    naive = parsed.dt.tz_localize(None)
    return np.asarray((naive - pd.Timestamp("1970-01-01")).dt.total_seconds(), dtype=np.float64)


def find_column(columns: Sequence[str], *words: str, without: Sequence[str] = ()) -> str | None:
    """The first column whose name holds all words and none of `without`, whatever the case."""
    for name in columns:
        low = name.lower()
        if all(word in low for word in words) and not any(word in low for word in without):
            return name
    return None


def check_time(path: str | Path, unix_s: float, line: int) -> float:
    """A Unix time, refused if it lies outside 1900 to 2200 (a sign of another unit)."""
    if not _EARLIEST_S <= unix_s <= _LATEST_S:
        raise ValueError(
            f"{path}:{line}: Unix time {unix_s:g} s is outside 1900-2200; is the unit another one?"
        )
    return unix_s
