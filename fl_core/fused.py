"""The fused backend: all local steps of one client in one compiled loop, everything in cache.

For stacks of Linear and ReLU. Products are done by two small kernels that keep a block of sums in registers
(`simd`), read the minibatch rows where they lie in the pool, and apply the SGD step where the gradient is
born. There is no BLAS, hence no dependence on batch shapes or thread counts, and no framework per step.

Inside a job the weights of a layer lie transposed and padded, ``[in, out rounded up to 16]``; `_pack` and
`_unpack` convert from and to the flat vector of `models`. Gradients are carried pre-multiplied by
``-learning_rate / batch_size``, so that an update is an addition.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import simd
from .data import Dataset
from .models import ModelSpec
from .settings import TrainingSettings
from .threads import run_ranges
from .trainer import FloatArray, LocalJobs, LocalUpdates

LANES = simd.LANES

# Padding lanes of the last layer: their probability is exactly zero.
_NEVER = np.float32(-1e30)

# Multiply-adds worth a thread (about 0.1 ms), and validation rows per job when evaluating.
_WORTH_A_THREAD = 2_000_000
_ROWS_PER_JOB = 256
_BLOCK = 64


@njit(cache=True)
def _pack(flat, widths, vectors, w_at, b_at, packed, pad):  # type: ignore[no-untyped-def]
    """Flat parameters to padded, transposed layers; ``pad`` fills the last bias's padding lanes."""
    at = 0
    packed[:] = np.float32(0.0)
    for layer in range(vectors.size):
        n_in, n_out, stride = widths[layer], widths[layer + 1], vectors[layer] * LANES
        for o in range(n_out):
            for i in range(n_in):
                packed[w_at[layer] + i * stride + o] = flat[at + o * n_in + i]
        at += n_in * n_out
        for o in range(stride):
            packed[b_at[layer] + o] = flat[at + o] if o < n_out else np.float32(0.0)
        at += n_out
    last = vectors.size - 1
    for o in range(widths[last + 1], vectors[last] * LANES):
        packed[b_at[last] + o] = pad


@njit(cache=True)
def _unpack(packed, widths, vectors, w_at, b_at, start, delta):  # type: ignore[no-untyped-def]
    """Writes ``delta = parameters - start`` in flat order and returns its length."""
    at = 0
    square = 0.0
    for layer in range(vectors.size):
        n_in, n_out, stride = widths[layer], widths[layer + 1], vectors[layer] * LANES
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


@njit(cache=True)
def _forward(a, a_at, count, n_in, w, w_at, b_at, vectors, relu, out, out_at):  # type: ignore[no-untyped-def]
    """``out = a W + b`` for ``count`` rows (a multiple of 4) of ``a`` that begin at ``a_at``."""
    stride = vectors * LANES
    for b in range(0, count, 4):
        r0, r1, r2, r3 = a_at[b], a_at[b + 1], a_at[b + 2], a_at[b + 3]
        for v in range(0, stride, LANES):
            s0 = s1 = s2 = s3 = simd.load(w, b_at + v)
            at = w_at + v
            for i in range(n_in):
                column = simd.load(w, at)
                s0 = simd.fma_splat(a, r0 + i, column, s0)
                s1 = simd.fma_splat(a, r1 + i, column, s1)
                s2 = simd.fma_splat(a, r2 + i, column, s2)
                s3 = simd.fma_splat(a, r3 + i, column, s3)
                at += stride
            if relu:
                s0, s1 = simd.where_positive(s0, s0), simd.where_positive(s1, s1)
                s2, s3 = simd.where_positive(s2, s2), simd.where_positive(s3, s3)
            at = out_at + b * stride + v
            simd.store(out, at, s0)
            simd.store(out, at + stride, s1)
            simd.store(out, at + 2 * stride, s2)
            simd.store(out, at + 3 * stride, s3)


@njit(cache=True)
def _backward(back, n_out, w, w_at, vectors, below, below_at, below_vectors, count, turned, out):  # type: ignore[no-untyped-def]
    """``out = (back W^T)`` where the layer below was active; ``turned`` is scratch for ``W^T``."""
    stride, n_in = vectors * LANES, below_vectors * LANES
    for o in range(n_out):
        for i in range(n_in):
            turned[o * n_in + i] = w[w_at + i * stride + o]
    zero = simd.splat(np.float32(0.0))
    for b in range(0, count, 4):
        r0 = b * stride
        r1, r2, r3 = r0 + stride, r0 + 2 * stride, r0 + 3 * stride
        for v in range(0, n_in, LANES):
            s0 = s1 = s2 = s3 = zero
            for o in range(n_out):
                row = simd.load(turned, o * n_in + v)
                s0 = simd.fma_splat(back, r0 + o, row, s0)
                s1 = simd.fma_splat(back, r1 + o, row, s1)
                s2 = simd.fma_splat(back, r2 + o, row, s2)
                s3 = simd.fma_splat(back, r3 + o, row, s3)
            at = b * n_in + v
            simd.store(out, at, simd.where_positive(simd.load(below, below_at + at), s0))
            at += n_in
            simd.store(out, at, simd.where_positive(simd.load(below, below_at + at), s1))
            at += n_in
            simd.store(out, at, simd.where_positive(simd.load(below, below_at + at), s2))
            at += n_in
            simd.store(out, at, simd.where_positive(simd.load(below, below_at + at), s3))


@njit(cache=True)
def _descend(w, at, gradient, shrink, anchor, anchored):  # type: ignore[no-untyped-def]
    """One vector of the SGD step: ``w <- shrink w + gradient (+ anchor)``."""
    if anchored:
        gradient = simd.add(gradient, simd.load(anchor, at))
    simd.store(w, at, simd.fma(shrink, simd.load(w, at), gradient))


@njit(cache=True)
def _update(a, a_at, batch, n_in, back, w, w_at, b_at, vectors, decay, anchor, anchored):  # type: ignore[no-untyped-def]
    """Gradient of one layer and its SGD step: ``W <- shrink W + a^T back``."""
    stride = vectors * LANES
    shrink, zero = simd.splat(decay), simd.splat(np.float32(0.0))
    whole = n_in - n_in % 4
    for v in range(0, stride, LANES):
        s0 = zero
        for b in range(batch):
            s0 = simd.add(s0, simd.load(back, b * stride + v))
        _descend(w, b_at + v, s0, shrink, anchor, anchored)
        for i in range(0, whole, 4):
            s0 = s1 = s2 = s3 = zero
            for b in range(batch):
                row = simd.load(back, b * stride + v)
                at = a_at[b] + i
                s0 = simd.fma_splat(a, at, row, s0)
                s1 = simd.fma_splat(a, at + 1, row, s1)
                s2 = simd.fma_splat(a, at + 2, row, s2)
                s3 = simd.fma_splat(a, at + 3, row, s3)
            at = w_at + i * stride + v
            _descend(w, at, s0, shrink, anchor, anchored)
            _descend(w, at + stride, s1, shrink, anchor, anchored)
            _descend(w, at + 2 * stride, s2, shrink, anchor, anchored)
            _descend(w, at + 3 * stride, s3, shrink, anchor, anchored)
        for i in range(whole, n_in):
            s0 = zero
            for b in range(batch):
                s0 = simd.fma_splat(a, a_at[b] + i, simd.load(back, b * stride + v), s0)
            _descend(w, w_at + i * stride + v, s0, shrink, anchor, anchored)


@njit(cache=True)
def _softmax(z, labels, rows, batch, vectors, scale):  # type: ignore[no-untyped-def]
    """Turns logits into ``scale * (probability - one_hot)`` in place; returns the summed loss.

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


@njit(cache=True, nogil=True)
def _train_range(  # type: ignore[no-untyped-def]
    begin, end, start, origin, first, rows, correction, x, y, widths, vectors, w_at, b_at, h_at, sizes,
    rate, weight_decay, prox_mu, delta, losses, norms,
):  # fmt: skip
    """Trains the jobs ``begin:end``; see `LocalJobs` for the arguments."""
    layers, batch, inputs = vectors.size, rows.shape[1], widths[0]
    padded = (batch + 3) // 4 * 4
    packed, anchor = np.empty(sizes[0], np.float32), np.zeros(sizes[0], np.float32)
    hidden, turned = np.zeros(sizes[1] * padded + LANES, np.float32), np.empty(sizes[2], np.float32)
    back, spare = np.zeros(sizes[3] * padded, np.float32), np.zeros(sizes[3] * padded, np.float32)
    scratch = np.empty(start.shape[1], np.float32)
    x_at = np.zeros(padded, np.int64)
    in_at = np.zeros((layers, padded), np.int64)
    for layer in range(1, layers):
        for b in range(padded):
            in_at[layer, b] = h_at[layer - 1] * padded + b * vectors[layer - 1] * LANES
    corrected = correction.shape[0] > 0
    anchored = corrected or prox_mu > 0
    decay = np.float32(1.0 - rate * (weight_decay + prox_mu))
    scale = np.float32(-rate / batch)
    for j in range(begin, end):
        home = start[origin[j]]
        _pack(home, widths, vectors, w_at, b_at, packed, _NEVER)
        if anchored:
            for p in range(scratch.size):
                scratch[p] = np.float32(rate * prox_mu) * home[p]
                if corrected:
                    scratch[p] -= np.float32(rate) * correction[j, p]
            _pack(scratch, widths, vectors, w_at, b_at, anchor, np.float32(0.0))
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            for b in range(batch):
                x_at[b] = np.int64(rows[s, b]) * inputs
            if layers == 1:
                _forward(x, x_at, padded, inputs, packed, w_at[0], b_at[0], vectors[0], False, back, 0)
            else:
                _forward(
                    x,
                    x_at,
                    padded,
                    inputs,
                    packed,
                    w_at[0],
                    b_at[0],
                    vectors[0],
                    True,
                    hidden,
                    h_at[0] * padded,
                )
            for layer in range(1, layers):
                if layer < layers - 1:
                    _forward(
                        hidden, in_at[layer], padded, widths[layer], packed, w_at[layer], b_at[layer],
                        vectors[layer], True, hidden, h_at[layer] * padded,
                    )  # fmt: skip
                else:
                    _forward(
                        hidden, in_at[layer], padded, widths[layer], packed, w_at[layer], b_at[layer],
                        vectors[layer], False, back, 0,
                    )  # fmt: skip
            loss += _softmax(back, y, rows[s], batch, vectors[layers - 1], scale) / batch
            for layer in range(layers - 1, 0, -1):
                _backward(
                    back, widths[layer + 1], packed, w_at[layer], vectors[layer], hidden,
                    h_at[layer - 1] * padded, vectors[layer - 1], padded, turned, spare,
                )  # fmt: skip
                _update(
                    hidden, in_at[layer], batch, widths[layer], back, packed, w_at[layer], b_at[layer],
                    vectors[layer], decay, anchor, anchored,
                )  # fmt: skip
                back, spare = spare, back
            _update(
                x, x_at, batch, inputs, back, packed, w_at[0], b_at[0], vectors[0], decay, anchor, anchored
            )
        losses[j] = loss / max(1, first[j + 1] - first[j])
        norms[j] = _unpack(packed, widths, vectors, w_at, b_at, home, delta[j])


@njit(cache=True, nogil=True)
def _score_range(  # type: ignore[no-untyped-def]
    begin, end, params, origin, first, rows, x, y, widths, vectors, w_at, b_at, h_at, sizes, losses, correct
):
    """Summed loss and number of correct rows of the jobs ``begin:end``."""
    layers, inputs, classes = vectors.size, widths[0], widths[vectors.size]
    packed = np.empty(sizes[0], np.float32)
    hidden, z = np.zeros(sizes[1] * _BLOCK + LANES, np.float32), np.zeros(sizes[3] * _BLOCK, np.float32)
    x_at, in_at = np.zeros(_BLOCK, np.int64), np.zeros((layers, _BLOCK), np.int64)
    for layer in range(1, layers):
        for b in range(_BLOCK):
            in_at[layer, b] = h_at[layer - 1] * _BLOCK + b * vectors[layer - 1] * LANES
    stride = vectors[layers - 1] * LANES
    for j in range(begin, end):
        _pack(params[origin[j]], widths, vectors, w_at, b_at, packed, _NEVER)
        loss, hits = 0.0, 0
        for at in range(first[j], first[j + 1], _BLOCK):
            count = min(_BLOCK, first[j + 1] - at)
            padded = (count + 3) // 4 * 4
            for b in range(padded):
                x_at[b] = np.int64(rows[at + min(b, count - 1)]) * inputs
            source, source_at = x, x_at
            for layer in range(layers):
                if layer < layers - 1:
                    _forward(
                        source, source_at, padded, widths[layer], packed, w_at[layer], b_at[layer],
                        vectors[layer], True, hidden, h_at[layer] * _BLOCK,
                    )  # fmt: skip
                    source, source_at = hidden, in_at[layer + 1]
                else:
                    _forward(
                        source, source_at, padded, widths[layer], packed, w_at[layer], b_at[layer],
                        vectors[layer], False, z, 0,
                    )  # fmt: skip
            for b in range(count):
                best = 0
                for c in range(1, classes):
                    if z[b * stride + c] > z[b * stride + best]:
                        best = c
                hits += best == y[rows[at + b]]
            loss += _softmax(z, y, rows[at : at + count], count, vectors[layers - 1], np.float32(1.0))
        losses[j] = loss
        correct[j] = hits


class FusedTrainer:
    """Fused numba backend for dense models; see the module.

    Args:
        dataset: The rows.
        model: A stack of Linear and ReLU.
    """

    name = "fused"

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        widths = np.array(model.widths, dtype=np.int64)
        vectors = -(-widths[1:] // LANES)
        weights = widths[:-1].copy()
        weights[1:] = vectors[:-1] * LANES  # hidden inputs are read with their padding
        size = weights * vectors * LANES
        bias = vectors * LANES
        w_at = np.concatenate([[0], np.cumsum(size + bias)[:-1]])
        h_at = np.concatenate([[0], np.cumsum(vectors[:-1] * LANES)])
        turned = int((widths[2:] * vectors[:-1]).max() * LANES) if len(vectors) > 1 else 1
        sizes = np.array([(size + bias).sum(), h_at[-1], turned, vectors.max() * LANES], dtype=np.int64)
        self._shape = (widths, vectors, w_at, w_at + size, h_at, sizes)
        self._pools = {
            part: (getattr(dataset, f"x_{part}").ravel(), getattr(dataset, f"y_{part}"))
            for part in ("train", "val", "test")
        }
        self._flops_per_row = int((widths[:-1] * widths[1:]).sum())

    def run(self, jobs: LocalJobs, settings: TrainingSettings) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, size = jobs.origin.size, jobs.start.shape[1]
        delta = np.empty((count, size), dtype=np.float32)
        loss, norm = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
        correction = np.empty((0, size), dtype=np.float32) if jobs.correction is None else jobs.correction
        args = (
            jobs.start, jobs.origin, jobs.first, jobs.rows, correction, *self._pools["train"], *self._shape,
            settings.learning_rate, settings.weight_decay, settings.prox_mu, delta, loss, norm,
        )  # fmt: skip
        if count:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self._flops_per_row)
            run_ranges(lambda begin, end: _train_range(begin, end, *args), work, _WORTH_A_THREAD)
        return LocalUpdates(delta, loss, norm)

    def _score(
        self,
        params: FloatArray,
        origin: NDArray[np.int64],
        first: NDArray[np.int64],
        rows: NDArray[np.int32],
        part: str,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Summed losses and numbers of correct rows per job."""
        loss, correct = np.zeros(origin.size), np.zeros(origin.size)
        args = (params, origin, first, rows, *self._pools[part], *self._shape, loss, correct)
        if origin.size:
            work = first * self._flops_per_row
            run_ranges(lambda begin, end: _score_range(begin, end, *args), work, _WORTH_A_THREAD)
        return loss, correct

    def losses(
        self, params: FloatArray, origin: NDArray[np.int64], first: NDArray[np.int64], rows: NDArray[np.int32]
    ) -> FloatArray:
        """See `LocalTrainer.losses`."""
        total, _ = self._score(params, origin, first, rows, "train")
        return (total / np.maximum(1, np.diff(first))).astype(np.float32)

    def evaluate(self, params: FloatArray, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `LocalTrainer.evaluate`."""
        size, envs = self._pools[part][1].size, len(params)
        marks = np.append(np.arange(0, size, _ROWS_PER_JOB), size)
        chunks = marks.size - 1
        rows = np.tile(np.arange(size, dtype=np.int32), envs)
        first = np.append((np.arange(envs)[:, None] * size + marks[:-1]).ravel(), envs * size)
        loss, correct = self._score(params, np.repeat(np.arange(envs), chunks), first, rows, part)
        return correct.reshape(envs, chunks).sum(axis=1) / size, loss.reshape(envs, chunks).sum(axis=1) / size
