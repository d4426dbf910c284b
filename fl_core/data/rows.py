"""Rows of data sets as arrays: checked, and taken from torch's pairs or Flower Datasets' partitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...common.arrays import AnyArray, Floats32, Ints32


def pairs(part: str, rows: Any) -> tuple[AnyArray, AnyArray]:
    """Features `[n, ...]` and labels `[n]` of a sequence of pairs."""
    try:
        items = [rows[index] for index in range(len(rows))]
        x = np.stack([np.asarray(features, dtype=np.float32) for features, _ in items])
        return x, np.asarray([np.asarray(label) for _, label in items]).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{part}: {error}; expected pairs (features, label) of one shape, as of a torch TensorDataset"
        ) from None


def columns(part: str, rows: Any, features: str, label: str) -> tuple[AnyArray, AnyArray]:
    """Features `[n, ...]` and labels `[n]` of two columns of a Hugging Face data set; bytes become 0 to 1."""
    names = list(rows.column_names)
    for name in (features, label):
        if name not in names:
            raise ValueError(f"{part}: no column {name!r}, expected one of {', '.join(names)}")
    table = rows.with_format("numpy")
    values = [np.asarray(each) for each in table[features]]
    shapes = sorted({each.shape for each in values})
    if len(shapes) > 1:
        raise ValueError(f"{part}: {features!r} has rows of shapes {shapes[0]} and {shapes[1]}, expected one")
    x = np.stack(values) if values else np.zeros((0, 1), dtype=np.float32)
    x = x.astype(np.float32) / 255.0 if x.dtype == np.uint8 else x
    return x, np.asarray(table[label]).reshape(-1)


def partitions(federated: Any, split: str, features: str, label: str) -> tuple[AnyArray, AnyArray, Ints32]:
    """Features and labels of all partitions of a `FederatedDataset`, and the partition `[n]` of each row."""
    first = federated.load_partition(0, split)  # some partitioners know their number only now
    count = int(federated.partitioners[split].num_partitions)
    loaded = [first, *(federated.load_partition(index, split) for index in range(1, count))]
    parts = [columns(f"{split}, partition {k}", each, features, label) for k, each in enumerate(loaded)]
    born = np.repeat(np.arange(count, dtype=np.int32), [y.size for _, y in parts])
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]), born


def finite(name: str, x: AnyArray) -> Floats32:
    """Features as float32, which is where they have to be finite."""
    with np.errstate(over="ignore"):
        rows: Floats32 = np.ascontiguousarray(x, dtype=np.float32)
    good = np.isfinite(rows)
    if not good.all():
        row, feature = (int(index) for index in np.argwhere(~good)[0])
        raise ValueError(
            f"{name}: {x[row, feature]} in row {row}, feature {feature}, expected finite numbers (float32); "
            f"mend or leave out {int((~good.all(axis=1)).sum())} rows"
        )
    return rows


def labels_below(name: str, y: AnyArray, num_classes: int) -> Ints32:
    """Labels as int32: whole numbers below the number of classes."""
    whole = y.dtype.kind in "iub" or (y.dtype.kind == "f" and bool((np.floor(y) == y).all()))
    if not whole:
        row = int(np.argmax(np.floor(y) != y)) if y.dtype.kind == "f" else 0
        raise ValueError(
            f"{name}: {y[row]!s} in row {row}, expected whole numbers from 0 to {num_classes - 1}"
        )
    if y.size and not (y.min() >= 0 and y.max() < num_classes):
        raise ValueError(f"{name}: {y.min()} to {y.max()}, expected labels in [0, {num_classes})")
    return np.ascontiguousarray(y, dtype=np.int32)
