"""Concepts: a data set in several copies, so that the number of a row names its concept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....common.arrays import Floats32, Ints32
from ..dataset import Dataset
from .drift import Drift


def with_concepts(dataset: Dataset, drift: Drift) -> Dataset:
    """The rows of every concept one after another: row r of concept c is row `c n + r`.

    Concept 0 is the data set itself. Nothing is transformed while an episode runs, and a client's memory may
    hold rows of several concepts.

    Raises:
        ValueError: data whose rows cannot be changed that way.
    """
    if drift.copies == 1:
        return dataset
    if dataset.times is not None or dataset.score is not None:
        raise ValueError(
            f"drift: {drift.kind}, expected none or mix with data set {dataset.name!r}, whose rows are not "
            "features with a class each"
        )
    (x, y), (x_val, y_val), (x_test, y_test) = (
        _copies(dataset, drift, part) for part in ("train", "val", "test")
    )
    born = dataset.natural_client
    return replace(
        dataset,
        name=f"{dataset.name} in {drift.copies} concepts",
        x_train=x,
        y_train=y,
        x_val=x_val,
        y_val=y_val,
        x_test=x_test,
        y_test=y_test,
        natural_client=None if born is None else np.tile(born, drift.copies),
    )


def _copies(dataset: Dataset, drift: Drift, part: str) -> tuple[Floats32, Ints32]:
    """The rows of a part in every concept, one concept after another."""
    x, y = dataset.rows(part)
    concepts = range(drift.copies)
    if drift.kind == "swap":
        labels = [_swapped(y, concept, dataset.num_classes) for concept in concepts]
        return np.concatenate([x] * drift.copies), np.concatenate(labels)
    rows = [_shifted(dataset, x, concept / drift.copies) for concept in concepts]
    return np.concatenate(rows), np.concatenate([y] * drift.copies)


def _shifted(dataset: Dataset, x: Floats32, share: float) -> Floats32:
    """Rows rolled by a share of their length; images of `dataset.shape` column by column."""
    shape = dataset.shape or (dataset.num_features,)
    images = x.reshape(len(x), *shape)
    rolled: Floats32 = np.roll(images, round(share * shape[-1]), axis=-1).reshape(len(x), -1)
    return rolled


def _swapped(y: Ints32, concept: int, num_classes: int) -> Ints32:
    """Labels in which about half have exchanged their meaning, pairs of neighbours from another label on."""
    meaning = np.arange(num_classes, dtype=np.int32)
    if concept:
        order = np.roll(meaning, -(concept - 1))
        for pair in range(max(num_classes // 4, 1)):
            first, second = order[2 * pair], order[2 * pair + 1]
            meaning[first], meaning[second] = second, first
    return np.asarray(meaning[y])
