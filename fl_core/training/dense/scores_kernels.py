"""Compiled scores and answers of small dense nets; what `FusedTrainer` evaluates with."""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from .. import simd
from .layers import LANES, NEVER, pack, row_loss, summed_loss, whole_blocks
from .layout import NetLayout
from .passes import hidden_offsets, logits

# Rows that go through the net together.
_BLOCK = 64


@inner(cache=True)
def _room(net):  # type: ignore[no-untyped-def]
    """Where a model, the places of its inputs, hidden activations and logits of a block lie."""
    hidden = np.zeros(net.hidden_size * _BLOCK + LANES, np.float32)
    z = np.zeros(net.widest * _BLOCK, np.float32)
    return np.empty(net.packed_size, np.float32), hidden_offsets(net, _BLOCK), hidden, z


@inner(inline="always")
def _through(x, rows, net, head, room):  # type: ignore[no-untyped-def]
    """One head's logits for at most a block of rows."""
    packed, in_at, hidden, z = room
    padded = whole_blocks(rows.size)
    for b in range(padded):
        in_at[0, b] = np.int64(rows[min(b, rows.size - 1)]) * net.inputs[0]
    logits(x, in_at, padded, net, packed, hidden, head, z)
    return z


@inner(inline="always")
def _lanes_below(count):  # type: ignore[no-untyped-def]
    """The bits of the first so many lanes."""
    return (1 << min(max(count, 0), LANES)) - 1


@inner(inline="always")
def _is_highest(z, begin, label, classes):  # type: ignore[no-untyped-def]
    """Whether the first highest of the logits at `begin` is the label's, as `argmax` has it; no branches."""
    mine, beaten = z[begin + label], 0
    level = simd.splat(mine)
    for v in range(0, classes, LANES):
        part = simd.load(z, begin + v)
        beaten |= simd.lanes_above(part, level) & _lanes_below(classes - v)
        beaten |= simd.lanes_equal(part, level) & _lanes_below(label - v)
    # What is no number is never highest, unless it comes first, where it stays.
    strange = np.isnan(mine) | np.isnan(z[begin])
    return (beaten == 0) & ((label == 0) | (not strange))


@inner(cache=True, nogil=True)
def score_range(begin, end, jobs, data, layout, losses, correct):  # type: ignore[no-untyped-def]
    """Summed loss and number of correct rows of the jobs `begin:end`; fills their rows of the last two."""
    params, origin, first, rows = jobs
    x, y = data
    net = NetLayout(*layout)
    head, room = net.depth - 1, _room(net)
    classes, vectors = net.outputs[head], net.vectors[head]
    for j in range(begin, end):
        pack(params[origin[j]], net, room[0], NEVER)
        loss, hits = 0.0, 0
        for at in range(first[j], first[j + 1], _BLOCK):
            block = rows[at : min(at + _BLOCK, first[j + 1])]
            z = _through(x, block, net, head, room)
            for b in range(block.size):
                hits += _is_highest(z, b * vectors * LANES, y[block[b]], classes)
            loss += summed_loss(z, y, block, block.size, vectors)
        losses[j] = loss
        correct[j] = hits


@inner(inline="always")
def _answer(place, rows, data, net, head, room, out):  # type: ignore[no-untyped-def]
    """What a head answers to a block of rows; `place` is where they and their answers lie."""
    right, losses, confidence = out
    x, y = data
    z = _through(x, rows, net, head, room)
    classes, stride = net.outputs[head], net.vectors[head] * LANES
    for b in range(rows.size):
        at, label = place[b], y[rows[b]]
        hit = _is_highest(z, b * stride, label, classes)
        right[at] = hit
        if losses.size > 0:
            loss, highest = row_loss(z, b * stride, label, stride)
            losses[at], one = loss, np.float32(hit)
            confidence[at] = (highest - one) + one  # to the last bit as `softmax` leaves it


@inner(cache=True, nogil=True)
def answer_range(begin, end, jobs, data, layout, head, out):  # type: ignore[no-untyped-def]
    """What a head answers to the rows of the jobs `begin:end`: right or not, loss, confidence, to `out`.

    Losses and confidences are half of the work; empty arrays for them say that nobody wants them. Jobs have
    few rows each and models in common: every model is unpacked once, for all its rows.
    """
    params, origin, first, rows = jobs
    net = NetLayout(*layout)
    room, model, count = _room(net), -1, 0
    place, block = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, rows.dtype)
    for k in np.argsort(origin[begin:end], kind="mergesort"):
        j = begin + k
        if first[j] == first[j + 1]:
            continue
        if origin[j] != model:
            if count > 0:
                _answer(place, block[:count], data, net, head, room, out)
            pack(params[origin[j]], net, room[0], NEVER)
            model, count = origin[j], 0
        for at in range(first[j], first[j + 1]):
            if count == _BLOCK:
                _answer(place, block, data, net, head, room, out)
                count = 0
            place[count], block[count] = at, rows[at]
            count += 1
    if count > 0:
        _answer(place, block[:count], data, net, head, room, out)
