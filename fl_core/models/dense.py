"""Dense models as flat parameter vectors: shapes, initial values, forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...common.arrays import AnyArray, Floats32


@dataclass(frozen=True)
class ModelSpec:
    """A stack of Linear layers with ReLU between them; softmax cross-entropy on top.

    Attributes:
        widths: ``(inputs, hidden..., classes)``; ``(d, C)`` is softmax regression.
        name: How it was asked for, for logs.
    """

    widths: tuple[int, ...]
    name: str = "dense"

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths}: expected at least two positive layer widths")

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return sum((a + 1) * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> Floats32:
        """Initial parameters: zeros for softmax regression (convex), He-normal weights otherwise.

        Args:
            seed: Seed of the draw.

        Returns:
            ``float32 [P]``.
        """
        flat = np.zeros(self.num_parameters, dtype=np.float32)
        if len(self.widths) == 2:
            return flat
        rng = np.random.default_rng(seed)
        for weight, _ in self.layers(flat):
            weight[...] = rng.normal(0.0, np.sqrt(2.0 / weight.shape[1]), weight.shape)
        return flat

    def layers(self, flat: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
        """Views of each layer's ``(weight [out, in], bias [out])`` in a flat vector."""
        views = []
        at = 0
        for a, b in zip(self.widths[:-1], self.widths[1:], strict=True):
            views.append((flat[at : at + a * b].reshape(b, a), flat[at + a * b : at + a * b + b]))
            at += (a + 1) * b
        return views


class Model(Protocol):
    """What the core needs to know of a model."""

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
        """Initial parameters ``float32 [P]``."""
