"""Products, softmax and SGD steps of small dense nets, in compiled loops over registers.

Products are done by small kernels that keep a block of sums in registers (`simd`), read the rows where they
lie, and apply the SGD step where the gradient is born. There is no BLAS, hence no dependence on batch shapes
or thread counts.

The weights of a layer lie transposed and padded, `[in, out rounded up to 16]`; `pack` and `unpack` convert
from and to the flat vector of `models`. Gradients are carried pre-multiplied by `-learning_rate /
batch_size`, so that an update is an addition.
"""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from .. import blocks, simd

LANES, ROWS = simd.LANES, blocks.ROWS

NEVER = np.float32(-1e30)
"""Bias of padding lanes of the last layer: their probability is exactly zero."""


@inner(cache=True)
def whole_blocks(rows):  # type: ignore[no-untyped-def]
    """So many rows, rounded up to whole blocks of products."""
    return (rows + ROWS - 1) // ROWS * ROWS


@inner(cache=True)
def fill_padding(packed, net, pad):  # type: ignore[no-untyped-def]
    """Set the padding lanes of the heads' biases."""
    for layer in range(net.depth - 1, net.outputs.size):
        for o in range(net.outputs[layer], net.vectors[layer] * LANES):
            packed[net.biases_at[layer] + o] = pad


@inner(cache=True)
def pack(flat, net, packed, pad):  # type: ignore[no-untyped-def]
    """Flat parameters to padded, transposed layers; `pad` fills the padding lanes of the heads' biases."""
    w_at, b_at = net.weights_at, net.biases_at
    at = 0
    packed[:] = np.float32(0.0)
    for layer in range(net.vectors.size):
        n_in, n_out, stride = net.inputs[layer], net.outputs[layer], net.vectors[layer] * LANES
        for o in range(n_out):
            for i in range(n_in):
                packed[w_at[layer] + i * stride + o] = flat[at + o * n_in + i]
        at += n_in * n_out
        for o in range(stride):
            packed[b_at[layer] + o] = flat[at + o] if o < n_out else np.float32(0.0)
        at += n_out
    fill_padding(packed, net, pad)


@inner(cache=True, fastmath={"reassoc"})  # lets the sum of squares run in parallel; nan and inf stay
def unpack(packed, net, start, delta):  # type: ignore[no-untyped-def]
    """Write `delta = parameters - start` in flat order and returns its length."""
    w_at, b_at = net.weights_at, net.biases_at
    at = 0
    square = 0.0
    for layer in range(net.vectors.size):
        n_in, n_out, stride = net.inputs[layer], net.outputs[layer], net.vectors[layer] * LANES
        for o in range(n_out):
            for i in range(n_in):
                p = at + o * n_in + i
                delta[p] = packed[w_at[layer] + i * stride + o] - start[p]
        at += n_in * n_out
        for o in range(n_out):
            delta[at + o] = packed[b_at[layer] + o] - start[at + o]
        at += n_out
    for p in range(at):
        square += np.float64(delta[p]) * np.float64(delta[p])
    return np.float32(np.sqrt(square))


@inner(cache=True)
def forward(a, a_at, count, n_in, w, w_at, b_at, vectors, relu, out, out_at):  # type: ignore[no-untyped-def]
    """`out = a W + b` for `count` rows (whole blocks) of `a` that begin at `a_at`."""
    stride = vectors * LANES
    # Outputs outside, rows inside: sixteen columns of W stay in the first-level cache.
    for v in range(0, stride, LANES):
        for b in range(0, count, ROWS):
            rows, sums = blocks.listed(a_at, b), blocks.fill(simd.load(w, b_at + v))
            at = w_at + v
            for i in range(n_in):
                sums = blocks.fma_splat(a, rows, i, simd.load(w, at), sums)
                at += stride
            if relu:
                sums = blocks.where_positive(sums, sums)
            blocks.store(out, blocks.spaced(out_at + b * stride + v, stride), sums)


@inner(cache=True)
def backward(back, n_out, w, w_at, vectors, below, below_at, below_vectors, count, turned, out):  # type: ignore[no-untyped-def]
    """`out = (back W^T)` where the layer below was active; `turned` is scratch for `W^T`."""
    stride, n_in = vectors * LANES, below_vectors * LANES
    for o in range(n_out):
        for i in range(n_in):
            turned[o * n_in + i] = w[w_at + i * stride + o]
    zero = simd.splat(np.float32(0.0))
    for b in range(0, count, ROWS):
        rows = blocks.spaced(b * stride, stride)
        for v in range(0, n_in, LANES):
            sums = blocks.fill(zero)
            for o in range(n_out):
                sums = blocks.fma_splat(back, rows, o, simd.load(turned, o * n_in + v), sums)
            active = blocks.load(below, blocks.spaced(below_at + b * n_in + v, n_in))
            sums = blocks.where_positive(active, sums)
            blocks.store(out, blocks.spaced(b * n_in + v, n_in), sums)


@inner(cache=True)
def add_into(out, more, size):  # type: ignore[no-untyped-def]
    """`out += more` in the first `size` places."""
    for p in range(size):
        out[p] += more[p]


@inner(inline="always")
def _descend(w, at, gradient, shrink, anchor):  # type: ignore[no-untyped-def]
    """One vector of the SGD step: `w <- shrink w + gradient + anchor` (inlined: no reference counting)."""
    simd.store(w, at, simd.fma(shrink, simd.load(w, at), simd.add(gradient, simd.load(anchor, at))))


@inner(cache=True)
def update(a, a_at, batch, n_in, back, w, w_at, b_at, vectors, decay, anchor):  # type: ignore[no-untyped-def]
    """Gradient of one layer and its SGD step: `W <- shrink W + a^T back`."""
    stride = vectors * LANES
    shrink, zero = simd.splat(decay), simd.splat(np.float32(0.0))
    whole = n_in - n_in % ROWS
    for v in range(0, stride, LANES):
        s = zero
        for b in range(batch):
            s = simd.add(s, simd.load(back, b * stride + v))
        _descend(w, b_at + v, s, shrink, anchor)
        for i in range(0, whole, ROWS):
            sums = blocks.fill(zero)
            for b in range(batch):
                inputs = blocks.spaced(a_at[b] + i, 1)
                sums = blocks.fma_splat(a, inputs, 0, simd.load(back, b * stride + v), sums)
            at = blocks.spaced(w_at + i * stride + v, stride)
            step = blocks.add(sums, blocks.load(anchor, at))
            blocks.store(w, at, blocks.fma(shrink, blocks.load(w, at), step))
        for i in range(whole, n_in):
            s = zero
            for b in range(batch):
                s = simd.fma_splat(a, a_at[b] + i, simd.load(back, b * stride + v), s)
            _descend(w, w_at + i * stride + v, s, shrink, anchor)


@inner(cache=True)
def _normaliser(z, begin, stride):  # type: ignore[no-untyped-def]
    """The highest of the logits at `begin`, and the sum of all exponentials below it."""
    highest = simd.load(z, begin)
    for v in range(LANES, stride, LANES):
        highest = simd.maximum(highest, simd.load(z, begin + v))
    top = simd.max_lanes(highest)
    shift, sums = simd.splat(top), simd.splat(np.float32(0.0))
    for v in range(0, stride, LANES):
        sums = simd.add(sums, simd.exp(simd.sub(simd.load(z, begin + v), shift)))
    return top, simd.sum_lanes(sums)


@inner(cache=True)
def row_loss(z, begin, label, stride):  # type: ignore[no-untyped-def]
    """Cross-entropy and highest probability of the logits at `begin`, to the last bit as of `softmax`."""
    top, total = _normaliser(z, begin, stride)
    loss = np.float64(top) - np.float64(z[begin + label]) + np.log(np.float64(total))
    return loss, np.float32(1.0) / total


@inner(cache=True)
def summed_loss(z, labels, rows, batch, vectors):  # type: ignore[no-untyped-def]
    """Cross-entropy of logits that are left as they are, to the last bit as `softmax` returns it."""
    stride = vectors * LANES
    loss, product = 0.0, 1.0
    for b in range(batch):
        top, total = _normaliser(z, b * stride, stride)
        loss += np.float64(top) - np.float64(z[b * stride + labels[rows[b]]])
        product *= np.float64(total)
        if b % 16 == 15:
            loss += np.log(product)
            product = 1.0
    return loss + np.log(product)


@inner(cache=True)
def softmax(z, labels, rows, batch, vectors, scale):  # type: ignore[no-untyped-def]
    """Turn logits into `scale * (probability - one_hot)` in place; returns the summed loss.

    The logarithms of many normalisers are taken as one logarithm of their product.
    """
    stride = vectors * LANES
    loss, product = 0.0, 1.0
    for b in range(batch):
        begin = b * stride
        highest = simd.load(z, begin)
        for v in range(LANES, stride, LANES):
            highest = simd.maximum(highest, simd.load(z, begin + v))
        top = simd.max_lanes(highest)
        correct = begin + labels[rows[b]]
        loss += np.float64(top) - np.float64(z[correct])
        shift, sums = simd.splat(top), simd.splat(np.float32(0.0))
        for v in range(0, stride, LANES):
            e = simd.exp(simd.sub(simd.load(z, begin + v), shift))
            sums = simd.add(sums, e)
            simd.store(z, begin + v, e)
        total = simd.sum_lanes(sums)
        product *= np.float64(total)
        if b % 16 == 15:
            loss += np.log(product)
            product = 1.0
        share = simd.splat(scale / total)
        for v in range(0, stride, LANES):
            simd.store(z, begin + v, simd.mul(simd.load(z, begin + v), share))
        z[correct] -= scale
    return loss + np.log(product)
