"""Compiled local SGD of small dense nets; what `FusedTrainer` trains with.

The arithmetic is in `layers`. The kernels work on vectors that exist in compiled code only (`simd`): they
cannot run as plain Python, and `FusedTrainer` computes as `NumpyTrainer` does where numba fails. The inner
ones take more than eight arguments: arrays gathered in tuples would be counted in innermost loops. Records
of arrays cross from Python as plain tuples, whose types numba recognises three times as fast.
"""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from ..descent_kernels import (
    Descent,
    adamw,
    begin_factors,
    clear,
    end_factors,
    factor_work,
    pull,
    step_factors,
)
from .layers import (
    LANES,
    NEVER,
    add_into,
    backward,
    fill_padding,
    pack,
    softmax,
    unpack,
    update,
    whole_blocks,
)
from .layout import NetLayout
from .passes import hidden_offsets, logits, read


@inner(inline="always")
def _sgd_step(rows, x, y, net, packed, into, anchor, decay, scale, work, in_at):  # type: ignore[no-untyped-def]
    """One minibatch: forward, softmax, backward, update; returns the mean loss before the step.

    What is updated is `into`: the parameters themselves, or with `decay` 0 an array that gets the gradient.
    """
    inputs, vectors = net.inputs, net.vectors
    w_at, b_at, h_at = net.weights_at, net.biases_at, net.hidden_at
    hidden, turned, back, spare, early = work
    batch, count, depth = rows.size, in_at.shape[1], net.depth
    for b in range(batch):
        in_at[0, b] = np.int64(rows[b]) * inputs[0]
    logits(x, in_at, count, net, packed, hidden, depth - 1, back)
    share = net.shares[0]
    loss = share * softmax(back, y, rows, batch, vectors[depth - 1], scale * share)
    for k in range(1, net.shares.size):
        share = net.shares[k]
        read(x, hidden, in_at, count, net, packed, depth + k - 1, early[k])
        loss += share * softmax(early[k], y, rows, batch, vectors[depth + k - 1], scale * share)
    for layer in range(depth - 1, -1, -1):
        source = hidden if layer > 0 else x
        if layer > 0:
            backward(
                back, net.outputs[layer], packed, w_at[layer], vectors[layer], hidden,
                h_at[layer - 1] * count, vectors[layer - 1], count, turned, spare,
            )  # fmt: skip
        for k in range(1, net.shares.size):
            head = depth + k - 1
            if net.below[head] != layer:
                continue
            if layer > 0:
                backward(
                    early[k], net.outputs[head], packed, w_at[head], vectors[head], hidden,
                    h_at[layer - 1] * count, vectors[layer - 1], count, turned, early[0],
                )  # fmt: skip
                add_into(spare, early[0], count * vectors[layer - 1] * LANES)
            update(
                source, in_at[layer], batch, inputs[head], early[k], into, w_at[head], b_at[head],
                vectors[head], decay, anchor,
            )  # fmt: skip
        update(
            source, in_at[layer], batch, inputs[layer], back, into, w_at[layer], b_at[layer],
            vectors[layer], decay, anchor,
        )  # fmt: skip
        back, spare = spare, back
    return loss / batch


@inner(cache=True, nogil=True)
def train_range(begin, end, jobs, data, layout, descent, out):  # type: ignore[no-untyped-def]
    """Train the jobs `begin:end`; fills their rows of `out`."""
    start, origin, first, rows, correction, rates = jobs
    x, y = data
    how, net = Descent(*descent), NetLayout(*layout)
    delta, losses, norms, first_moment, second_moment, taken = out
    batch = rows.shape[1]
    padded = whole_blocks(batch)
    packed, anchor = np.empty(net.packed_size, np.float32), np.zeros(net.packed_size, np.float32)
    hidden, turned = (
        np.zeros(net.hidden_size * padded + LANES, np.float32),
        np.empty(net.turned_size, np.float32),
    )
    back, spare = np.zeros(net.widest * padded, np.float32), np.zeros(net.widest * padded, np.float32)
    heads = net.shares.size if net.shares.size > 1 else 0  # one row is scratch
    early = np.zeros((heads, net.widest * padded), np.float32)
    hold, in_at = np.empty(start.shape[1], np.float32), hidden_offsets(net, padded)
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
            pack(first_moment[j], net, m, np.float32(0.0))
            pack(second_moment[j], net, v, np.float32(0.0))
        pack(home, net, packed, NEVER)
        if anchored:
            for p in range(hold.size):
                hold[p] = np.float32(force * how.prox_mu) * home[p]
                if corrected:
                    hold[p] -= np.float32(force) * correction[j, p]
            pack(hold, net, anchor, np.float32(0.0))
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            work = (hidden, turned, back, spare, early)
            loss += _sgd_step(rows[s], x, y, net, packed, into, added, decay, scale, work, in_at)
            if how.adamw:
                if anchored:
                    pull(g, packed, np.float32(how.prox_mu), anchor)
                    fill_padding(g, net, np.float32(0.0))
                taken[j] += 1
                adamw(packed, g, m, v, taken[j], rate, how)
                fill_padding(packed, net, NEVER)
        losses[j] = loss / max(1, first[j + 1] - first[j])
        norms[j] = unpack(packed, net, home, delta[j])
        if how.adamw:
            unpack(m, net, blank, first_moment[j])
            unpack(v, net, blank, second_moment[j])


@inner(cache=True, nogil=True)
def train_factors(begin, end, jobs, data, layout, view, descent, out):  # type: ignore[no-untyped-def]
    """Likewise on low-rank factors."""
    first, rows, rates = jobs[2], jobs[3], jobs[5]
    x, y = data
    how, net = Descent(*descent), NetLayout(*layout)
    factors, own = factor_work(view)
    batch = rows.shape[1]
    padded = whole_blocks(batch)
    packed, g = np.empty(net.packed_size, np.float32), np.zeros(net.packed_size, np.float32)
    hidden = np.zeros(net.hidden_size * padded + LANES, np.float32)
    turned, still = np.empty(net.turned_size, np.float32), np.zeros(net.packed_size, np.float32)
    back, spare = np.zeros(net.widest * padded, np.float32), np.zeros(net.widest * padded, np.float32)
    heads = net.shares.size if net.shares.size > 1 else 0  # one row is scratch
    early = np.zeros((heads, net.widest * padded), np.float32)
    in_at, none, scale = hidden_offsets(net, padded), np.float32(0.0), np.float32(1.0 / batch)
    for j in range(begin, end):
        begin_factors(j, jobs, factors, how, out, own)
        clear(g, 0, g.size)
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            pack(own.full, net, packed, NEVER)
            work = (hidden, turned, back, spare, early)
            loss += _sgd_step(rows[s], x, y, net, packed, g, still, none, scale, work, in_at)
            unpack(g, net, own.nothing, own.full_slopes)
            step_factors(j, rates[j], factors, how, out, own)
        end_factors(j, jobs, how, out, own, loss)
