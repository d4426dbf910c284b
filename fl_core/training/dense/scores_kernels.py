"""Compiled scores and answers of small dense nets; what `FusedTrainer` evaluates with."""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from .layers import LANES, NEVER, pack, row_loss, summed_loss
from .layout import NetLayout
from .passes import hidden_offsets, logits

# Rows that go through the net together.
_BLOCK = 64


@inner(cache=True)
def _block(x, rows, at, end, in_at, net, packed, hidden, head, z):  # type: ignore[no-untyped-def]
    """One head's logits for the next rows, to `z`; returns how many rows they are."""
    count = min(_BLOCK, end - at)
    padded = (count + 3) // 4 * 4
    for b in range(padded):
        in_at[0, b] = np.int64(rows[at + min(b, count - 1)]) * net.inputs[0]
    logits(x, in_at, padded, net, packed, hidden, head, z)
    return count


@inner(cache=True, nogil=True)
def score_range(begin, end, jobs, data, layout, losses, correct):  # type: ignore[no-untyped-def]
    """Summed loss and number of correct rows of the jobs `begin:end`; fills their rows of the last two."""
    params, origin, first, rows = jobs
    x, y = data
    net = NetLayout(*layout)
    head = net.depth - 1
    classes, last = net.outputs[head], net.vectors[head]
    packed, in_at = np.empty(net.packed_size, np.float32), hidden_offsets(net, _BLOCK)
    hidden, z = (
        np.zeros(net.hidden_size * _BLOCK + LANES, np.float32),
        np.zeros(net.widest * _BLOCK, np.float32),
    )
    for j in range(begin, end):
        pack(params[origin[j]], net, packed, NEVER)
        loss, hits = 0.0, 0
        for at in range(first[j], first[j + 1], _BLOCK):
            count = _block(x, rows, at, first[j + 1], in_at, net, packed, hidden, head, z)
            for b in range(count):
                hits += _is_highest(z, b * last * LANES, y[rows[at + b]], classes)
            loss += summed_loss(z, y, rows[at : at + count], count, last)
        losses[j] = loss
        correct[j] = hits


@inner(cache=True)
def _is_highest(z, begin, label, classes):  # type: ignore[no-untyped-def]
    """Whether the first highest of the logits at `begin` is the label's, as `argmax` has it; no branches."""
    mine, beaten = z[begin + label], False
    for c in range(classes):
        beaten |= (z[begin + c] > mine) | ((z[begin + c] == mine) & (c < label))
    # What is no number is never highest, unless it comes first, where it stays.
    strange = np.isnan(mine) | np.isnan(z[begin])
    return (not beaten) & ((label == 0) | (not strange))


@inner(cache=True)
def _answer_block(place, count, rows, data, net, head, work, out):  # type: ignore[no-untyped-def]
    """What a head answers to the rows at the first `count` places, with the model in `work`."""
    packed, in_at, hidden, z = work
    right, losses, confidence = out
    x, y = data
    for b in range((count + 3) // 4 * 4):
        in_at[0, b] = np.int64(rows[place[min(b, count - 1)]]) * net.inputs[0]
    logits(x, in_at, (count + 3) // 4 * 4, net, packed, hidden, head, z)
    classes, stride = net.outputs[head], net.vectors[head] * LANES
    for b in range(count):
        at = place[b]
        label = y[rows[at]]
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
    packed, in_at = np.empty(net.packed_size, np.float32), hidden_offsets(net, _BLOCK)
    hidden, z = (
        np.zeros(net.hidden_size * _BLOCK + LANES, np.float32),
        np.zeros(net.widest * _BLOCK, np.float32),
    )
    work, place, count, model = (packed, in_at, hidden, z), np.empty(_BLOCK, np.int64), 0, -1
    for k in np.argsort(origin[begin:end], kind="mergesort"):
        j = begin + k
        if first[j] == first[j + 1]:
            continue
        if origin[j] != model:
            if count > 0:
                _answer_block(place, count, rows, data, net, head, work, out)
            pack(params[origin[j]], net, packed, NEVER)
            model, count = origin[j], 0
        for at in range(first[j], first[j + 1]):
            if count == _BLOCK:
                _answer_block(place, count, rows, data, net, head, work, out)
                count = 0
            place[count] = at
            count += 1
    if count > 0:
        _answer_block(place, count, rows, data, net, head, work, out)
