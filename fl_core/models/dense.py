"""Dense models as flat parameter vectors: softmax regression, multi-layer perceptrons, early exits.

For every layer in order the vector holds the weight matrix `[out, in]` row-major, then the bias `[out]`; the
heads of early exits follow the stack that they read from. That is the order of
`torch.nn.utils.parameters_to_vector` over the same modules, so weights are handed to and from PyTorch without
a permutation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from ...common.arrays import AnyArray, Floats32
from ...common.sizes import check_values
from ..data import Dataset
from .base import MODELS, ModelSource, TensorPlace


class Exit(NamedTuple):
    """An early head: one Linear layer that answers from a hidden layer."""

    after: int  # hidden layers below it; 0: it reads the inputs
    share: float  # of its loss in the loss that is trained; the last head has the rest


@dataclass(frozen=True)
class ModelSpec:
    """A stack of Linear layers with ReLU between them; softmax cross-entropy on top, and at early exits."""

    widths: tuple[int, ...]  # `(inputs, hidden..., classes)`; `(d, C)` is softmax regression
    name: str = "dense"  # how it was asked for, for logs
    exits: tuple[Exit, ...] = ()  # early heads, the cheapest first

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths: {self.widths}, expected at least two positive layer widths")
        layers = " x ".join(map(str, self.widths))
        depths = [each.after for each in self.exits]
        if depths != sorted(set(depths)) or any(not 0 <= after < len(self.widths) - 1 for after in depths):
            raise ValueError(f"exits: after {depths}, expected increasing numbers of hidden layers, of "
                             f"{len(self.widths) - 2} that there are")  # fmt: skip
        if any(each.share <= 0 for each in self.exits) or self.last_share <= 0:
            shares = [each.share for each in self.exits]
            raise ValueError(f"exits: shares {shares}, expected positive ones with a sum below 1")
        check_values(f"model: layers of {layers}", self.num_parameters, do="take smaller hidden layers")

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum((a + 1) * b for a, b in self.shapes)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each Linear layer: of the stack, then of the early heads."""
        heads = [(self.widths[each.after], self.widths[-1]) for each in self.exits]
        return (*itertools.pairwise(self.widths), *heads)

    @property
    def last_share(self) -> float:
        """Share of the last head's loss in the loss that is trained."""
        return 1.0 - sum(each.share for each in self.exits)

    @property
    def early_share(self) -> float:
        """Parameters of what the first exit needs, over all: what a client holds that answers from it."""
        if not self.exits:
            return 1.0
        below = self.shapes[: self.exits[0].after]
        needed = (*below, self.shapes[len(self.widths) - 1])
        return sum((a + 1) * b for a, b in needed) / self.num_parameters

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> Floats32:
        """Initial parameters: zeros for softmax regression (convex), He-normal weights otherwise.

        Args:
            seed: seed of the draw.

        Returns:
            `[P]`.
        """
        flat = np.zeros(self.num_parameters, dtype=np.float32)
        if len(self.widths) == 2:
            return flat
        rng = np.random.default_rng(seed)
        for weight, _ in self.layers(flat) + self.heads(flat):
            weight[...] = rng.normal(0.0, np.sqrt(2.0 / weight.shape[1]), weight.shape)
        return flat

    def layers(self, flat: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
        """Views of each layer's `(weight [out, in], bias [out])` in a flat vector, of the stack alone."""
        return _views(flat, self.shapes)[: len(self.widths) - 1]

    def heads(self, flat: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
        """The same of the early heads."""
        return _views(flat, self.shapes)[len(self.widths) - 1 :]

    def places(self) -> tuple[TensorPlace, ...]:
        """Its tensors in the order of the flat vector: `layers.0.weight`, `layers.0.bias`, and so on."""
        found, at, depth = [], 0, len(self.widths) - 1
        for number, (a, b) in enumerate(self.shapes):
            name = f"layers.{number}" if number < depth else f"heads.{number - depth}"
            found.append(TensorPlace(f"{name}.weight", at, (b, a), True))
            found.append(TensorPlace(f"{name}.bias", at + a * b, (b,), False))
            at += (a + 1) * b
        return tuple(found)


def _views(flat: AnyArray, shapes: Sequence[tuple[int, int]]) -> list[tuple[AnyArray, AnyArray]]:
    """Weight and bias of Linear layers that lie one after another."""
    views = []
    at = 0
    for a, b in shapes:
        views.append((flat[at : at + a * b].reshape(b, a), flat[at + a * b : at + a * b + b]))
        at += (a + 1) * b
    return views


@MODELS.register("softmax")
class Softmax(ModelSource):
    """Softmax regression: one linear layer; convex."""

    def build(self, dataset: Dataset) -> ModelSpec:
        """See `ModelSource.build`."""
        return ModelSpec((dataset.num_features, dataset.num_classes), "softmax")


@MODELS.register("mlp")
class Mlp(ModelSource):
    """Multi-layer perceptron with ReLU.

    Attributes:
        hidden: widths of the hidden layers.
    """

    hidden: tuple[int, ...] = Field(default=(64,), min_length=1)

    def build(self, dataset: Dataset) -> ModelSpec:
        """See `ModelSource.build`."""
        return ModelSpec((dataset.num_features, *self.hidden, dataset.num_classes), "mlp")


@MODELS.register("exits")
class Exits(ModelSource):
    """A multi-layer perceptron with early exits: linear heads that answer from lower layers.

    What is trained is the sum of all heads' cross-entropies, each with its share (BranchyNet, Teerapittayanon
    et al., ICPR 2016; in federations Kaplan et al., "Federated learning for collaborative inference systems:
    The case of early exit networks", 2024, who give a head the share of the requests that it serves).
    Accuracy and loss are those of the last head.

    Attributes:
        hidden: widths of the hidden layers.
        after: of each early head, how many hidden layers lie below it; 0: it reads the inputs.
        shares: of each early head's loss; the last head has the rest.
    """

    has_exits = True

    hidden: tuple[int, ...] = Field(default=(16, 64), min_length=1)
    after: tuple[int, ...] = Field(default=(1,), min_length=1)
    shares: tuple[float, ...] = Field(default=(0.5,), min_length=1)

    @model_validator(mode="after")
    def _one_share_each(self) -> Self:
        if len(self.after) != len(self.shares):
            raise ValueError(f"shares: {self.shares}, expected one for each of after: {self.after}")
        ModelSpec((1, *self.hidden, 1), "exits", self._heads)
        return self

    @property
    def _heads(self) -> tuple[Exit, ...]:
        return tuple(Exit(*each) for each in zip(self.after, self.shares, strict=True))

    def build(self, dataset: Dataset) -> ModelSpec:
        """See `ModelSource.build`."""
        widths = (dataset.num_features, *self.hidden, dataset.num_classes)
        return ModelSpec(widths, "exits", self._heads)
