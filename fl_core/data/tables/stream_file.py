"""Recorded streams: rows of a file in the order in which they came, so that they drift as they did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, PrivateAttr

from ....common.parsing import Table, read_table
from ....common.splits import SPLITS, Split
from ..dataset import DATASETS, Dataset, DatasetSource
from .arff import read_arff
from .columns import Rules, codes_of, features_of

_MOST_CLASSES = 100
_WINDOWS = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
"""Shares of the rows, in their order: what is tested on came later."""
_HELD_OUT = 10
"""Every tenth row is held out, in turn for validation and for the test."""
_FEWEST_ROWS = 100


@DATASETS.register("stream")
class StreamFile(DatasetSource):
    """Rows of a recorded stream in their order: an ARFF file, as MOA's, or a delimited one.

    Made for worlds with arrivals and `serving: {rows: order}`, in which clients are asked about their rows in
    the order of the file; drift is what the recording has. Electricity (`elecNormNew.arff`), Covertype
    (`covtypeNorm.arff`), Airlines (`airlines.arff`; drop its airports, of which there are hundreds) and
    INSECTS are read as published. Numbers are standardised and words become columns of 0 and 1 by the first
    60% of the rows, which are those of the split train; val has the next 20%, test the last.

    Attributes:
        path: the file; what ends in `.arff` is one.
        label: the column to learn; None: the last one.
        drop: columns to leave out, such as a date, which would tell the drift.
        categorical: columns of numbers that are codes; an ARFF file says itself which attributes are nominal.
        most_rows: how many rows are read, from the first on; None: all.
    """

    path: str
    label: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    most_rows: Annotated[int, Field(ge=_FEWEST_ROWS)] | None = None

    _split: Split = PrivateAttr(default="train")

    def for_split(self, split: Split) -> DatasetSource:
        """See `DatasetSource.for_split`."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r}, expected one of {', '.join(SPLITS)}")
        mine = self.model_copy()
        mine._split = split
        return mine

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`; nothing depends on the seed."""
        table, nominal = self._table()
        label = table.named(self.label if self.label is not None else table.columns[-1])
        left_out = {label, *(table.named(name) for name in self.drop)}
        names = [name for name in table.columns if name not in left_out]
        coded = [name for name in (*nominal, *map(table.named, self.categorical)) if name in names]
        y, classes = codes_of(table, label, _MOST_CLASSES, "class")
        place = np.arange(y.size) / y.size
        learned = place < _WINDOWS["train"][1]
        x = features_of(table, names, learned, np.zeros_like(y), Rules(tuple(coded), "all"))
        begin, end = _WINDOWS[self._split]
        rows = np.flatnonzero((place >= begin) & (place < end))
        turn = np.arange(rows.size) % (2 * _HELD_OUT)
        train, val, test = rows[turn % _HELD_OUT > 0], rows[turn == 0], rows[turn == _HELD_OUT]
        name = f"stream {Path(self.path).name} ({self._split})"
        return Dataset(name, x[train], y[train], x[val], y[val], x[test], y[test], len(classes))

    def _table(self) -> tuple[Table, list[str]]:
        """The rows that are read, and the columns that the file calls nominal."""
        nominal: list[str] = []
        if Path(self.path).suffix.lower() == ".arff":
            table, nominal = read_arff(self.path)
        else:
            table = read_table(self.path)
        if self.most_rows is not None:
            table = table.only(np.arange(len(table.lines)) < self.most_rows)
        if len(table.lines) < _FEWEST_ROWS:
            raise ValueError(
                f"{self.path}: {len(table.lines)} rows, expected {_FEWEST_ROWS} or more: a recorded stream"
            )
        return table, nominal
