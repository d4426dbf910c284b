"""Dense models as flat parameter vectors: softmax regression and multi-layer perceptrons.

For every layer in order the vector holds the weight matrix `[out, in]` row-major, then the bias `[out]`. That
is the order of `torch.nn.utils.parameters_to_vector` over the same `nn.Sequential`, so weights are handed to
and from PyTorch without a permutation.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats32
from ...common.sizes import check_values
from ..data import Dataset
from .base import MODELS, ModelSource, TensorPlace


@dataclass(frozen=True)
class ModelSpec:
    """A stack of Linear layers with ReLU between them; softmax cross-entropy on top."""

    widths: tuple[int, ...]  # `(inputs, hidden..., classes)`; `(d, C)` is softmax regression
    name: str = "dense"  # how it was asked for, for logs

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths: {self.widths}, expected at least two positive layer widths")
        layers = " x ".join(map(str, self.widths))
        check_values(f"model: layers of {layers}", self.num_parameters, do="take smaller hidden layers")

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum((a + 1) * b for a, b in itertools.pairwise(self.widths))

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
        for weight, _ in self.layers(flat):
            weight[...] = rng.normal(0.0, np.sqrt(2.0 / weight.shape[1]), weight.shape)
        return flat

    def layers(self, flat: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
        """Views of each layer's `(weight [out, in], bias [out])` in a flat vector."""
        views = []
        at = 0
        for a, b in itertools.pairwise(self.widths):
            views.append((flat[at : at + a * b].reshape(b, a), flat[at + a * b : at + a * b + b]))
            at += (a + 1) * b
        return views

    def places(self) -> tuple[TensorPlace, ...]:
        """Its tensors in the order of the flat vector: `layers.0.weight`, `layers.0.bias` and so on."""
        found, at = [], 0
        for layer, (a, b) in enumerate(itertools.pairwise(self.widths)):
            found.append(TensorPlace(f"layers.{layer}.weight", at, (b, a), True))
            found.append(TensorPlace(f"layers.{layer}.bias", at + a * b, (b,), False))
            at += (a + 1) * b
        return tuple(found)


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
