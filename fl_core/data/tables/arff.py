"""Attribute-relation files (ARFF), as Weka and MOA have them, read as tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ....common.parsing import Table, brief, read_text

_ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)(?:\s+|(?=\{))(.+)""", re.IGNORECASE)
_MOST_ATTRIBUTES = 2000


def read_arff(path: str | Path) -> tuple[Table, list[str]]:
    """The rows of an ARFF file as a table of text, and the names of its nominal attributes.

    Raises:
        ValueError: with path and line: no attributes, no `@data`, sparse rows, a row of another length.
    """
    import pandas as pd

    lines = read_text(path).splitlines()
    names: list[str] = []
    nominal: list[str] = []
    begins = 0
    for number, line in enumerate(lines, start=1):
        plain = line.strip()
        if plain.lower() == "@data":
            begins = number
            break
        if plain.lower().startswith("@attribute"):
            found = _ATTRIBUTE.fullmatch(plain)
            if found is None or len(names) >= _MOST_ATTRIBUTES:
                raise ValueError(
                    f"{path}:{number}: {brief(plain)}, expected @attribute, a name and a type; "
                    f"{_MOST_ATTRIBUTES} at most"
                )
            names.append(found[1].strip("'\""))
            if found[2].startswith("{"):
                nominal.append(names[-1])
    if not names or not begins:
        missing = "@data" if names else "@attribute"
        raise ValueError(f"{path}:1: no {missing}, expected an ARFF file, with attributes and rows")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(
            f"{path}:1: two attributes have one name, expected {brief(', '.join(names))} to differ"
        )
    rows, at = _rows(path, lines, begins, len(names))
    frame = pd.DataFrame(rows, columns=names, dtype=str)
    return Table(path, frame, np.array(at, dtype=np.int64), ",", begins), nominal


def _rows(path: str | Path, lines: list[str], begins: int, width: int) -> tuple[list[list[str]], list[int]]:
    """Cells and line numbers of the rows below `@data`."""
    at: list[int] = []

    def data() -> Iterator[str]:
        for number, line in enumerate(lines[begins:], start=begins + 1):
            if line.strip() and not line.lstrip().startswith("%"):
                if line.lstrip().startswith("{"):
                    raise ValueError(
                        f"{path}:{number}: a sparse row, expected {width} values with commas between"
                    )
                at.append(number)
                yield line

    rows = [list(map(str.strip, row)) for row in csv.reader(data(), quotechar="'", skipinitialspace=True)]
    for number, row in zip(at, rows, strict=False):
        if len(row) != width:
            raise ValueError(f"{path}:{number}: {len(row)} values, expected {width}, one for each attribute")
    if not rows:
        raise ValueError(f"{path}: no row below @data, expected some")
    if len(rows) != len(at):
        raise ValueError(f"{path}:{at[-1]}: a quote is not closed")
    return rows, at
