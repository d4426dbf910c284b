"""A tiny decoder-only transformer as a flat parameter vector, for rows of tokens.

Pre-norm with RMS norms that have no gains, multi-head causal attention, a ReLU perceptron of four times the
width, learned positions, an untied head, no biases. Kaplan et al., "Scaling Laws for Neural Language Models"
(2020) count its forward pass with 2 N multiply-adds' worth of operations per token, and a step with 6 N.

The vector holds, in this order: tokens `[V, d]`, positions `[T, d]`; for every layer the projections to
queries, keys and values `[3 d, d]`, from the heads `[d, d]`, up `[4 d, d]` and down `[d, 4 d]`; the head
`[V, d]`. Matrices are `[out, in]` row-major, so that this is the order of
`torch.nn.utils.parameters_to_vector` over `transformer_module`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from ...common.arrays import AnyArray, Floats32, Ints32
from ...common.sizes import check_values
from ..data import Dataset
from .base import MODELS, ModelSource, TensorPlace

WIDENING = 4
"""Width of the perceptron over the model's."""

RMS_EPSILON = 1e-5
"""Added to the mean square of a row before its root divides it."""


@dataclass(frozen=True)
class Block:
    """Views of one layer's matrices, each `[out, in]`."""

    attend: AnyArray  # [3 d, d] queries, keys and values, each of all heads
    join: AnyArray  # [d, d] from the heads back to the stream
    up: AnyArray  # [4 d, d]
    down: AnyArray  # [d, 4 d]


@dataclass(frozen=True)
class Tensors:
    """Views of a flat vector."""

    tokens: AnyArray  # [V, d]
    positions: AnyArray  # [T, d]
    blocks: tuple[Block, ...]
    head: AnyArray  # [V, d]


@dataclass(frozen=True)
class TransformerSpec:
    """A transformer that predicts each token of a row from those before it.

    A row of data holds `context + 1` tokens: the model reads all but the last, and predicts all but the
    first. Its loss is the mean cross-entropy over the positions, its accuracy the share of right ones.
    """

    layers: int
    width: int  # d
    heads: int
    context: int  # T, tokens that are read at once
    vocabulary: int  # V
    name: str = "transformer"  # for logs

    @property
    def num_parameters(self) -> int:
        """Length P of the flat parameter vector."""
        return (2 * self.vocabulary + self.context) * self.width + self.layers * (
            4 + 2 * WIDENING
        ) * self.width**2

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of the matrix products of one row's forward pass."""
        weights = self.layers * (4 + 2 * WIDENING) * self.width**2 + self.vocabulary * self.width
        attention = 2 * self.layers * self.context * self.width
        return 2 * self.context * (weights + attention)

    @property
    def step_flops(self) -> int:
        """Likewise of a row's part in a training step: a backward pass is worth two forward passes."""
        return 3 * self.forward_flops

    def init(self, seed: int) -> Floats32:
        """Initial parameters: normal, of variance one over the inputs, less for what is added to the stream.

        The head begins small, so that an untrained model holds all tokens for about equally likely.

        Args:
            seed: seed of the draw.

        Returns:
            `[P]`.
        """
        rng, flat = np.random.default_rng(seed), np.zeros(self.num_parameters, dtype=np.float32)
        views, wide = self.tensors(flat), 1 / math.sqrt(self.width)
        added = 1 / math.sqrt(2 * self.layers)
        draws = [(views.tokens, 0.5), (views.positions, 0.5)]
        for block in views.blocks:
            draws += [(block.attend, wide), (block.join, wide * added), (block.up, wide)]
            draws.append((block.down, wide * added / math.sqrt(WIDENING)))
        for matrix, spread in [*draws, (views.head, 0.1 * wide)]:
            matrix[...] = rng.normal(0.0, spread, matrix.shape)
        return flat

    def places(self) -> tuple[TensorPlace, ...]:
        """Its tensors in the order of the flat vector: `tokens`, `blocks.0.attend` and so on."""
        views = self.tensors(np.arange(self.num_parameters))
        named = [("tokens", views.tokens), ("positions", views.positions)]
        for layer, block in enumerate(views.blocks):
            named += [(f"blocks.{layer}.{name}", matrix) for name, matrix in vars(block).items()]
        return tuple(
            TensorPlace(name, int(matrix[0, 0]), matrix.shape, name.startswith("blocks."))
            for name, matrix in [*named, ("head", views.head)]
        )

    def tensors(self, flat: AnyArray) -> Tensors:
        """Views of the matrices in a flat vector."""
        at = 0

        def take(rows: int, columns: int) -> AnyArray:
            nonlocal at
            view = flat[at : at + rows * columns].reshape(rows, columns)
            at += rows * columns
            return view

        d = self.width
        tokens, positions = take(self.vocabulary, d), take(self.context, d)
        blocks = tuple(
            Block(take(3 * d, d), take(d, d), take(WIDENING * d, d), take(d, WIDENING * d))
            for _ in range(self.layers)
        )
        return Tensors(tokens, positions, blocks, take(self.vocabulary, d))


@MODELS.register("transformer")
class Transformer(ModelSource):
    """A decoder-only transformer over rows of tokens; the vocabulary is the data set's number of classes.

    Attributes:
        layers: blocks of attention and perceptron.
        width: of the stream, d; a multiple of `heads`.
        heads: of the attention.
        context: tokens read at once, one fewer than a row has; None = as the rows are.
    """

    layers: int = Field(default=1, ge=1, le=1_000)
    width: int = Field(default=32, ge=1, le=65_536)
    heads: int = Field(default=2, ge=1, le=1_024)
    context: int | None = Field(default=None, ge=1, le=65_536)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width: {self.width}, expected a multiple of heads={self.heads}")
        return self

    def build(self, dataset: Dataset) -> TransformerSpec:
        """See `ModelSource.build`."""
        token_rows(dataset, "val")
        context = dataset.num_features - 1
        if self.context not in (None, context):
            raise ValueError(
                f"model 'transformer': context: {self.context}, expected {context}: the rows of data set "
                f"{dataset.name!r} have {dataset.num_features} tokens"
            )
        model = TransformerSpec(self.layers, self.width, self.heads, context, dataset.num_classes)
        what = f"model: transformer of {self.layers} layers of width {self.width}"
        check_values(what, model.num_parameters, do="take fewer or narrower layers")
        return model


def token_rows(dataset: Dataset, part: str) -> Ints32:
    """The rows of a part as tokens `[n, context + 1]`.

    Raises:
        ValueError: if the features are no tokens, or too few.
    """
    x, _ = dataset.rows(part)
    if dataset.num_features < 2:
        raise ValueError(
            f"model 'transformer': rows of {dataset.num_features} feature in data set {dataset.name!r}, "
            "expected at least 2 tokens"
        )
    tokens = x.astype(np.int32)
    bad = (tokens != x) | (tokens < 0) | (tokens >= dataset.num_classes)
    if bad.any():
        row, position = np.argwhere(bad)[0].tolist()
        raise ValueError(
            f"model 'transformer': {x[row, position]:g} in row {row} of data set {dataset.name!r}, expected "
            f"tokens: whole numbers from 0 to {dataset.num_classes - 1}"
        )
    return tokens
