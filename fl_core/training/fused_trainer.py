"""The fused backend: all local steps of one client in one compiled loop, everything in cache.

For stacks of Linear and ReLU; `kernels` has the arithmetic. A net is described to the compiled code by a
tuple of integer arrays: widths, vectors of 16 per layer, where each layer's weights and biases begin in the
packed parameters, where its activations begin, and the sizes of the scratch arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ..data import Dataset
from ..models import ModelSpec
from ..numerics import run_ranges
from .fused_layers import LANES, backward, forward, pack, softmax, unpack, update
from .jobs import LocalJobs, LocalUpdates, rows_by_label
from .settings import LocalTraining

# Padding lanes of the last layer: their probability is exactly zero.
_NEVER = np.float32(-1e30)

# Multiply-adds worth a thread (about 0.1 ms), and validation rows per job when evaluating.
_WORTH_A_THREAD = 2_000_000
_ROWS_PER_JOB = 256
_BLOCK = 64


@njit(cache=True)
def _logits(source, source_at, count, net, packed, hidden, capacity, in_at, out):  # type: ignore[no-untyped-def]
    """Forward pass of ``count`` rows; hidden layers to ``hidden``, logits to ``out``."""
    widths, vectors, w_at, b_at, h_at, _ = net
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


@njit(cache=True)
def _hidden_offsets(net, capacity):  # type: ignore[no-untyped-def]
    """``[layers, capacity]``, where each row's inputs of each layer begin (first layer: set later)."""
    _, vectors, _, _, h_at, _ = net
    offsets = np.zeros((vectors.size, capacity), np.int64)
    for layer in range(1, vectors.size):
        for b in range(capacity):
            offsets[layer, b] = h_at[layer - 1] * capacity + b * vectors[layer - 1] * LANES
    return offsets


@njit(cache=True)
def _sgd_step(rows, x, y, net, packed, anchor, decay, scale, work, in_at):  # type: ignore[no-untyped-def]
    """One minibatch: forward, softmax, backward, update; returns the mean loss before the step."""
    widths, vectors, w_at, b_at, h_at, _ = net
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
            hidden, in_at[layer], batch, widths[layer], back, packed, w_at[layer], b_at[layer],
            vectors[layer], decay, anchor,
        )  # fmt: skip
        back, spare = spare, back
    update(x, in_at[0], batch, widths[0], back, packed, w_at[0], b_at[0], vectors[0], decay, anchor)
    return loss


@njit(cache=True, nogil=True)
def _train_range(  # type: ignore[no-untyped-def]
    begin,
    end,
    start,
    origin,
    first,
    rows,
    correction,
    x,
    y,
    net,
    rate,
    weight_decay,
    prox_mu,
    delta,
    losses,
    norms,
):
    """Trains the jobs ``begin:end``; see `LocalJobs` for the arguments."""
    widths, vectors, w_at, b_at, _, sizes = net
    batch = rows.shape[1]
    padded = (batch + 3) // 4 * 4
    packed, anchor = np.empty(sizes[0], np.float32), np.zeros(sizes[0], np.float32)
    hidden, turned = np.zeros(sizes[1] * padded + LANES, np.float32), np.empty(sizes[2], np.float32)
    back, spare = np.zeros(sizes[3] * padded, np.float32), np.zeros(sizes[3] * padded, np.float32)
    pull, in_at = np.empty(start.shape[1], np.float32), _hidden_offsets(net, padded)
    corrected = correction.shape[0] > 0
    anchored = corrected or prox_mu > 0
    decay, scale = np.float32(1.0 - rate * (weight_decay + prox_mu)), np.float32(-rate / batch)
    for j in range(begin, end):
        home = start[origin[j]]
        pack(home, widths, vectors, w_at, b_at, packed, _NEVER)
        if anchored:
            for p in range(pull.size):
                pull[p] = np.float32(rate * prox_mu) * home[p]
                if corrected:
                    pull[p] -= np.float32(rate) * correction[j, p]
            pack(pull, widths, vectors, w_at, b_at, anchor, np.float32(0.0))
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            work = (hidden, turned, back, spare)
            loss += _sgd_step(rows[s], x, y, net, packed, anchor, decay, scale, work, in_at)
        losses[j] = loss / max(1, first[j + 1] - first[j])
        norms[j] = unpack(packed, widths, vectors, w_at, b_at, home, delta[j])


@njit(cache=True, nogil=True)
def _score_range(  # type: ignore[no-untyped-def]
    begin, end, params, origin, first, rows, x, y, net, losses, correct
):
    """Summed loss and number of correct rows of the jobs ``begin:end``."""
    widths, vectors, w_at, b_at, _, sizes = net
    classes, last = widths[vectors.size], vectors[vectors.size - 1]
    packed, in_at = np.empty(sizes[0], np.float32), _hidden_offsets(net, _BLOCK)
    hidden, z = np.zeros(sizes[1] * _BLOCK + LANES, np.float32), np.zeros(sizes[3] * _BLOCK, np.float32)
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


class FusedTrainer:
    """Fused numba backend for dense models; see the module.

    Args:
        dataset: The rows.
        model: A stack of Linear and ReLU.
    """

    name = "fused"

    def __init__(self, dataset: Dataset, model: ModelSpec) -> None:
        self._num_classes = dataset.num_classes
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
        self._net = (widths, vectors, w_at, w_at + size, h_at, sizes)
        self._pools = {
            part: (getattr(dataset, f"x_{part}").ravel(), getattr(dataset, f"y_{part}"))
            for part in ("train", "val", "test")
        }
        self._flops_per_row = int((widths[:-1] * widths[1:]).sum())

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, size = jobs.origin.size, jobs.start.shape[1]
        delta = np.empty((count, size), dtype=np.float32)
        loss, norm = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
        correction = np.empty((0, size), dtype=np.float32) if jobs.correction is None else jobs.correction
        args = (
            jobs.start, jobs.origin, jobs.first, jobs.rows, correction, *self._pools["train"], self._net,
            settings.learning_rate, settings.weight_decay, settings.prox_mu, delta, loss, norm,
        )  # fmt: skip
        if count:
            work = jobs.first * (jobs.rows.shape[1] * 3 * self._flops_per_row)
            run_ranges(lambda begin, end: _train_range(begin, end, *args), work, _WORTH_A_THREAD)
        return LocalUpdates(delta, loss, norm)

    def _score(
        self,
        params: Floats32,
        origin: Ints,
        first: Ints,
        rows: Ints32,
        part: str,
    ) -> tuple[Floats, Floats]:
        """Summed losses and numbers of correct rows per job."""
        loss, correct = np.zeros(origin.size), np.zeros(origin.size)
        args = (params, origin, first, rows, *self._pools[part], self._net, loss, correct)
        if origin.size:
            work = first * self._flops_per_row
            run_ranges(lambda begin, end: _score_range(begin, end, *args), work, _WORTH_A_THREAD)
        return loss, correct

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        total, _ = self._score(params, origin, first, rows, "train")
        return (total / np.maximum(1, np.diff(first))).astype(np.float32)

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        size, envs = self._pools[part][1].size, len(params)
        marks = np.append(np.arange(0, size, _ROWS_PER_JOB), size)
        chunks = marks.size - 1
        rows = np.tile(np.arange(size, dtype=np.int32), envs)
        first = np.append((np.arange(envs)[:, None] * size + marks[:-1]).ravel(), envs * size)
        loss, correct = self._score(params, np.repeat(np.arange(envs), chunks), first, rows, part)
        return correct.reshape(envs, chunks).sum(axis=1) / size, loss.reshape(envs, chunks).sum(axis=1) / size

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        labels, envs, classes = self._pools[part][1], len(params), self._num_classes
        order, marks = rows_by_label(labels, classes)
        first = np.append((np.arange(envs)[:, None] * labels.size + marks[:-1]).ravel(), envs * labels.size)
        origin = np.repeat(np.arange(envs), classes)
        correct = self._score(params, origin, first, np.tile(order, envs), part)[1].reshape(envs, classes)
        count = np.diff(marks)
        return np.where(count > 0, correct / np.maximum(1, count), np.nan)
