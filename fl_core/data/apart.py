"""Data of which every split has its own part: what is tested on is new data, not only new clients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import PrivateAttr, field_validator

from ...common.arrays import Floats, Ints, Ints32
from ...common.settings import Spec
from ...common.splits import SPLITS, Split
from .dataset import DATASETS, Dataset, DatasetSource

# Who gets which rows is part of the task, the same for every seed.
_APART_SEED = 20_260_103


@DATASETS.register("apart")
class Apart(DatasetSource):
    """A third of another data set for each of train, val and test: no row is in two of them.

    Training rows, validation set and test rows are each cut in three, label by label, so that all splits are
    alike; where rows were born at clients, whole clients go to one split each. A split then has a third of
    the rows and measures itself on a third of the validation set.

    Attributes:
        of: the data set that is cut.
    """

    of: Spec = "digits"

    _split: Split = PrivateAttr(default="train")

    @field_validator("of")
    @classmethod
    def _known(cls, spec: Spec) -> Spec:
        DATASETS.choose(spec)
        return spec

    def for_split(self, split: Split) -> DatasetSource:
        """See `DatasetSource.for_split`."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r}, expected one of {', '.join(SPLITS)}")
        mine = self.model_copy()
        mine._split = split
        return mine

    def load(self, rng_seed: int) -> Dataset:
        """The rows of one split; of train unless `for_split` says another."""
        whole = DATASETS.make(self.of).load(rng_seed)
        rng = np.random.default_rng(_APART_SEED)
        third = SPLITS.index(self._split)
        born = whole.natural_client
        kept: list[Ints] = []
        for part in ("train", "val", "test"):
            if part == "train" and born is not None:
                groups = _whole_clients(born, rng)
            else:
                groups = _thirds(whole.rows(part)[1], rng)
            kept.append(np.flatnonzero(groups == third))
        train, val, test = kept
        natural = None
        if born is not None:
            natural = np.unique(born[train], return_inverse=True)[1].astype(np.int32)
        return replace(
            whole,
            name=f"{whole.name} ({self._split})",
            x_train=whole.x_train[train],
            y_train=whole.y_train[train],
            x_val=whole.x_val[val],
            y_val=whole.y_val[val],
            x_test=whole.x_test[test],
            y_test=whole.y_test[test],
            natural_client=natural,
            times=_picked(whole.times, (train, val, test)),
        )


def _picked(
    times: tuple[Floats, Floats, Floats] | None, rows: tuple[Ints, Ints, Ints]
) -> tuple[Floats, Floats, Floats] | None:
    if times is None:
        return None
    train, val, test = (each[kept] for each, kept in zip(times, rows, strict=True))
    return train, val, test


def _thirds(labels: Ints32, rng: np.random.Generator) -> Ints:
    """0, 1 or 2 for every row, evenly among the rows of each label."""
    groups = np.zeros(labels.size, dtype=np.int64)
    shift = 0
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        # In turn over all labels, so that rare ones do not all go to the first split.
        groups[rows] = (np.arange(rows.size) + shift) % len(SPLITS)
        shift += rows.size
    return groups


def _whole_clients(born: Ints32, rng: np.random.Generator) -> Ints:
    """0, 1 or 2 for every row, the same for all rows of a client."""
    clients = np.unique(born)
    dealt = np.empty(int(clients.max()) + 1, dtype=np.int64)
    dealt[rng.permutation(clients)] = np.arange(clients.size) % len(SPLITS)
    return dealt[born]
