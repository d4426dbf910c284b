"""scikit-learn's embedded digits, the data set that needs no file."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Ints
from .dataset import DATASETS, Dataset, DatasetSource

# The split is part of the task, like an ImageNet split: the same for every seed.
_SPLIT_SEED = 20_260_101


@DATASETS.register("digits")
class Digits(DatasetSource):
    """scikit-learn's embedded 8x8 digits: 1,797 rows of 64 features in [0, 1], 10 classes.

    The stratified 60/20/20 split is fixed and depends on no seed.
    """

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        from sklearn.datasets import load_digits as embedded

        x: AnyArray
        y: AnyArray
        x, y = embedded(return_X_y=True)
        rng = np.random.default_rng(_SPLIT_SEED)
        parts: list[list[Ints]] = [[], [], []]
        for label in range(10):
            rows = rng.permutation(np.flatnonzero(y == label))
            cuts = np.round(np.array([0.6, 0.8]) * rows.size).astype(int)
            for part, piece in zip(parts, np.split(rows, cuts), strict=True):
                part.append(piece)
        train, val, test = (rng.permutation(np.concatenate(part)) for part in parts)
        x32, y32 = (x / 16.0).astype(np.float32), y.astype(np.int32)
        return Dataset(
            "digits", x32[train], y32[train], x32[val], y32[val], x32[test], y32[test], 10, shape=(1, 8, 8)
        )
