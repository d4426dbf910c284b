"""Batteries for data sets and partitions."""

from __future__ import annotations

import numpy as np

from ...common.settings import Spec
from ..data import Dataset, DatasetSource, Partition, load_dataset, partition
from .expect import described, expect, same

_N = 6


def check_dataset(spec: Spec | DatasetSource) -> Dataset:
    """Check a data set and return it.

    All features are finite, all parts have rows, the same seed gives the same rows, and natural clients,
    where there are any, are numbered from 0, one per training row.

    Raises:
        AssertionError: one line.
    """
    what = f"dataset {described(spec)}"
    one, two = load_dataset(spec, 3), load_dataset(spec, 3)
    expect(isinstance(one, Dataset), f"{what}: {type(one).__name__}, expected a Dataset")
    for part in ("train", "val", "test"):
        x, y = one.rows(part)
        expect(bool(np.isfinite(x).all()), f"{what}: x_{part}: not finite, expected numbers")
        expect(y.size > 0, f"{what}: y_{part}: empty, expected rows")
        expect(same(x, two.rows(part)[0]), f"{what}: x_{part}: another with the same seed, expected the same")
    born = one.natural_client
    if born is not None:
        fits = born.shape == one.y_train.shape and born.min() == 0
        expect(bool(fits), f"{what}: natural_client: expected one number per training row, from 0")
    shape = one.shape or (one.num_features,)
    expect(
        int(np.prod(shape)) == one.num_features,
        f"{what}: shape: {shape}, expected {one.num_features} numbers",
    )
    return one


def check_partition(spec: Spec | Partition, dataset: Dataset | None = None) -> None:
    """Check a partition: every row is dealt exactly once, everybody has some, the same seed deals the same.

    Args:
        spec: what to check.
        dataset: what is dealt; None = the digits.

    Raises:
        AssertionError: one line.
    """
    what, data = f"partition {described(spec)}", dataset or load_dataset("digits")
    zone = np.arange(_N) % 2
    for hub in (0.0, 0.3):
        one, two = (
            partition(data, _N, zone, 2, spec, np.random.default_rng(5), hub, 20, "zone") for _ in range(2)
        )
        expect(same(one.rows, two.rows), f"{what}: another with the same seed, expected the same")
        own = np.concatenate([one.rows[a : a + n] for a, n in zip(one.offset, one.own, strict=False)])
        expected = data.num_rows - round(hub * data.num_rows)
        expect(np.unique(own).size == own.size == expected, f"{what}: expected every row with one client")
        expect(bool(one.own.min() > 0), f"{what}: own: {one.own.min()}, expected rows for everybody")
        expect(bool(np.isclose(one.target_weight.sum(), 1)), f"{what}: target_weight: expected a sum of 1")
