"""Columns of a table as features: numbers standardised, words as one column per level, gaps filled.

Whatever is estimated (means, deviations, the levels that there are) is estimated from training rows only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ....common.arrays import Bools, Floats, Floats32, Ints, Ints32
from ....common.parsing import MISSING, Table, brief, numbers

if TYPE_CHECKING:
    import pandas as pd

Standardise: TypeAlias = Literal["silo", "all", "none"]
Part: TypeAlias = Literal["train", "val", "test"]

_GAPS = MISSING | {"?"}
_MOST_LEVELS = 100
_LARGEST = 1e30  # squares of it are finite
_NUMBER = r"[+-]?[.,]?\d.*"


@dataclass(frozen=True)
class Rules:
    """How columns become features."""

    categorical: Sequence[str] = ()  # numbers that are codes
    standardise: Standardise = "silo"
    first_is_reference: bool = False  # no column for a category's first level, as statistical packages do
    dummies_too: bool = False  # whether columns of levels are standardised as well


def cells_of(table: Table, name: str) -> pd.Series:
    """A column's cells, "" where the file says in any way that there is none."""
    cells = table.cells(name)
    return cells.where(~cells.str.lower().isin(_GAPS), "")


def numbers_of(table: Table, name: str) -> Floats:
    """A column of numbers, NaN where one is missing; ValueError with the line of what is none."""
    try:
        values, _ = numbers(table.path, cells_of(table, name), brief(name), table.lines)
    except ValueError as error:
        raise ValueError(f"{error}; name the column in categorical if it holds codes, or in drop") from None
    refuse(table, name, np.abs(values) > _LARGEST, f"numbers up to {_LARGEST:g}")
    return values


def refuse(table: Table, name: str, wrong: Bools, expected: str) -> None:
    """ValueError with line and column of the first cell that is wrong, if there is one."""
    if wrong.any():
        row = int(np.argmax(wrong))
        cell = table.cells(name).iloc[row]
        raise ValueError(
            f"{table.path}:{table.lines[row]}: {brief(name)} is {brief(cell)}, expected {expected}"
        )


def in_order(words: Sequence[str]) -> list[str]:
    """Different words, sorted as numbers if they all are, else as text."""
    different = sorted(set(words))
    try:
        return sorted(different, key=float)
    except ValueError:
        return different


def codes_of(table: Table, name: str, most: int, what: str) -> tuple[Ints32, list[str]]:
    """A column without gaps as numbers of its values in order, and the values.

    Args:
        table: the table.
        name: the column.
        most: how many values there may be.
        what: what a value is, for messages.
    """
    cells = cells_of(table, name)
    refuse(table, name, (cells == "").to_numpy(), f"a {what}; leave the row out, or say which")
    values = in_order(cells.tolist())
    if not 2 <= len(values) <= most:
        line = max(table.header_line, 1)
        raise ValueError(
            f"{table.path}:{line}: {brief(name)} has {len(values)} different values, expected 2 to {most}, "
            f"one for each {what}"
        )
    number = {value: index for index, value in enumerate(values)}
    return np.array([number[cell] for cell in cells], dtype=np.int32), values


def features_of(table: Table, names: Sequence[str], train: Bools, silo: Ints32, rules: Rules) -> Floats32:
    """Features `[n, d]` of some columns.

    A missing number counts as the mean of the training rows (of the silo, where silos are standardised by
    themselves); a missing word is a level of its own. Levels that no training row has are no level: their
    columns are all 0.

    Args:
        table: the table, n rows.
        names: the columns, in order.
        train: bool `[n]`, the rows that may be learned from.
        silo: int `[n]`, where each row was born.
        rules: how.

    Raises:
        ValueError: with line and column.
    """
    group = silo if rules.standardise == "silo" else np.zeros_like(silo)
    coded = {table.named(name) for name in rules.categorical}
    blocks: list[Floats] = []
    for name in names:
        words = table.named(name) in coded or _holds_words(cells_of(table, name))
        if words:
            block = _levels(table, name, train, rules.first_is_reference)
            if rules.dummies_too:
                block = np.stack([standardised(column, train, group) for column in block.T], axis=1)
        else:
            values = numbers_of(table, name)
            block = standardised(values, train, group, scale=rules.standardise != "none")[:, None]
        blocks.append(block)
    features = np.concatenate(blocks, axis=1) if blocks else np.zeros((len(train), 0))
    if not features.shape[1]:
        raise ValueError(f"{table.path}: no column to learn from, expected one beside label and silo")
    return features.astype(np.float32)


def _holds_words(cells: pd.Series) -> bool:
    """Whether nothing in a column looks like a number, and something is there."""
    given = cells[cells != ""]
    return len(given) > 0 and not given.str.fullmatch(_NUMBER).any()


def _levels(table: Table, name: str, train: Bools, first_is_reference: bool) -> Floats:
    """A column of 0 and 1 per level of the training rows."""
    cells = cells_of(table, name)
    levels = in_order(cells[train].tolist())
    if len(levels) > _MOST_LEVELS:
        raise ValueError(
            f"{table.path}:{max(table.header_line, 1)}: {brief(name)} has {len(levels)} different words, "
            f"expected up to {_MOST_LEVELS}; name it in drop"
        )
    kept = levels[1:] if first_is_reference else levels
    columns = np.zeros((len(cells), max(len(kept), 1)))
    for index, level in enumerate(kept):
        columns[:, index] = (cells == level).to_numpy()
    return columns


def standardised(values: Floats, train: Bools, group: Ints32, scale: bool = True) -> Floats:
    """Values less their group's training mean over its deviation, gaps filled by the mean."""
    known = np.isfinite(values)
    everywhere = _moments(values[train & known])
    result = np.empty_like(values)
    for each in np.unique(group):
        mine = group == each
        own = values[mine & train & known]
        mean, deviation = _moments(own) if own.size else everywhere
        filled = np.where(known[mine], values[mine], mean)
        result[mine] = (filled - mean) / deviation if scale else filled
    return result


def _moments(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; 0 and 1 where there is nothing to estimate them from."""
    if not values.size:
        return 0.0, 1.0
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return float(values.mean()), deviation if deviation > 0 else 1.0


def split_rows(label: Ints32, silo: Ints32, shares: tuple[float, float], seed: int) -> Ints:
    """0, 1 or 2 for every row: train, val or test, in every silo by itself and evenly among its labels.

    Args:
        label: int `[n]`.
        silo: int `[n]`.
        shares: of val and test.
        seed: of the draw.
    """
    val, test = shares
    wanted = np.array([1.0 - val - test, val, test])
    part, rng = np.zeros(label.size, dtype=np.int64), np.random.default_rng(seed)
    for each in np.unique(silo):
        rows = rng.permutation(np.flatnonzero(silo == each))
        owed = np.zeros(3)
        for row in rows[np.argsort(label[rows], kind="stable")].tolist():
            owed += wanted
            part[row] = int(np.argmax(owed))
            owed[part[row]] -= 1.0
    return part
