"""A table of one's own as a data set: a delimited file with a label, perhaps with silos and times."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....common.parsing import Table, brief, read_table
from ..dataset import DATASETS, Dataset, DatasetSource
from .columns import Rules, Standardise, cells_of, codes_of, features_of, numbers_of, refuse, split_rows

# Which rows are held out is part of the task, the same for every seed.
_SPLIT_SEED = 20_260_104
_MOST_CLASSES = 100
_MOST_SILOS = 10_000
_PARTS = {"train": 0, "val": 1, "validation": 1, "test": 2}


@DATASETS.register("table")
class TableFile(DatasetSource):
    """Rows of a delimited file (CSV, semicolons, tabs; gzip or not) with named columns.

    Columns that hold numbers are standardised by training rows; those that hold words, and those named in
    `categorical`, become a column of 0 and 1 per value that training rows have. Empty cells, `?`, `NA` and
    the like are missing: a missing number is the mean of the training rows, a missing word a value of its
    own. With `silo`, rows are born at silos, for the partition `natural`, and each is split by itself.

    Attributes:
        path: the file.
        label: the column to learn; with `time`, whether the event was seen (1) or observation ended (0).
        silo: the column that says where a row was born; None: rows have no such place.
        time: the column that says when, for survival models (`cox`); None: a label is a class.
        drop: columns to leave out.
        categorical: columns of numbers that are codes.
        missing: "mean" fills gaps as described; "drop" leaves out rows that have any.
        standardise: "silo": by the silo's own training rows, as hospitals would that share nothing; "all":
            by those of all silos; "none".
        part: the column that says train, val or test; None: every silo is split at random, label by label.
        val_share: share of the rows for validation, if `part` says nothing of them.
        test_share: share for the test, if there is no `part`.
    """

    path: str
    label: str
    silo: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    missing: Literal["mean", "drop"] = "mean"
    standardise: Standardise = "silo"
    part: str | None = None
    val_share: float = Field(default=0.2, gt=0, lt=1)
    test_share: float = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _leaves_something(self) -> TableFile:
        if self.val_share + self.test_share >= 1:
            total = self.val_share + self.test_share
            raise ValueError(f"val_share: {total:g} with test_share, expected less than 1 together")
        return self

    def silos(self) -> int | None:
        """See `DatasetSource.silos`."""
        return None if self.silo is None else int(self._silos(read_table(self.path)).max()) + 1

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`; nothing depends on the seed."""
        table = read_table(self.path)
        features = self._features(table)
        if self.missing == "drop":
            gaps = np.any([(cells_of(table, name) == "").to_numpy() for name in features], axis=0)
            table = table.only(~gaps)
            if gaps.all():
                raise ValueError(f"{self.path}: no row without a gap, expected missing: mean")
        label, classes = self._labels(table)
        silo = self._silos(table)
        part = self._parts(table, label, silo)
        self._check_parts(table, part, silo)
        rules = Rules(self.categorical, self.standardise)
        x = features_of(table, features, part == 0, silo, rules)
        return assemble(
            f"table {self.path}", x, label, part, silo if self.silo else None, classes, self._times(table)
        )

    def _features(self, table: Table) -> list[str]:
        """The columns to learn from; ValueError for one that is not there."""
        used = [
            name for name in (self.label, self.silo, self.time, self.part, *self.drop) if name is not None
        ]
        taken = {table.named(name) for name in used}
        coded = {table.named(name) for name in self.categorical}
        both = sorted(taken & coded)
        if both:
            raise ValueError(f"dataset: categorical: {both[0]!r}, expected a column that is learned from")
        return [name for name in table.columns if name not in taken]

    def _labels(self, table: Table) -> tuple[Ints32, int]:
        label, values = codes_of(table, self.label, _MOST_CLASSES, "class")
        if self.time is not None and values != ["0", "1"]:
            cells = cells_of(table, self.label)
            refuse(
                table,
                self.label,
                ~cells.isin(["0", "1"]).to_numpy(),
                "1 (event) or 0 (none), as there is a time",
            )
        return label, len(values)

    def _silos(self, table: Table) -> Ints32:
        if self.silo is None:
            return np.zeros(len(table.lines), dtype=np.int32)
        return codes_of(table, self.silo, _MOST_SILOS, "silo")[0]

    def _times(self, table: Table) -> Floats | None:
        if self.time is None:
            return None
        times = numbers_of(table, self.time)
        refuse(table, self.time, ~(times >= 0), "a time of 0 or more")
        return times

    def _parts(self, table: Table, label: Ints32, silo: Ints32) -> Ints:
        """0, 1, 2 for rows of train, val and test."""
        if self.part is None:
            return split_rows(label, silo, (self.val_share, self.test_share), _SPLIT_SEED)
        words = cells_of(table, self.part).str.lower()
        refuse(table, self.part, ~words.isin(_PARTS).to_numpy(), "train, val or test")
        part = np.array([_PARTS[word] for word in words], dtype=np.int64)
        if not (part == 1).any():
            train = np.flatnonzero(part == 0)
            part[train] = split_rows(label[train], silo[train], (self.val_share, 0.0), _SPLIT_SEED)
        return part

    def _check_parts(self, table: Table, part: Ints, silo: Ints32) -> None:
        for name, number in (("training", 0), ("validation", 1)):
            if not (part == number).any():
                raise ValueError(f"{self.path}: no {name} row, expected some; it has {part.size} rows in all")
        bare: Bools = ~np.isin(silo, silo[part == 0])
        if bare.any() and self.silo is not None:
            row = int(np.argmax(bare))
            cell = brief(table.cells(self.silo).iloc[row])
            raise ValueError(
                f"{self.path}:{table.lines[row]}: {brief(self.silo)} is {cell}, which has no training row, "
                "expected one in every silo"
            )


def assemble(
    name: str,
    x: np.ndarray,
    label: Ints32,
    part: Ints,
    silo: Ints32 | None,
    num_classes: int,
    times: Floats | None = None,
) -> Dataset:
    """The data set of rows that are marked 0 (train), 1 (val) and 2 (test)."""
    train, val, test = (np.flatnonzero(part == number) for number in range(3))
    return Dataset(
        name,
        x[train],
        label[train],
        x[val],
        label[val],
        x[test],
        label[test],
        num_classes,
        natural_client=None if silo is None else silo[train].astype(np.int32),
        times=None if times is None else (times[train], times[val], times[test]),
    )
