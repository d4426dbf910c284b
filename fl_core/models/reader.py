"""A dense net that answers: which part of an image it sees, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats32, Ints
from .dense import ModelSpec


@dataclass(frozen=True)
class Reader:
    """A dense net on a row, or on the means of an image's squares.

    A net that tells labels also answers questions about them: yes with the probability of the labels for
    which the answer is yes.
    """

    shape: tuple[int, ...]  # of a row: (features,), or (channels, height, width)
    widths: tuple[int, ...]  # of the net, see `ModelSpec`
    pool: int | None = None  # squares along each side of the image; None = it sees all of the row
    yes: tuple[int, ...] = ()  # labels that mean yes: it answers 0 (no) or 1; none = it answers with a label

    def __post_init__(self) -> None:
        if self.pool is not None and (
            len(self.shape) != 3 or self.shape[1] % self.pool or self.shape[2] % self.pool
        ):
            raise ValueError(f"pool: {self.pool}, expected a divisor of an image's sides {self.shape}")

    @property
    def spec(self) -> ModelSpec:
        """The net."""
        return ModelSpec(self.widths)

    @property
    def classes(self) -> int:
        """Of its answers."""
        return 2 if self.yes else self.widths[-1]

    def seen(self, rows: Floats32) -> Floats32:
        """Rows as the net sees them."""
        if self.pool is None:
            return rows
        (depth, height, width), p = self.shape, self.pool
        squares = rows.reshape(len(rows), depth, p, height // p, p, width // p)
        return np.ascontiguousarray(squares.mean(axis=(3, 5)).reshape(len(rows), -1))

    def probabilities(self, parameters: Floats32, rows: Floats32) -> Floats32:
        """`[R, classes]`, of every answer to rows `[R, d]`: softmax of the net's outputs, summed if `yes`."""
        layers, out = self.spec.layers(parameters), self.seen(rows)
        for number, (weight, bias) in enumerate(layers):
            out = out @ weight.T + bias
            if number < len(layers) - 1:
                out = np.maximum(out, 0.0)
        raised = np.exp(out - out.max(axis=1, keepdims=True))
        shares = raised / raised.sum(axis=1, keepdims=True)
        if self.yes:
            agreed = shares[:, self.yes].sum(axis=1)
            shares = np.stack([1.0 - agreed, agreed], axis=1)
        return np.asarray(shares, dtype=np.float32)

    def answers(self, parameters: Floats32, rows: Floats32) -> tuple[Ints, Floats32]:
        """The likeliest class of each row, and its probability, each `[R]`."""
        probabilities = self.probabilities(parameters, rows)
        return probabilities.argmax(axis=1), np.asarray(probabilities.max(axis=1))
