"""Transformers in plain NumPy: the reference that the fused kernel is tested against, in any precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....common.arrays import AnyArray
from ...data import Dataset
from ...models import RMS_EPSILON, Block, TransformerSpec, token_rows
from ..jobs import softmax_loss
from ..reference import ReferenceTrainer


@dataclass(frozen=True)
class _Passed:
    """What a layer's forward pass leaves for its backward pass; rows are tokens of n sequences."""

    normed: AnyArray  # [n, T, d] into attention
    root: AnyArray  # [n, T, 1] of its norm
    heads: AnyArray  # [3, n, heads, T, d / heads] queries, keys and values
    shares: AnyArray  # [n, heads, T, T] of attention
    joined: AnyArray  # [n, T, d] out of the heads
    normed_up: AnyArray  # [n, T, d] into the perceptron
    root_up: AnyArray  # [n, T, 1]
    hidden: AnyArray  # [n, T, 4 d]


class TransformerReference(ReferenceTrainer):
    """See the module.

    Args:
        dataset: rows of `context + 1` tokens.
        model: a transformer.
    """

    def __init__(self, dataset: Dataset, model: TransformerSpec) -> None:
        super().__init__(dataset, model.num_parameters)
        for part in ("train", "val", "test"):
            token_rows(dataset, part)
        self._model = model

    def gradient(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[float, AnyArray]:
        """See `ReferenceTrainer.gradient`; the last tokens stand in the rows, `y` is not read."""
        model, gradient = self._model, np.zeros_like(params)
        views, grads = model.tensors(params), model.tensors(gradient)
        tokens = x.astype(np.int64)
        read, wanted = tokens[:, :-1], tokens[:, 1:]
        logits, normed, root, passed = self._forward(params, read)
        loss, back = _cross_entropy(logits, wanted)
        back[(*np.indices(wanted.shape), wanted)] -= 1
        back /= wanted.size
        grads.head[...] = _sum_outer(back, normed)
        stream = _norm_back(back @ views.head, normed, root)
        for block, grad, kept in zip(views.blocks[::-1], grads.blocks[::-1], passed[::-1], strict=True):
            hidden = (stream @ block.down) * (kept.hidden > 0)
            grad.down[...], grad.up[...] = _sum_outer(stream, kept.hidden), _sum_outer(hidden, kept.normed_up)
            stream = stream + _norm_back(hidden @ block.up, kept.normed_up, kept.root_up)
            grad.join[...] = _sum_outer(stream, kept.joined)
            heads = self._attend_back(stream @ block.join, kept)
            grad.attend[...] = _sum_outer(heads, kept.normed)
            stream = stream + _norm_back(heads @ block.attend, kept.normed, kept.root)
        np.add.at(grads.tokens, read, stream)
        grads.positions[...] = stream.sum(axis=0)
        return float(loss.mean()), gradient

    def logits(self, params: AnyArray, read: AnyArray) -> AnyArray:
        """`[n, T, V]` of the tokens `read [n, T]`."""
        return self._forward(params, read)[0]

    def row_scores(self, params: AnyArray, x: AnyArray, y: AnyArray) -> tuple[AnyArray, AnyArray]:
        """See `ReferenceTrainer.row_scores`: means over the positions."""
        tokens = x.astype(np.int64)
        logits = self.logits(params, tokens[:, :-1])
        right = logits.argmax(axis=2) == tokens[:, 1:]
        return _cross_entropy(logits, tokens[:, 1:])[0].mean(axis=1), right.mean(axis=1)

    def _forward(
        self, params: AnyArray, read: AnyArray
    ) -> tuple[AnyArray, AnyArray, AnyArray, list[_Passed]]:
        """Logits, the last norm's output and root, and what every layer leaves."""
        views, passed = self._model.tensors(params), []
        stream = views.tokens[read] + views.positions
        for block in views.blocks:
            stream, kept = self._block(block, stream)
            passed.append(kept)
        normed, root = _norm(stream)
        return normed @ views.head.T, normed, root, passed

    def _block(self, block: Block, stream: AnyArray) -> tuple[AnyArray, _Passed]:
        normed, root = _norm(stream)
        heads = self._split(normed @ block.attend.T)
        queries, keys, values = heads
        scores = queries @ keys.swapaxes(2, 3) / math.sqrt(queries.shape[3])
        later = np.triu(np.ones(scores.shape[2:], dtype=bool), 1)
        shares = _softmax(np.where(later, -np.inf, scores))
        joined = _merge(shares @ values)
        stream = stream + joined @ block.join.T
        normed_up, root_up = _norm(stream)
        hidden = np.maximum(normed_up @ block.up.T, 0)
        kept = _Passed(normed, root, heads, shares, joined, normed_up, root_up, hidden)
        return stream + hidden @ block.down.T, kept

    def _attend_back(self, back: AnyArray, kept: _Passed) -> AnyArray:
        """`[n, T, 3 d]`, gradient of queries, keys and values from that of the heads' output."""
        queries, keys, values = kept.heads
        back = self._split(back)[0]
        shares = back @ values.swapaxes(2, 3)
        scores = kept.shares * (shares - (kept.shares * shares).sum(axis=3, keepdims=True))
        scores = scores / math.sqrt(queries.shape[3])
        each = (scores @ keys, scores.swapaxes(2, 3) @ queries, kept.shares.swapaxes(2, 3) @ back)
        return np.concatenate([_merge(one) for one in each], axis=2)

    def _split(self, rows: AnyArray) -> AnyArray:
        """`[k, n, heads, T, d / heads]` of rows `[n, T, k d]`."""
        n, length, _ = rows.shape
        parts = rows.reshape(n, length, -1, self._model.heads, self._model.width // self._model.heads)
        return parts.transpose(2, 0, 3, 1, 4)


def _merge(heads: AnyArray) -> AnyArray:
    """`[n, T, d]` of `[n, heads, T, d / heads]`."""
    n, _, length, _ = heads.shape
    return np.asarray(heads.swapaxes(1, 2).reshape(n, length, -1))


def _norm(stream: AnyArray) -> tuple[AnyArray, AnyArray]:
    """RMS norm of the rows, and one over each one's root mean square."""
    root = 1 / np.sqrt(np.square(stream).mean(axis=-1, keepdims=True) + stream.dtype.type(RMS_EPSILON))
    return stream * root, root


def _norm_back(back: AnyArray, normed: AnyArray, root: AnyArray) -> AnyArray:
    return np.asarray(root * (back - normed * (back * normed).mean(axis=-1, keepdims=True)))


def _softmax(scores: AnyArray) -> AnyArray:
    exponential = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=-1, keepdims=True))


def _cross_entropy(logits: AnyArray, wanted: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Loss `[n, T]` and probabilities `[n, T, V]` of every position."""
    loss, probability = softmax_loss(logits.reshape(-1, logits.shape[2]), wanted.ravel())
    return loss.reshape(wanted.shape), probability.reshape(logits.shape)


def _sum_outer(back: AnyArray, inputs: AnyArray) -> AnyArray:
    """Gradient `[out, in]` of a matrix from those of its outputs, summed over all rows."""
    return np.asarray(np.einsum("nto,nti->oi", back, inputs, optimize=True))
