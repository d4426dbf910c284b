"""Compiled local SGD and scores of small dense nets; what `FusedTrainer` calls.

The arithmetic is in `fused_layers`. Both kernels work on vectors that exist in compiled code only (`simd`):
neither can run as plain Python, and `FusedTrainer` computes as `NumpyTrainer` does where numba fails. The
inner ones take more than eight arguments: arrays gathered in tuples would be counted in innermost loops.
Records of arrays cross from Python as plain tuples, whose types numba recognises three times as fast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.compiled import inner
from ..models import ModelSpec
from .descent_kernels import Descent, adamw, clear, pull
from .fused_layers import LANES, backward, fill_padding, forward, pack, row_loss, softmax, unpack, update

# Padding lanes of the last layer: their probability is exactly zero.
_NEVER = np.float32(-1e30)

# Rows that go through the net together when scoring.
_BLOCK = 64


class NetLayout(NamedTuple):
    """Where a net's numbers lie in packed parameters and scratch arrays; vectors are of 16 lanes.

    A layer's weights lie transposed and padded, `[in, out rounded up to 16]`, then its biases.
    """

    widths: Ints  # [L + 1] inputs, hidden layers, classes
    vectors: Ints  # [L] vectors of a layer's outputs
    weights_at: Ints  # [L] where a layer's weights begin in the packed parameters
    biases_at: Ints  # [L] likewise its biases
    hidden_at: Ints  # [L] where a hidden layer's activations begin, per row
    packed_size: int  # packed parameters
    hidden_size: int  # activations of all hidden layers, per row
    turned_size: int  # of the largest transposed weight matrix
    widest: int  # lanes of the widest layer


class TrainJobs(NamedTuple):
    """See `LocalJobs`; without a correction it has no rows."""

    start: Floats32
    origin: Ints
    first: Ints
    rows: Ints32
    correction: Floats32
    rates: Floats


class Rows(NamedTuple):
    """Features of a part of the data set, one row after another, and labels."""

    x: Floats32
    y: Ints32


def net_layout(model: ModelSpec) -> NetLayout:
    """The layout of a dense model."""
    widths = np.array(model.widths, dtype=np.int64)
    vectors: Ints = -(-widths[1:] // LANES)
    weights = widths[:-1].copy()
    weights[1:] = vectors[:-1] * LANES  # hidden inputs are read with their padding
    size, bias = weights * vectors * LANES, vectors * LANES
    weights_at = np.concatenate([[0], np.cumsum(size + bias)[:-1]])
    hidden_at = np.concatenate([[0], np.cumsum(vectors[:-1] * LANES)])
    turned = int((widths[2:] * vectors[:-1]).max() * LANES) if len(vectors) > 1 else 1
    return NetLayout(
        widths,
        vectors,
        weights_at,
        weights_at + size,
        hidden_at,
        int((size + bias).sum()),
        int(hidden_at[-1]),
        turned,
        int(vectors.max() * LANES),
    )


@inner(cache=True)
def _logits(source, source_at, count, net, packed, hidden, capacity, in_at, out):  # type: ignore[no-untyped-def]
    """Forward pass of `count` rows; hidden layers to `hidden`, logits to `out`."""
    widths, vectors = net.widths, net.vectors
    w_at, b_at, h_at = net.weights_at, net.biases_at, net.hidden_at
    last = vectors.size - 1
    for layer in range(last):
        forward(
            source, source_at, count, widths[layer], packed, w_at[layer], b_at[layer], vectors[layer], True,
            hidden, h_at[layer] * capacity,
        )  # fmt: skip
        source, source_at = hidden, in_at[layer + 1]
    forward(
        source, source_at, count, widths[last], packed, w_at[last], b_at[last], vectors[last], False, out, 0
    )


@inner(cache=True)
def _hidden_offsets(net, capacity):  # type: ignore[no-untyped-def]
    """`[layers, capacity]`, where each row's inputs of each layer begin (first layer: set later)."""
    vectors, h_at = net.vectors, net.hidden_at
    offsets = np.zeros((vectors.size, capacity), np.int64)
    for layer in range(1, vectors.size):
        for b in range(capacity):
            offsets[layer, b] = h_at[layer - 1] * capacity + b * vectors[layer - 1] * LANES
    return offsets


@inner(cache=True)
def _sgd_step(rows, x, y, net, packed, into, anchor, decay, scale, work, in_at):  # type: ignore[no-untyped-def]
    """One minibatch: forward, softmax, backward, update; returns the mean loss before the step.

    What is updated is `into`: the parameters themselves, or with `decay` 0 an array that gets the gradient.
    """
    widths, vectors = net.widths, net.vectors
    w_at, b_at, h_at = net.weights_at, net.biases_at, net.hidden_at
    hidden, turned, back, spare = work
    batch, count, layers = rows.size, in_at.shape[1], vectors.size
    for b in range(batch):
        in_at[0, b] = np.int64(rows[b]) * widths[0]
    _logits(x, in_at[0], count, net, packed, hidden, count, in_at, back)
    loss = softmax(back, y, rows, batch, vectors[layers - 1], scale) / batch
    for layer in range(layers - 1, 0, -1):
        backward(
            back, widths[layer + 1], packed, w_at[layer], vectors[layer], hidden, h_at[layer - 1] * count,
            vectors[layer - 1], count, turned, spare,
        )  # fmt: skip
        update(
            hidden, in_at[layer], batch, widths[layer], back, into, w_at[layer], b_at[layer],
            vectors[layer], decay, anchor,
        )  # fmt: skip
        back, spare = spare, back
    update(x, in_at[0], batch, widths[0], back, into, w_at[0], b_at[0], vectors[0], decay, anchor)
    return loss


@inner(cache=True, nogil=True)
def train_range(begin, end, jobs, data, layout, descent, out):  # type: ignore[no-untyped-def]
    """Train the jobs `begin:end`; fills their rows of `out`."""
    start, origin, first, rows, correction, rates = jobs
    x, y = data
    how, net = Descent(*descent), NetLayout(*layout)
    delta, losses, norms, first_moment, second_moment, taken = out
    widths, vectors, w_at, b_at = net.widths, net.vectors, net.weights_at, net.biases_at
    batch = rows.shape[1]
    padded = (batch + 3) // 4 * 4
    packed, anchor = np.empty(net.packed_size, np.float32), np.zeros(net.packed_size, np.float32)
    hidden, turned = (
        np.zeros(net.hidden_size * padded + LANES, np.float32),
        np.empty(net.turned_size, np.float32),
    )
    back, spare = np.zeros(net.widest * padded, np.float32), np.zeros(net.widest * padded, np.float32)
    hold, in_at = np.empty(start.shape[1], np.float32), _hidden_offsets(net, padded)
    corrected = correction.shape[0] > 0
    anchored = corrected or how.prox_mu > 0
    adaptive = net.packed_size if how.adamw else 0
    g, m, v = np.zeros(adaptive, np.float32), np.empty(adaptive, np.float32), np.empty(adaptive, np.float32)
    nothing, blank = np.zeros(adaptive, np.float32), np.zeros(start.shape[1], np.float32)
    into, added = (g, nothing) if how.adamw else (packed, anchor)
    for j in range(begin, end):
        home, rate = start[origin[j]], rates[j]
        decay, scale = np.float32(1.0 - rate * (how.weight_decay + how.prox_mu)), np.float32(-rate / batch)
        force = rate  # SGD adds the pull to the parameters, AdamW subtracts it from the gradient
        if how.adamw:
            decay, scale, force = np.float32(0.0), np.float32(1.0 / batch), 1.0
            clear(g, 0, g.size)
            pack(first_moment[j], widths, vectors, w_at, b_at, m, np.float32(0.0))
            pack(second_moment[j], widths, vectors, w_at, b_at, v, np.float32(0.0))
        pack(home, widths, vectors, w_at, b_at, packed, _NEVER)
        if anchored:
            for p in range(hold.size):
                hold[p] = np.float32(force * how.prox_mu) * home[p]
                if corrected:
                    hold[p] -= np.float32(force) * correction[j, p]
            pack(hold, widths, vectors, w_at, b_at, anchor, np.float32(0.0))
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            work = (hidden, turned, back, spare)
            loss += _sgd_step(rows[s], x, y, net, packed, into, added, decay, scale, work, in_at)
            if how.adamw:
                if anchored:
                    pull(g, packed, np.float32(how.prox_mu), anchor)
                    fill_padding(g, widths, vectors, b_at, np.float32(0.0))
                taken[j] += 1
                adamw(packed, g, m, v, taken[j], rate, how)
                fill_padding(packed, widths, vectors, b_at, _NEVER)
        losses[j] = loss / max(1, first[j + 1] - first[j])
        norms[j] = unpack(packed, widths, vectors, w_at, b_at, home, delta[j])
        if how.adamw:
            unpack(m, widths, vectors, w_at, b_at, blank, first_moment[j])
            unpack(v, widths, vectors, w_at, b_at, blank, second_moment[j])


@inner(cache=True, nogil=True)
def score_range(begin, end, jobs, data, layout, losses, correct):  # type: ignore[no-untyped-def]
    """Summed loss and number of correct rows of the jobs `begin:end`; fills their rows of the last two."""
    params, origin, first, rows = jobs
    x, y = data
    net = NetLayout(*layout)
    widths, vectors, w_at, b_at = net.widths, net.vectors, net.weights_at, net.biases_at
    classes, last = widths[vectors.size], vectors[vectors.size - 1]
    packed, in_at = np.empty(net.packed_size, np.float32), _hidden_offsets(net, _BLOCK)
    hidden, z = (
        np.zeros(net.hidden_size * _BLOCK + LANES, np.float32),
        np.zeros(net.widest * _BLOCK, np.float32),
    )
    for j in range(begin, end):
        pack(params[origin[j]], widths, vectors, w_at, b_at, packed, _NEVER)
        loss, hits = 0.0, 0
        for at in range(first[j], first[j + 1], _BLOCK):
            count = min(_BLOCK, first[j + 1] - at)
            padded = (count + 3) // 4 * 4
            for b in range(padded):
                in_at[0, b] = np.int64(rows[at + min(b, count - 1)]) * widths[0]
            _logits(x, in_at[0], padded, net, packed, hidden, _BLOCK, in_at, z)
            for b in range(count):
                best = 0
                for c in range(1, classes):
                    if z[b * last * LANES + c] > z[b * last * LANES + best]:
                        best = c
                hits += best == y[rows[at + b]]
            loss += softmax(z, y, rows[at : at + count], count, last, np.float32(1.0))
        losses[j] = loss
        correct[j] = hits


@inner(cache=True, nogil=True)
def answer_range(begin, end, jobs, data, layout, right, losses):  # type: ignore[no-untyped-def]
    """Which rows of the jobs `begin:end` are right, and their losses; fills their places of the last two."""
    params, origin, first, rows = jobs
    x, y = data
    net = NetLayout(*layout)
    widths, vectors, w_at, b_at = net.widths, net.vectors, net.weights_at, net.biases_at
    classes, stride = widths[vectors.size], vectors[vectors.size - 1] * LANES
    packed, in_at = np.empty(net.packed_size, np.float32), _hidden_offsets(net, _BLOCK)
    hidden, z = (
        np.zeros(net.hidden_size * _BLOCK + LANES, np.float32),
        np.zeros(net.widest * _BLOCK, np.float32),
    )
    packed_of = -1
    for j in range(begin, end):
        if first[j] == first[j + 1]:
            continue
        if origin[j] != packed_of:  # neighbours often have the same model, and few rows each
            pack(params[origin[j]], widths, vectors, w_at, b_at, packed, _NEVER)
            packed_of = origin[j]
        for at in range(first[j], first[j + 1], _BLOCK):
            count = min(_BLOCK, first[j + 1] - at)
            padded = (count + 3) // 4 * 4
            for b in range(padded):
                in_at[0, b] = np.int64(rows[at + min(b, count - 1)]) * widths[0]
            _logits(x, in_at[0], padded, net, packed, hidden, _BLOCK, in_at, z)
            for b in range(count):
                best, label = b * stride, y[rows[at + b]]
                for c in range(b * stride + 1, b * stride + classes):
                    if z[c] > z[best]:
                        best = c
                right[at + b] = best == b * stride + label
                losses[at + b] = row_loss(z, b * stride, label, stride)
