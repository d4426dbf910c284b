"""Data sets: one pool of rows per data set, shared by all clients of all environments."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats, Floats32, Ints32
from ...common.registry import Registry, options_from_signature
from ...common.settings import Settings, Spec
from ...common.splits import Split
from .rows import columns, finite, labels_below, pairs, partitions
from .score import Score

_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """Rows for training, validation (the server's) and test (the evaluators' only).

    Features are finite and labels whole numbers in `[0, num_classes)`; anything else is refused here: one NaN
    would end a run in its first round. `shape` is that of one row for models that need it, as `(1, 28, 28)`.
    A data set may name its own score, which then is what worlds call accuracy.
    """

    name: str  # for logs and errors
    x_train: Floats32  # [n, d]
    y_train: Ints32  # [n]
    x_val: Floats32  # [n_val, d]
    y_val: Ints32  # [n_val]
    x_test: Floats32  # [n_test, d]
    y_test: Ints32  # [n_test]
    num_classes: int  # C
    natural_client: Ints32 | None = None  # [n] the client each training row was born at, where there are such
    shape: tuple[int, ...] = ()  # of one row; (d,) if empty
    times: tuple[Floats, Floats, Floats] | None = (
        None  # of train, val, test: of the event, or of its censoring
    )
    score: Score | None = None  # what the reward pays for; None = accuracy

    @classmethod
    def from_torch(
        cls,
        train: Sized,
        val: Sized,
        test: Sized,
        name: str = "own",
        num_classes: int | None = None,
        natural_client: AnyArray | None = None,
    ) -> Dataset:
        """The rows of three `torch.utils.data.Dataset`s of pairs (features, label).

        Args:
            train: the clients' rows.
            val: the server's rows, by which accuracy is measured.
            test: the evaluators' rows.
            name: for logs and errors.
            num_classes: number of labels; None: one more than the largest.
            natural_client: the client that each training row was born at, if partition `natural` is to deal.

        Raises:
            ValueError: items that are no such pairs, or rows of different shapes.
        """
        parts = {part: pairs(part, rows) for part, rows in zip(_PARTS, (train, val, test), strict=True)}
        return cls._of(parts, name, num_classes, natural_client)

    @classmethod
    def from_flower(
        cls,
        federated: Any,
        features: str = "image",
        label: str = "label",
        splits: tuple[str, str | None, str] = ("train", None, "test"),
        name: str = "own",
        num_classes: int | None = None,
    ) -> Dataset:
        """The rows of a `flwr_datasets.FederatedDataset`; partition `natural` deals them as its own does.

        Args:
            federated: has a partitioner of the first of the splits.
            features: column of arrays or images of one shape; bytes are divided by 255.
            label: column of whole numbers.
            splits: of the clients, of the server and of the evaluators; the server's None: it has every
                second row of the evaluators', and they the others.
            name: for logs and errors.
            num_classes: as in `from_torch`.

        Raises:
            ValueError: there is no such column, or rows of different shapes.
        """
        train, val, test = splits
        x, y, born = partitions(federated, train, features, label)
        evaluators = columns(test, federated.load_split(test), features, label)
        if val is None:
            server, evaluators = _every_second(evaluators, 0), _every_second(evaluators, 1)
        else:
            server = columns(val, federated.load_split(val), features, label)
        parts = {"train": (x, y), "val": server, "test": evaluators}
        return cls._of(parts, name, num_classes, born)

    @classmethod
    def _of(
        cls,
        parts: Mapping[str, tuple[AnyArray, AnyArray]],
        name: str,
        num_classes: int | None,
        natural_client: AnyArray | None,
    ) -> Dataset:
        """From features `[n, ...]` and labels of the parts."""
        labels = np.concatenate([y for _, y in parts.values()])
        count = int(labels.max()) + 1 if num_classes is None and labels.size else num_classes or 1
        x_train, x_val, x_test = (x.reshape(len(x), -1) for x, _ in parts.values())
        y_train, y_val, y_test = (y for _, y in parts.values())
        shape = parts["train"][0].shape[1:]
        return cls(
            name,
            x_train,
            y_train,
            x_val,
            y_val,
            x_test,
            y_test,
            count,
            natural_client=None if natural_client is None else np.asarray(natural_client, dtype=np.int32),
            shape=shape if len(shape) > 1 else (),
        )

    def __post_init__(self) -> None:
        for part in ("train", "val", "test"):
            x, y = self.rows(part)
            if x.ndim != 2 or y.ndim != 1 or x.shape != (y.size, self.x_train.shape[1]):
                raise ValueError(f"x_{part}: shape {x.shape}, expected [{y.size}, {self.x_train.shape[1:]}]")
            object.__setattr__(self, f"x_{part}", finite(f"x_{part}", x))
            object.__setattr__(self, f"y_{part}", labels_below(f"y_{part}", y, self.num_classes))
        if self.times is not None:
            object.__setattr__(self, "times", _checked_times(self.times, self))
        for part in ("train", "val"):
            if not self.rows(part)[1].size:
                raise ValueError(f"y_{part}: empty, expected rows in data set {self.name!r}")

    def rows(self, part: str) -> tuple[Floats32, Ints32]:
        """Features and labels of a part, `"train"`, `"val"` or `"test"`."""
        return getattr(self, f"x_{part}"), getattr(self, f"y_{part}")

    def times_of(self, part: str) -> Floats:
        """Times of a part's events, or until which they were looked for; ValueError where there are none."""
        if self.times is None:
            raise ValueError(
                f"dataset: {self.name!r} has no times, expected some for a survival model; "
                "name a column in time, or use model: softmax"
            )
        return self.times[_PARTS.index(part)]

    def scored(self, accuracy: Floats, loss: Floats) -> Floats:
        """What models of this accuracy and mean loss are worth, 0 to 1: the accuracy, or by `score`."""
        return accuracy if self.score is None else self.score.of(accuracy, loss)

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


def _every_second(part: tuple[AnyArray, AnyArray], first: int) -> tuple[AnyArray, AnyArray]:
    """Every second row of a part."""
    return part[0][first::2], part[1][first::2]


def _checked_times(times: tuple[Floats, Floats, Floats], data: Dataset) -> tuple[Floats, Floats, Floats]:
    """Times as float64: one per row, finite, not negative; labels then say whether the event was seen."""
    for part, each in zip(_PARTS, times, strict=True):
        if each.shape != data.rows(part)[1].shape or not (np.isfinite(each) & (each >= 0)).all():
            raise ValueError(f"times of {part}: shape {each.shape}, expected a number >= 0 for every row")
    if data.num_classes != 2:
        raise ValueError(f"num_classes: {data.num_classes}, expected 2 with times: event seen or not")
    train, val, test = (np.ascontiguousarray(each, dtype=np.float64) for each in times)
    return train, val, test


def language_data(
    name: str,
    parts: Sequence[Floats32],
    vocabulary: int,
    natural_client: Ints32,
    score: Score | None = None,
) -> Dataset:
    """A data set of texts, `[n, context + 1]` tokens each; the label of a row is its last token.

    Args:
        name: for logs and errors.
        parts: rows for training, validation and test.
        vocabulary: number of tokens.
        natural_client: `[n]`, who wrote each training row.
        score: what the reward pays for; None = accuracy.
    """
    (x, y), (x_val, y_val), (x_test, y_test) = ((rows, rows[:, -1].astype(np.int32)) for rows in parts)
    return Dataset(
        name, x, y, x_val, y_val, x_test, y_test, vocabulary, natural_client=natural_client, score=score
    )


class DatasetSource(Settings):
    """One kind of data set: its fields are its settings, `load` gets the rows.

    Example:
        >>> @DATASETS.register("coins")
        ... class Coins(DatasetSource):
        ...     bias: float = 0.5
        ...
        ...     def load(self, rng_seed: int) -> Dataset: ...
        >>> load_dataset({"kind": "coins", "bias": 0.7})
    """

    def for_split(self, split: Split) -> DatasetSource:
        """The source of one split's rows: the same for all, unless a data set keeps its splits apart."""
        return self

    def silos(self) -> int | None:
        """How many clients rows are born at, as far as the settings and files tell; None: at none."""
        return None

    @abstractmethod
    def load(self, rng_seed: int) -> Dataset:
        """Get the rows; what is generated follows the seed, what is stored does not."""


class Loader(DatasetSource):
    """A function of one's own as a kind of data set; its arguments are the settings.

    Attributes:
        function: returns a `Dataset`; its argument `rng_seed`, if it has one, is the seed of generated data.
        settings: the other arguments.
    """

    function: Callable[..., Any]
    settings: dict[str, Any] = Field(default_factory=dict)

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        seed = {"rng_seed": rng_seed} if "rng_seed" in inspect.signature(self.function).parameters else {}
        made = self.function(**self.settings, **seed)
        if not isinstance(made, Dataset):
            raise ValueError(
                f"dataset: {self.function.__name__} returned a {type(made).__name__}, expected a "
                "frugalfl.fl_core.Dataset; Dataset.from_torch makes one"
            )
        return made


class _LoaderKind:
    """Makes `Loader`s of one function."""

    def __init__(self, function: Callable[..., object]):
        self._function = function
        self.Options = options_from_signature(function, without=("rng_seed",))

    def __call__(self, **settings: object) -> Loader:
        return Loader(function=self._function, settings=settings)


def _adopted(found: object) -> object:
    """A kind of data set from what a dotted name stands for: a kind, or a function that loads one."""
    return _LoaderKind(found) if inspect.isfunction(found) else found


DATASETS: Registry[DatasetSource] = Registry("dataset", DatasetSource, _adopted)
"""Data sets by name."""


def load_dataset(spec: Spec | DatasetSource, rng_seed: int = 0, split: Split = "train") -> Dataset:
    """Load a data set by name.

    Args:
        spec: a registered name, a mapping with `kind` and the settings of that data set, or a source.
        rng_seed: seed of generated data; stored data does not depend on it.
        split: whose rows, where a data set keeps them apart (`Apart`).

    Raises:
        ValueError: an unknown name (with a suggestion) or bad settings.
    """
    return DATASETS.make(spec).for_split(split).load(rng_seed)
