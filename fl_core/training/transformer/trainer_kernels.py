"""Compiled local training and scores of tiny transformers; what `FusedTransformer` calls.

The arithmetic is in `layers`. Some sequences at a time go forwards and backwards, so that what they leave
stays in the cache; the gradient of a minibatch is summed over them, and then the optimiser steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....common.arrays import Floats32, Ints32
from ....common.compiled import inner
from ..dense import softmax
from ..descent_kernels import (
    Descent,
    adamw,
    begin_factors,
    clear,
    descend,
    end_factors,
    factor_work,
    pull,
    step_factors,
)
from .layers import GATED, LANES, PLAIN, RELU, attend, attend_back, norm, norm_back, outer, product, turn
from .layout import NetLayout


class Work(NamedTuple):
    """Scratch of one thread; a row is a token's, and what a layer leaves stands layer after layer."""

    stream: Floats32  # [rows, d]
    normed: Floats32  # [2 L + 1, rows, d] out of every norm
    roots: Floats32  # [2 L + 1, rows]
    qkv: Floats32  # [L, rows, 3 heads]
    shares: Floats32  # [L, sequences, heads, T, T] of attention
    joined: Floats32  # [L, rows, heads]
    hidden: Floats32  # [L, rows, 4 d]
    logits: Floats32  # [rows, V]
    wide: Floats32  # [rows, the widest of all]
    narrow: Floats32  # [rows, d or heads]
    turned: Floats32  # [d, T] keys or values of a head, or scores
    scores: Floats32  # [T, T] of a head
    zeros: Floats32  # a row of zeros
    labels: Ints32  # [T] of one sequence
    order: Ints32  # [T], 0 to T - 1


@inner(cache=True)
def make_work(net):  # type: ignore[no-untyped-def]
    """Blank scratch."""
    layers, rows = net.layers, net.sequences * net.rows
    widest = max(3 * net.heads_step, net.hidden_step, net.stream_step)
    narrow, order = max(net.stream_step, net.heads_step), np.zeros(net.context, np.int32)
    for t in range(net.context):
        order[t] = t
    return Work(
        np.zeros(rows * net.stream_step, np.float32),
        np.zeros((2 * layers + 1) * rows * net.stream_step, np.float32),
        np.zeros((2 * layers + 1) * rows, np.float32),
        np.zeros(layers * rows * 3 * net.heads_step, np.float32),
        np.zeros(layers * rows * net.heads * net.time_step, np.float32),
        np.zeros(layers * rows * net.heads_step, np.float32),
        np.zeros(layers * rows * net.hidden_step, np.float32),
        np.zeros(rows * net.logits_step, np.float32),
        np.zeros(rows * widest, np.float32),
        np.zeros(rows * narrow, np.float32),
        np.zeros(net.head_step * net.time_step, np.float32),
        np.zeros(net.rows * net.time_step, np.float32),
        np.zeros(max(widest, net.logits_step, net.time_step), np.float32),
        np.zeros(net.context, np.int32),
        order,
    )


@inner(cache=True)
def turn_weights(net, w, turned):  # type: ignore[no-untyped-def]
    """`[out, in]` of every matrix beside the packed `[in, out]`, at the same places."""
    d, heads, hidden = net.stream_step, net.heads_step, net.hidden_step
    for layer in range(net.layers):
        turn(w, net.attend_at[layer], 3 * heads, d, 3 * heads, turned, net.attend_at[layer], d)
        turn(w, net.join_at[layer], d, heads, d, turned, net.join_at[layer], heads)
        turn(w, net.up_at[layer], hidden, d, hidden, turned, net.up_at[layer], d)
        turn(w, net.down_at[layer], d, hidden, d, turned, net.down_at[layer], hidden)
    turn(w, net.head_at, net.logits_step, d, net.logits_step, turned, net.head_at, d)


@inner(cache=True)
def forward(net, w, tokens, picks, work):  # type: ignore[no-untyped-def]
    """Logits of the sequences `picks`, and whatever the backward pass needs."""
    d, heads, hidden = net.stream_step, net.heads_step, net.hidden_step
    rows, x = picks.size * net.rows, work.stream
    all_rows, read = net.sequences * net.rows, net.context + 1
    for s in range(picks.size):
        for t in range(net.rows):
            at = (s * net.rows + t) * d
            if t < net.context:
                token, place = tokens[picks[s] * read + t] * d, net.positions_at + t * d
                for i in range(d):
                    x[at + i] = w[token + i] + w[place + i]
            else:
                clear(x, at, at + d)
    for layer in range(net.layers):
        normed = work.normed[2 * layer * all_rows * d :]
        qkv, joined = work.qkv[layer * all_rows * 3 * heads :], work.joined[layer * all_rows * heads :]
        shares = work.shares[layer * all_rows * net.heads * net.time_step :]
        inside = work.hidden[layer * all_rows * hidden :]
        norm(x, rows, net.width, d, normed, work.roots[2 * layer * all_rows :])
        product(normed, 0, d, rows, net.width, w, net.attend_at[layer], 3 * heads, 3 * heads // LANES,
                work.zeros, 0, 0, PLAIN, qkv, 0, 3 * heads)  # fmt: skip
        attend(net, qkv, picks.size, shares, net.mask, work.zeros, work.turned, joined)
        product(joined, 0, heads, rows, heads, w, net.join_at[layer], d, d // LANES,
                x, 0, d, PLAIN, x, 0, d)  # fmt: skip
        normed = work.normed[(2 * layer + 1) * all_rows * d :]
        norm(x, rows, net.width, d, normed, work.roots[(2 * layer + 1) * all_rows :])
        product(normed, 0, d, rows, net.width, w, net.up_at[layer], hidden, hidden // LANES,
                work.zeros, 0, 0, RELU, inside, 0, hidden)  # fmt: skip
        product(inside, 0, hidden, rows, hidden, w, net.down_at[layer], d, d // LANES,
                x, 0, d, PLAIN, x, 0, d)  # fmt: skip
    normed = work.normed[2 * net.layers * all_rows * d :]
    norm(x, rows, net.width, d, normed, work.roots[2 * net.layers * all_rows :])
    product(normed, 0, d, rows, net.width, w, net.head_at, net.logits_step, net.logits_step // LANES,
            net.never, 0, 0, PLAIN, work.logits, 0, net.logits_step)  # fmt: skip


@inner(cache=True)
def losses_back(net, tokens, picks, scale, work):  # type: ignore[no-untyped-def]
    """Turn logits into `scale * (probability - one_hot)` in place; returns the loss summed over tokens."""
    step, loss = net.rows * net.logits_step, 0.0
    for s in range(picks.size):
        begin = picks[s] * (net.context + 1) + 1
        for t in range(net.context):
            work.labels[t] = tokens[begin + t]
        logits = work.logits[s * step : (s + 1) * step]
        loss += softmax(logits, work.labels, work.order, net.context, net.logits_step // LANES, scale)
        clear(logits, net.context * net.logits_step, step)
    return loss


@inner(cache=True)
def backward(net, turned, tokens, picks, work, g):  # type: ignore[no-untyped-def]
    """Add the gradient of these sequences to `g`, from that of their logits."""
    d, heads, hidden = net.stream_step, net.heads_step, net.hidden_step
    rows, x, all_rows = picks.size * net.rows, work.stream, net.sequences * net.rows
    wide, narrow, zeros = work.wide, work.narrow, work.zeros
    normed = work.normed[2 * net.layers * all_rows * d :]
    outer(normed, 0, d, rows, d, work.logits, 0, net.logits_step, net.logits_step // LANES,
          True, g, net.head_at, net.logits_step)  # fmt: skip
    product(work.logits, 0, net.logits_step, rows, net.vocabulary, turned, net.head_at, d, d // LANES,
            zeros, 0, 0, PLAIN, narrow, 0, d)  # fmt: skip
    norm_back(narrow, normed, work.roots[2 * net.layers * all_rows :], rows, net.width, d, False, x)
    for layer in range(net.layers - 1, -1, -1):
        inside = work.hidden[layer * all_rows * hidden :]
        normed = work.normed[(2 * layer + 1) * all_rows * d :]
        outer(inside, 0, hidden, rows, hidden, x, 0, d, d // LANES, True, g, net.down_at[layer], d)
        product(x, 0, d, rows, net.width, turned, net.down_at[layer], hidden, hidden // LANES,
                inside, 0, hidden, GATED, wide, 0, hidden)  # fmt: skip
        outer(normed, 0, d, rows, d, wide, 0, hidden, hidden // LANES, True, g, net.up_at[layer], hidden)
        product(wide, 0, hidden, rows, hidden, turned, net.up_at[layer], d, d // LANES,
                zeros, 0, 0, PLAIN, narrow, 0, d)  # fmt: skip
        norm_back(narrow, normed, work.roots[(2 * layer + 1) * all_rows :], rows, net.width, d, True, x)
        joined, qkv = work.joined[layer * all_rows * heads :], work.qkv[layer * all_rows * 3 * heads :]
        shares = work.shares[layer * all_rows * net.heads * net.time_step :]
        normed = work.normed[2 * layer * all_rows * d :]
        outer(joined, 0, heads, rows, heads, x, 0, d, d // LANES, True, g, net.join_at[layer], d)
        product(x, 0, d, rows, net.width, turned, net.join_at[layer], heads, heads // LANES,
                zeros, 0, 0, PLAIN, narrow, 0, heads)  # fmt: skip
        attend_back(net, narrow, qkv, shares, picks.size, zeros, work.turned, work.scores, wide)
        outer(normed, 0, d, rows, d, wide, 0, 3 * heads, 3 * heads // LANES,
              True, g, net.attend_at[layer], 3 * heads)  # fmt: skip
        product(wide, 0, 3 * heads, rows, 3 * heads, turned, net.attend_at[layer], d, d // LANES,
                zeros, 0, 0, PLAIN, narrow, 0, d)  # fmt: skip
        norm_back(narrow, normed, work.roots[2 * layer * all_rows :], rows, net.width, d, True, x)
    for s in range(picks.size):
        for t in range(net.context):
            at, place = (s * net.rows + t) * d, net.positions_at + t * d
            token = tokens[picks[s] * (net.context + 1) + t] * d
            for i in range(d):
                g[token + i] += x[at + i]
                g[place + i] += x[at + i]


@inner(cache=True)
def minibatch_gradient(net, w, turned, tokens, rows, work, g):  # type: ignore[no-untyped-def]
    """Fill `g` with the mean gradient over the sequences `rows`; returns their mean loss."""
    turn_weights(net, w, turned)
    clear(g, 0, g.size)
    count = rows.size * net.context
    scale, loss = np.float32(1.0 / count), 0.0
    for at in range(0, rows.size, net.sequences):
        picks = rows[at : at + net.sequences]
        forward(net, w, tokens, picks, work)
        loss += losses_back(net, tokens, picks, scale, work)
        backward(net, turned, tokens, picks, work, g)
    return loss / count


@inner(cache=True)
def pack(flat, place, packed):  # type: ignore[no-untyped-def]
    """Flat parameters to their places."""
    clear(packed, 0, packed.size)
    for p in range(place.size):
        packed[place[p]] = flat[p]


@inner(cache=True)
def unpack(packed, place, start, out):  # type: ignore[no-untyped-def]
    """Write `out = parameters - start` in flat order and return its length."""
    square = 0.0
    for p in range(place.size):
        out[p] = packed[place[p]] - start[p]
        square += np.float64(out[p]) * np.float64(out[p])
    return np.float32(np.sqrt(square))


@inner(cache=True, nogil=True)
def train_range(begin, end, jobs, tokens, layout, descent, out):  # type: ignore[no-untyped-def]
    """Train the jobs `begin:end`; fills their rows of `out`."""
    start, origin, first, rows, correction, rates = jobs
    delta, losses, norms, first_moment, second_moment, taken = out
    how, net = Descent(*descent), NetLayout(*layout)
    work, blank = make_work(net), np.zeros(start.shape[1], np.float32)
    w, g = np.empty(net.size, np.float32), np.empty(net.size, np.float32)
    m, v = np.empty(net.size, np.float32), np.empty(net.size, np.float32)
    anchor, turned = np.zeros(net.size, np.float32), np.zeros(net.size, np.float32)
    hold, corrected = np.empty(start.shape[1], np.float32), correction.shape[0] > 0
    pulled = corrected or how.prox_mu > 0 or how.weight_decay > 0
    for j in range(begin, end):
        home = start[origin[j]]
        pack(home, net.place, w)
        if how.adamw:
            pack(first_moment[j], net.place, m)
            pack(second_moment[j], net.place, v)
        if pulled:
            for p in range(hold.size):
                hold[p] = np.float32(how.prox_mu) * home[p]
                if corrected:
                    hold[p] -= correction[j, p]
            pack(hold, net.place, anchor)
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            loss += minibatch_gradient(net, w, turned, tokens, rows[s], work, g)
            if pulled:
                pull(g, w, np.float32(how.weight_decay + how.prox_mu), anchor)
            if how.adamw:
                taken[j] += 1
                adamw(w, g, m, v, taken[j], rates[j], how)
            else:
                descend(w, g, np.float32(rates[j]))
        losses[j] = loss / max(1, first[j + 1] - first[j])
        norms[j] = unpack(w, net.place, home, delta[j])
        if how.adamw:
            unpack(m, net.place, blank, first_moment[j])
            unpack(v, net.place, blank, second_moment[j])


@inner(cache=True, nogil=True)
def train_factors(begin, end, jobs, tokens, layout, view, descent, out):  # type: ignore[no-untyped-def]
    """Likewise on low-rank factors."""
    first, rows, rates = jobs[2], jobs[3], jobs[5]
    how, net = Descent(*descent), NetLayout(*layout)
    factors, own = factor_work(view)
    w, g = np.empty(net.size, np.float32), np.empty(net.size, np.float32)
    work, turned = make_work(net), np.zeros(net.size, np.float32)
    for j in range(begin, end):
        begin_factors(j, jobs, factors, how, out, own)
        loss = 0.0
        for s in range(first[j], first[j + 1]):
            pack(own.full, net.place, w)
            loss += minibatch_gradient(net, w, turned, tokens, rows[s], work, g)
            unpack(g, net.place, own.nothing, own.full_slopes)
            step_factors(j, rates[j], factors, how, out, own)
        end_factors(j, jobs, how, out, own, loss)


@inner(cache=True, nogil=True)
def score_range(begin, end, jobs, tokens, layout, losses, correct):  # type: ignore[no-untyped-def]
    """Summed losses and shares of right tokens of the rows of jobs `begin:end`; fills the last two."""
    params, origin, first, rows = jobs
    net = NetLayout(*layout)
    work, w, step = make_work(net), np.empty(net.size, np.float32), net.logits_step
    for j in range(begin, end):
        pack(params[origin[j]], net.place, w)
        loss, hits = 0.0, 0
        for at in range(first[j], first[j + 1], net.sequences):
            picks = rows[at : min(at + net.sequences, first[j + 1])]
            forward(net, w, tokens, picks, work)
            for s in range(picks.size):
                for t in range(net.context):
                    row, best = (s * net.rows + t) * step, 0
                    for c in range(1, net.vocabulary):
                        if work.logits[row + c] > work.logits[row + best]:
                            best = c
                    hits += best == tokens[picks[s] * (net.context + 1) + t + 1]
            loss += losses_back(net, tokens, picks, np.float32(1.0), work)
        losses[j] = loss / net.context
        correct[j] = hits / net.context
