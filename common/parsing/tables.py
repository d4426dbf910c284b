"""Delimited tables as providers and spreadsheets write them, each row with the line on which it begins."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Floats, Ints
from .columns import find_column, numbers, utc_times
from .header import Header, split_cells
from .text import brief, decode_table, read_bytes, read_pieces

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_BYTES = 4 << 20  # its cells as text take forty times as much
_MOST_COLUMNS = 2000  # a line full of separators is no header
_MOST_LETTERS = 10_000  # nor is a line without one a cell
_NO_ROW = "not a table: no row below the header, expected at least one"
_LONGEST_NAME = 1000  # of a column; readers search names for words, which takes long in what is none


@dataclass(frozen=True)
class Table:
    """A table of text: its cells, and the line of the file on which each row begins."""

    path: str | Path  # for messages
    frame: pd.DataFrame  # [K, C] cells as they are in the file, missing ones as ""
    lines: Ints  # [K]
    separator: str  # what stands between cells; " " for any run of blanks
    header_line: int  # 0 without a header
    comments: tuple[tuple[int, str], ...] = ()  # lines that are no rows, with their numbers
    notes: list[str] = field(default_factory=list)  # what was unusual; grows as columns are read

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.frame.columns]

    def find(self, *words: str, without: Sequence[str] = ()) -> str | None:
        """The first column whose name holds all words and none of `without`, whatever the case."""
        return find_column(self.columns, *words, without=without)

    def named(self, name: str) -> str:
        """The column of this name, whatever the case.

        Raises:
            ValueError: there is none, with those that there are.
        """
        found = next((one for one in self.columns if one.lower() == name.lower()), None)
        if found is None:
            have = ", ".join(self.columns)
            raise ValueError(
                f"{self.path}:{max(self.header_line, 1)}: no column {name!r}, found {brief(have, 200)}"
            )
        return found

    def cells(self, name: str) -> pd.Series:
        """The cells of a column without surrounding blanks."""
        return self.frame[self.named(name)].str.strip()

    def numbers(self, name: str, decimal: str | None = None) -> Floats:
        """A column as float64, NaN where the provider says that it is missing.

        Args:
            name: the column.
            decimal: "." or "," where the format says which; otherwise the column itself tells.

        Raises:
            ValueError: at the first cell that is neither a number nor a known word for a missing one.
        """
        values, comma = numbers(self.path, self.cells(name), brief(name), self.lines, decimal)
        note = "numbers have decimal commas"
        if comma and decimal is None and note not in self.notes:
            self.notes.append(note)
        return values

    def utc_times(self, name: str) -> Floats:
        """A column of timestamps as Unix seconds; those without a zone count as UTC.

        Raises:
            ValueError: at the first cell that is not a time.
        """
        return utc_times(self.path, self.cells(name), brief(name), self.lines)

    def only(self, keep: np.ndarray) -> Table:
        """The rows that `keep` marks."""
        return replace(self, frame=self.frame[keep].reset_index(drop=True), lines=self.lines[keep])


def read_table(
    path: str | Path,
    needs: Sequence[str] = (),
    *,
    header: bool = True,
    blanks: bool = False,
    separator: str | None = None,
    empty: bool = False,
) -> Table:
    """A delimited table, every cell as text: separated by tabs, semicolons or commas, quoted or not.

    Blank lines, rows of empty cells, and lines that begin with `#` between rows are passed over. Empty cells
    beyond the header's are dropped, missing ones at a row's end count as empty. Columns without a name are
    called `column 1` and so on, and dropped if they are empty.

    Args:
        path: the file: UTF-8, UTF-16 with a byte order mark, or Latin-1; gzip or not.
        needs: names by which the header is known, in any case; it may then stand below other lines and
            begin with `#`. Without, it is the first line that is neither blank nor begins with `#`.
        header: whether there is one; otherwise columns are called `0`, `1` and so on.
        blanks: whether cells may be separated by blanks, where the header has no other separator.
        separator: what separates cells, where it is known.
        empty: whether there may be no row at all.

    Raises:
        ValueError: with path and line number, if a row does not fit the header, or a quote is not closed.
    """
    text, notes = decode_table(path, read_bytes(path))
    found = _header(path, text, needs, blanks, separator) if header else None
    source = _Lines(text, found.line if found else 0)
    first = next((line for line in text.splitlines() if line.strip()), "")
    sep = found.separator if found else separator or split_cells(first, False)[0]
    rows, lines = _rows(path, source, sep)
    if not rows and not (empty and found):
        raise ValueError(f"{path}: {_NO_ROW}")
    frame = _frame(path, found.names if found else None, found.line if found else 1, rows, lines, sep)
    return Table(
        path,
        frame,
        np.array(lines, dtype=np.int64),
        sep,
        found.line if found else 0,
        (*(found.before if found else ()), *source.comments),
        list(notes),
    )


def read_blocks(path: str | Path, needs: Sequence[str], block_bytes: int = _BLOCK_BYTES) -> Iterator[Table]:
    """A table too large to be held, as tables of a block of its rows each; see `read_table`.

    Args:
        path: the file; of more than a block it is read in UTF-8 or Latin-1 only.
        needs: names by which the header is known.
        block_bytes: about how much of the file a table holds.

    Raises:
        ValueError: with path and line number, as the blocks are read.
    """
    found: Header | None = None
    line, any_row = 0, False
    for data in read_pieces(path, block_bytes):
        text, notes = decode_table(path, data)
        if found is None:
            found = _header(path, text, needs, False, None)
            source = _Lines(text, found.line)
        else:
            source = _Lines(text, 0, line)
        rows, lines = _rows(path, source, found.separator)
        line = source.number
        if rows:
            any_row = True
            frame = _frame(path, found.names, found.line, rows, lines, found.separator)
            places, comments = np.array(lines, dtype=np.int64), (*found.before, *source.comments)
            yield Table(path, frame, places, found.separator, found.line, comments, list(notes))
    if not any_row:
        raise ValueError(f"{path}: {_NO_ROW}")


def _header(path: str | Path, text: str, needs: Sequence[str], blanks: bool, separator: str | None) -> Header:
    found = Header.find(text, needs, blanks, separator)
    if found is None:
        wanted = f" with {', '.join(needs)}" if needs else ""
        raise ValueError(f"{path}:1: no header{wanted}, found {brief(text[:200].strip())}")
    return found


class _Lines:
    """The lines of a text below the header, as the csv module asks for them; comments are put aside."""

    def __init__(self, text: str, above: int, before: int = 0):
        self._lines = io.StringIO(text, newline="" if "\r" in text else None)
        self.number = before
        self.start = 0  # line on which the row begins
        self.inside = False  # whether a row has begun
        self.comments: list[tuple[int, str]] = []
        for _ in range(above):
            self.number += 1
            self._lines.readline()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number += 1
            if not self.inside:
                if line.startswith("#"):
                    self.comments.append((self.number, line.rstrip("\r\n")))
                    continue
                if not line.strip():
                    continue
                self.start = self.number
            self.inside = True
            return line
        raise StopIteration


def _rows(path: str | Path, source: _Lines, sep: str) -> tuple[list[list[str]], list[int]]:
    """Rows of cells and the line on which each begins."""
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = iter(source) if sep == " " else csv.reader(source, delimiter=sep, strict=True)
    try:
        for row in reader:
            source.inside = False
            cells = row.split() if isinstance(row, str) else row
            if len(max(cells, key=len, default="")) > _MOST_LETTERS:
                raise csv.Error(f"a cell of more than {_MOST_LETTERS} letters")
            if any(map(str.strip, cells)):
                rows.append(cells)
                lines.append(source.start)
    except csv.Error as error:
        raise ValueError(f"{path}:{source.start}: not a table row ({brief(str(error))})") from None
    return rows, lines


def _frame(
    path: str | Path,
    header: list[str] | None,
    header_line: int,
    rows: list[list[str]],
    lines: list[int],
    sep: str,
) -> pd.DataFrame:
    """Rows of equal length under names that differ; columns without name and content are dropped."""
    import pandas as pd

    given = [str(index) for index in range(max(map(len, rows)))] if header is None else header
    names = [name or f"column {index}" for index, name in enumerate(given, start=1)]
    if len(names) > _MOST_COLUMNS:
        raise ValueError(f"{path}:{header_line}: {len(names)} columns, expected up to {_MOST_COLUMNS}")
    longest = max(names, key=len, default="")
    if len(longest) > _LONGEST_NAME:
        too_long = f"a column's name has {len(longest)} letters, expected up to {_LONGEST_NAME}"
        raise ValueError(f"{path}:{header_line}: {too_long}")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(
            f"{path}:{header_line}: two columns are called {brief(twice)}, expected different names"
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            _fit(path, row, line, len(names), sep)
    cells = zip(*rows, strict=True) if rows else ((),) * len(names)
    columns = dict(zip(names, map(list, cells), strict=True))
    for name, own in zip(names, given, strict=True):
        if not own and not any(map(str.strip, columns[name])):
            del columns[name]
    return pd.DataFrame(columns, dtype=object)


def _fit(path: str | Path, row: list[str], line: int, width: int, sep: str) -> None:
    """Drop what is empty beyond the header, fill what is missing at the end; refuse what would shift."""
    if sep == " " or any(cell.strip() for cell in row[width:]):
        what = {" ": "blanks", "\t": "tabs"}.get(sep, repr(sep))
        raise ValueError(
            f"{path}:{line}: {len(row)} cells separated by {what}, expected {width} as in the header"
        )
    del row[width:]
    row += [""] * (width - len(row))
