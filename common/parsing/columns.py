"""Columns of text turned into numbers and times, with the line number of the first bad cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Floats, Ints
from .text import brief

if TYPE_CHECKING:
    import pandas as pd


# What providers write where a number is missing.
MISSING = frozenset({"", "n/e", "n/a", "na", "nan", "null", "none", "-", "--"})
_LARGEST = 1e300
_EARLIEST_S, _LATEST_S = -2208988800.0, 7258118400.0  # 1900 to 2200
# "1.234.567,8" and "1,234,567.8", and a cell whose only separator may be of thousands.
_STYLED = {
    ",": re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?$"),
    ".": re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?$"),
}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+$")
_ZONED = r"[T ]\d\d(?::?\d\d){0,2}(?:[.,]\d+)?(?:[zZ]|[+-]\d\d:?(?:\d\d)?)$"
_UNIX_S, _UNIX_MS = r"\d{9,10}(?:\.\d+)?$", r"\d{12,13}$"


def numbers(
    path: str | Path,
    column: pd.Series,
    what: str,
    lines: Sequence[int] | Ints,
    decimal: str | None = None,
) -> tuple[Floats, bool]:
    """A column as float64, NaN where the provider says that it is missing, and whether commas are decimal.

    Args:
        path: for messages.
        column: cells without surrounding blanks.
        what: the column's name, for messages.
        lines: the line of each cell.
        decimal: "." or "," where the format says which; otherwise the cells tell, and are refused if they
            do not ("1,234" may be either).

    Raises:
        ValueError: at the first cell that is neither a number nor a known word for a missing one.
    """
    values = _to_floats(column)
    words = column.str.lower()
    missing = words.isin(MISSING).to_numpy(dtype=bool)
    strange = ~missing & ~np.isfinite(values)
    comma = decimal == ","
    if comma or column[strange].str.contains(",", regex=False).any():
        decimal = decimal or _decimal(path, column[strange], what, np.asarray(lines)[strange])
        comma = decimal == ","
        other = "." if comma else ","
        plain = column.str.replace(other, "", regex=False).str.replace(",", ".", regex=False)
        values = _to_floats(plain)
        styled = column.str.match(_STYLED[decimal]).to_numpy(dtype=bool)
        strange = ~missing & ~(np.isfinite(values) & styled)
    # What is converted to another unit stays finite.
    strange |= np.abs(values) > _LARGEST
    if strange.any():
        row = int(np.argmax(strange))
        style = f" with decimal {'commas' if comma else 'points'}" if decimal else ""
        raise ValueError(
            f"{path}:{lines[row]}: {what} is {brief(column.iloc[row])}, expected a number{style}"
        )
    values[missing] = np.nan
    return values, comma


def _to_floats(column: pd.Series) -> Floats:
    """Cells as numbers to the last bit, NaN for all others; pandas older than 3 rounds otherwise."""
    import pandas as pd

    values: Floats = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    known = np.isfinite(values)
    values[known] = [float(cell) for cell in column[known]]
    return values


def _decimal(path: str | Path, cells: pd.Series, what: str, lines: Ints) -> str:
    """Whether commas in cells are decimal or stand between thousands; refused if both may be."""
    for cell in cells:
        if "," in cell and not _EITHER.match(cell):
            return "," if cell.rfind(",") > cell.rfind(".") else "."
    row = int(np.argmax(cells.str.contains(",", regex=False).to_numpy()))
    raise ValueError(
        f"{path}:{lines[row]}: {what} is {brief(cells.iloc[row])}: the comma may be decimal or stand between "
        "thousands; write numbers with decimal points"
    )


def plain_number(text: str) -> float:
    """A number in ASCII digits as Python reads it, to the last bit; NaN for anything else."""
    try:
        return float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return np.nan


def utc_times(path: str | Path, column: pd.Series, what: str, lines: Sequence[int] | Ints) -> Floats:
    """A column of timestamps as Unix seconds; those without a zone count as UTC.

    Args:
        path: for messages.
        column: cells without surrounding blanks: ISO 8601, or Unix time in seconds or milliseconds.
        what: the column's name, for messages.
        lines: the line of each cell.

    Raises:
        ValueError: at the first cell that is not a time, or has a zone where others have none.
    """
    import pandas as pd

    for form, per_s in ((_UNIX_S, 1.0), (_UNIX_MS, 1000.0)):
        if column.str.match(form).all():
            return column.to_numpy(dtype=np.float64) / per_s
    plain = column.str.replace(r"(?<!\s)\s*(?:UTC|GMT)$", "Z", regex=True)
    parsed = pd.to_datetime(plain, utc=True, errors="coerce", format="ISO8601")
    bad = parsed.isna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        cell = str(column.iloc[row])
        hint = "; the order of day and month is not told, write the year first" if _slashed(cell) else ""
        raise ValueError(
            f"{path}:{lines[row]}: {what} is {brief(cell)}, expected a time like 2023-01-01 00:00{hint}"
        )
    zoned = plain.str.contains(_ZONED, regex=True)
    if zoned.any() and not zoned.all():
        row = int(np.argmax((zoned != zoned.iloc[0]).to_numpy()))
        raise ValueError(
            f"{path}:{lines[row]}: {what} is {brief(column.iloc[row])}, and some times have a zone while "
            "others have none, expected one clock"
        )
    seconds = _unix_s(parsed.dt.tz_localize(None))
    odd = (seconds < _EARLIEST_S) | (seconds > _LATEST_S)
    if odd.any():
        row = int(np.argmax(odd))
        raise ValueError(f"{path}:{lines[row]}: {what} is {brief(column.iloc[row])}, expected 1900 to 2200")
    return seconds


def local_times(
    path: str | Path,
    stamps: pd.Series,
    form: str,
    clock: str,
    lines: Sequence[int] | Ints,
    *,
    autumn_once: bool = False,
) -> Floats:
    """Unix seconds of local times in file order; NaN for the hour that daylight saving skips.

    Args:
        path: for messages.
        stamps: times without a zone.
        form: how they are written, as `strftime` says it.
        clock: IANA name of their zone.
        lines: the line of each.
        autumn_once: whether the provider writes the hour that daylight saving repeats once only; then it is
            the first of the two. Otherwise it must come exactly twice.

    Raises:
        ValueError: at the first that is not a time, or if an hour of autumn is missing.
    """
    import pandas as pd

    naive = pd.to_datetime(stamps, format=form, errors="coerce")
    bad = naive.isna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        stamp = str(stamps.iloc[row]).strip()
        if stamp.lower() in MISSING:
            raise ValueError(f"{path}:{lines[row]}: the time is missing")
        shown = pd.Timestamp("2023-12-31 23:45").strftime(form)
        raise ValueError(f"{path}:{lines[row]}: time is {brief(stamp)}, expected a time like {shown}")
    summer = np.ones(naive.size, dtype=np.bool_)
    try:
        aware = naive.dt.tz_localize(clock, ambiguous=summer if autumn_once else "infer", nonexistent="NaT")
    except Exception as error:  # a ValueError, or with pandas older than 3 one of pytz's own
        raise ValueError(
            f"{path}: the hour that daylight saving repeats comes not exactly twice "
            f"({' '.join(str(error).split())})"
        ) from None
    utc = aware.dt.tz_convert("UTC").dt.tz_localize(None)
    return _unix_s(utc)


def _unix_s(utc: pd.Series) -> Floats:
    """Unix seconds of times without a zone, cut to microseconds; NaN where there is no time.

    Floats of today's Unix time tell no more apart: rounded, the last tick of a minute would be of the next.
    """
    since = (utc - np.datetime64("1970-01-01")).to_numpy().astype("timedelta64[us]")
    return np.asarray(since / np.timedelta64(1, "s"), dtype=np.float64)


def _slashed(cell: str) -> bool:
    return bool(re.match(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", cell))


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
