"""What the core needs to know of a model, and the kinds of models by name."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ...common.arrays import Floats32
from ...common.registry import Registry
from ...common.settings import Settings
from ..data import Dataset


class Model(Protocol):
    """A model as one flat vector of parameters."""

    @property
    def name(self) -> str:
        """For logs."""

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes."""

    def init(self, seed: int) -> Floats32:
        """Initial parameters `[P]`."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in a flat vector, row-major."""

    name: str  # in full, as `blocks.0.attend`
    at: int  # where it begins
    shape: tuple[int, ...]  # `[out, in]` of a matrix
    linear: bool  # whether low-rank factors stand beside it, unless somebody says beside which

    def is_called(self, name: str) -> bool:
        """Whether this is its name, or the last part of it."""
        return self.name == name or self.name.endswith(f".{name}")


class ModelSource(Settings):
    """One kind of model: its fields are its settings, `build` fits it to a data set.

    Example:
        >>> @MODELS.register("wide")
        ... class Wide(ModelSource):
        ...     width: int = 512
        ...
        ...     def build(self, dataset: Dataset) -> Model:
        ...         return ModelSpec((dataset.num_features, self.width, dataset.num_classes), "wide")
    """

    has_exits: ClassVar[bool] = False  # whether its models are `ModelSpec` with early exits

    @abstractmethod
    def build(self, dataset: Dataset) -> Model:
        """Make the model with the data set's inputs and classes."""


MODELS: Registry[ModelSource] = Registry("model", ModelSource)
"""Models by name; modules of PyTorch also by dotted name, see `make_model`."""
