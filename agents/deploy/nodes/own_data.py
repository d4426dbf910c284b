"""Rows that a node brings itself: from its own machine, of nobody's partition, never told to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....common.registry import load_dotted
from ....fl_core.data import Dataset, pairs

DATA_KEY = "data"
"""Key of a node's configuration that names what loads its rows."""


def with_own_rows(dataset: Dataset, node_config: Mapping[str, object]) -> Dataset:
    """The federation's data set with a node's own rows in place of everybody's training rows.

    Args:
        dataset: what the scenario names; it says what a row looks like and how many labels there are.
        node_config: `data` names a function `package.module:name` of this mapping. It returns a torch data
            set of pairs (features, label), or features `[n, ...]` and labels `[n]` as two arrays.

    Raises:
        ValueError: one line: there is no such function, or its rows are not like the federation's.
    """
    name = str(node_config[DATA_KEY])
    if dataset.times is not None:
        raise ValueError(f"data: {name!r}, expected none: rows of one's own have no times to an event")
    rows = load_dotted(name, DATA_KEY)(dict(node_config))
    x, y = _arrays(rows) if isinstance(rows, tuple) else pairs(DATA_KEY, rows)
    x = x.reshape(len(x), -1 if x.size else dataset.num_features)
    if x.shape != (y.size, dataset.num_features) or not y.size:
        raise ValueError(
            f"data: {name!r} returned features of shape {x.shape} and {y.size} labels, expected [n, "
            f"{dataset.num_features}] and n, at least one, as the rows of data set {dataset.name!r}"
        )
    return replace(dataset, x_train=x, y_train=y, natural_client=None)


def _arrays(rows: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
    if len(rows) != 2:
        raise ValueError(f"data: {len(rows)} values, expected two arrays, features and labels")
    return np.asarray(rows[0], dtype=np.float32), np.asarray(rows[1]).reshape(-1)
