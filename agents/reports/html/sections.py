"""Further sections of the HTML report: a title, a table, and a word on how to read it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ....common.registry import Registry
from ...evaluation import EvaluationResult


@dataclass(frozen=True)
class Section:
    """A table with its heading.

    Attributes:
        title: the heading.
        table: what is shown; numbers with `decimals` digits, missing ones as a dash.
        note: how to read it.
        decimals: digits behind the point.
    """

    title: str
    table: pd.DataFrame
    note: str = ""
    decimals: int = 2

    @property
    def rows(self) -> list[list[str]]:
        """The cells as text."""
        return [[self._text(value) for value in row] for row in self.table.itertuples(index=False)]

    def _text(self, value: object) -> str:
        if isinstance(value, float):
            return "-" if value != value else f"{value:.{self.decimals}f}"
        return str(value)


SECTIONS: Registry[Section] = Registry("section")
"""Sections by name, in the order of the page: functions from a result to a `Section`."""


def extra_sections(result: EvaluationResult) -> list[Section]:
    """What every registered section makes of a result."""
    return [SECTIONS.make(name, result=result) for name in SECTIONS]
