"""Forward passes of minibatches through the layers of small dense nets, in compiled code."""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from .layers import LANES, forward


@inner(inline="always")
def activate(source, source_at, count, net, packed, hidden, in_at, layers):  # type: ignore[no-untyped-def]
    """Forward pass of `count` rows through so many hidden layers, to `hidden`."""
    w_at, b_at, h_at = net.weights_at, net.biases_at, net.hidden_at
    for layer in range(layers):
        forward(
            source, source_at, count, net.inputs[layer], packed, w_at[layer], b_at[layer], net.vectors[layer],
            True, hidden, h_at[layer] * in_at.shape[1],
        )  # fmt: skip
        source, source_at = hidden, in_at[layer + 1]


@inner(inline="always")
def read(x, hidden, in_at, count, net, packed, head, out):  # type: ignore[no-untyped-def]
    """Logits of one head, from the activations that it reads."""
    source = hidden if net.below[head] > 0 else x
    forward(
        source, in_at[net.below[head]], count, net.inputs[head], packed, net.weights_at[head],
        net.biases_at[head], net.vectors[head], False, out, 0,
    )  # fmt: skip


@inner(inline="always")
def logits(x, in_at, count, net, packed, hidden, head, out):  # type: ignore[no-untyped-def]
    """Forward pass of `count` rows up to one head; hidden layers to `hidden`, logits to `out`."""
    activate(x, in_at[0], count, net, packed, hidden, in_at, net.below[head])
    read(x, hidden, in_at, count, net, packed, head, out)


@inner(cache=True)
def hidden_offsets(net, capacity):  # type: ignore[no-untyped-def]
    """`[layers, capacity]`, where each row's inputs of each layer begin (first layer: set later)."""
    vectors, h_at = net.vectors, net.hidden_at
    offsets = np.zeros((net.depth, capacity), np.int64)
    for layer in range(1, net.depth):
        for b in range(capacity):
            offsets[layer, b] = h_at[layer - 1] * capacity + b * vectors[layer - 1] * LANES
    return offsets
