"""Data sets: one pool of rows per data set, shared by all clients of all environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...common.arrays import Floats32, Ints, Ints32
from ...common.settings import Settings, parse_settings, split_spec, suggest

# The digits split is part of the task, like an ImageNet split: the same for every seed.
_DIGITS_SPLIT_SEED = 20_260_101


@dataclass(frozen=True)
class Dataset:
    """Rows for training, validation (the server's) and test (the evaluators' only).

    Attributes:
        name: For logs and errors.
        x_train: ``float32 [n, d]``.
        y_train: ``int32 [n]`` in ``[0, num_classes)``.
        x_val: ``float32 [n_val, d]``.
        y_val: ``int32 [n_val]``.
        x_test: ``float32 [n_test, d]``.
        y_test: ``int32 [n_test]``.
        num_classes: Number of labels C.
        natural_client: ``int32 [n]``, the client each training row was born at, for data with a natural
            partition; else None.
        shape: Shape of one row for models that need it, e.g. ``(1, 28, 28)``; ``(d,)`` if empty.
    """

    name: str
    x_train: Floats32
    y_train: Ints32
    x_val: Floats32
    y_val: Ints32
    x_test: Floats32
    y_test: Ints32
    num_classes: int
    natural_client: Ints32 | None = None
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for part in ("train", "val", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if x.ndim != 2 or x.shape != (y.size, self.x_train.shape[1]) or y.ndim != 1:
                raise ValueError(f"x_{part}.shape={x.shape}: expected [{y.size}, {self.x_train.shape[1:]}]")
            object.__setattr__(self, f"x_{part}", np.ascontiguousarray(x, dtype=np.float32))
            object.__setattr__(self, f"y_{part}", np.ascontiguousarray(y, dtype=np.int32))
            if y.size and not (y.min() >= 0 and y.max() < self.num_classes):
                raise ValueError(f"y_{part}: labels must lie in [0, {self.num_classes})")
        if not self.y_train.size or not self.y_val.size:
            raise ValueError(f"data set {self.name!r}: training and validation parts must not be empty")

    @property
    def num_rows(self) -> int:
        """Number n of training rows."""
        return int(self.y_train.size)

    @property
    def num_features(self) -> int:
        """Number d of features of a row."""
        return int(self.x_train.shape[1])

    @property
    def row_bytes(self) -> int:
        """Bytes of one training row on the wire (float32 features, no label)."""
        return 4 * self.num_features


class DigitsSettings(Settings):
    """The embedded digits have no settings."""


def load_digits(settings: Settings, rng_seed: int) -> Dataset:
    """scikit-learn's embedded 8x8 digits, features in [0, 1], fixed stratified 60/20/20 split.

    Args:
        settings: `DigitsSettings`.
        rng_seed: Not used: the split does not depend on any seed.

    Returns:
        1,797 rows of 64 features, 10 classes.
    """
    from sklearn.datasets import load_digits as embedded

    x, y = embedded(return_X_y=True)
    rng = np.random.default_rng(_DIGITS_SPLIT_SEED)
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


DatasetLoader = Callable[[Any, int], Dataset]
"""Second half of the two-function protocol: settings and seed to a `Dataset`."""

_REGISTRY: dict[str, tuple[type[Settings], DatasetLoader]] = {"digits": (DigitsSettings, load_digits)}


def register_dataset(name: str, settings: type[Settings], loader: DatasetLoader) -> None:
    """Adds a data set under a name: a settings model and a function from settings and seed to rows.

    Args:
        name: The name `load_dataset` will know it by.
        settings: Pydantic model of its settings.
        loader: ``loader(settings, rng_seed) -> Dataset``.
    """
    _REGISTRY[name] = (settings, loader)


def load_dataset(spec: str | Mapping[str, Any], rng_seed: int = 0) -> Dataset:
    """Loads a data set by name.

    Args:
        spec: A registered name, or a mapping with ``name`` and the settings of that data set.
        rng_seed: Seed of generated data; stored data does not depend on it.

    Returns:
        The data set.

    Raises:
        ValueError: Unknown name (with a suggestion) or bad settings.
    """
    name, rest = split_spec(spec, "dataset")
    if name not in _REGISTRY:
        raise ValueError(f"dataset={name!r}: {suggest(name, _REGISTRY)}")
    kind, loader = _REGISTRY[name]
    return loader(parse_settings(kind, rest, f"dataset {name!r}"), rng_seed)
