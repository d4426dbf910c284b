"""The header of a delimited table: where it stands, what separates its cells, what it names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

# What separates cells; where a header splits into as many cells by two of them, the first counts.
_SEPARATORS = ("\t", ";", ",")
_MOST_PREAMBLE = 100  # lines above a header, whatever they are


def header_cells(head: str, *needs: str, blanks: bool = False) -> list[str]:
    """The names in the header of a table in lower case, as `read_table` finds it; none if there is none."""
    found = Header.find(head, needs, blanks, None)
    return [name.lower() for name in found.names] if found else []


@dataclass(frozen=True)
class Header:
    """Where the header stands and what it says."""

    line: int
    separator: str
    names: list[str]
    before: tuple[tuple[int, str], ...]  # the lines above it

    @classmethod
    def find(cls, text: str, needs: Sequence[str], blanks: bool, separator: str | None) -> Header | None:
        """The header of a table, or None."""
        wanted = {name.lower() for name in needs}
        before: list[tuple[int, str]] = []
        rest = _MOST_PREAMBLE
        for number, line in enumerate(io.StringIO(text, newline=None), start=1):
            plain = line.rstrip("\n")
            if plain.lower().startswith("sep=") and len(plain) == 5:
                separator = plain[4]  # a spreadsheet's own line
                continue
            if not plain.strip():
                continue
            comment = plain.lstrip().startswith("#")
            if not wanted and comment:
                before.append((number, plain))
                continue
            sep, cells = split_cells(plain.lstrip().lstrip("# ") if comment else plain, blanks, separator)
            if not wanted or wanted <= {cell.lower() for cell in cells}:
                return cls(number, sep, cells, tuple(before))
            before.append((number, plain))
            rest -= not comment  # comments may be many
            if rest < 0:
                break
        return None


def split_cells(line: str, blanks: bool, separator: str | None = None) -> tuple[str, list[str]]:
    """The separator of a header and its cells."""
    best = (separator or ",", [line.strip()])
    for sep in (separator,) if separator else _SEPARATORS:
        try:
            cells = next(csv.reader([line], delimiter=sep, skipinitialspace=True), [])
        except csv.Error:
            continue
        if len(cells) > len(best[1]):
            best = (sep, [cell.strip() for cell in cells])
    if len(best[1]) == 1 and line.strip().startswith('"'):
        best = (best[0], [line.strip().strip('"').strip()])
    if blanks and len(best[1]) == 1 and len(line.split()) > 1:
        return " ", line.split()
    return best
