"""Where the numbers of a small dense net lie while the fused backend trains it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....common.arrays import Floats32, Ints
from ...models import ModelSpec
from .layers import LANES


class NetLayout(NamedTuple):
    """Where a net's numbers lie in packed parameters and scratch arrays; vectors are of 16 lanes.

    A layer's weights lie transposed and padded, `[in, out rounded up to 16]`, then its biases. The stack's L
    layers come first, its last one the last head; then the heads of early exits, K layers in all.
    """

    inputs: Ints  # [K] of each layer
    outputs: Ints  # [K]
    below: Ints  # [K] the layer of the stack whose inputs it reads: its own, or a head's
    shares: Floats32  # [K - L + 1] of the heads' losses, the last head's first
    depth: int  # L
    vectors: Ints  # [K] vectors of a layer's outputs
    weights_at: Ints  # [K] where a layer's weights begin in the packed parameters
    biases_at: Ints  # [K] likewise its biases
    hidden_at: Ints  # [L] where a hidden layer's activations begin, per row
    packed_size: int  # packed parameters
    hidden_size: int  # activations of all hidden layers, per row
    turned_size: int  # of the largest transposed weight matrix
    widest: int  # lanes of the widest layer


def net_layout(model: ModelSpec) -> NetLayout:
    """The layout of a dense model."""
    inputs, outputs = np.array(model.shapes, dtype=np.int64).T.copy()
    depth = len(model.widths) - 1
    below = np.array([*range(depth), *(each.after for each in model.exits)], dtype=np.int64)
    vectors: Ints = -(-outputs // LANES)
    weights = inputs.copy()
    reads = below > 0
    weights[reads] = vectors[below[reads] - 1] * LANES  # hidden inputs are read with their padding
    size, bias = weights * vectors * LANES, vectors * LANES
    weights_at = np.concatenate([[0], np.cumsum(size + bias)[:-1]])
    hidden_at = np.concatenate([[0], np.cumsum(vectors[: depth - 1] * LANES)])
    turned = int((outputs[reads] * vectors[below[reads] - 1]).max(initial=0) * LANES)
    return NetLayout(
        inputs,
        outputs,
        below,
        np.array([model.last_share, *(each.share for each in model.exits)], dtype=np.float32),
        depth,
        vectors,
        weights_at,
        weights_at + size,
        hidden_at,
        int((size + bias).sum()),
        int(hidden_at[-1]),
        max(turned, 1),
        int(vectors.max() * LANES),
    )
