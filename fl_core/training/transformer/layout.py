"""Where a transformer's numbers lie in the fused kernel: padded to whole vectors, matrices `[in, out]`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ....common.arrays import Floats32, Ints
from ...models import WIDENING, TransformerSpec
from ..simd import LANES

_ROWS_AT_ONCE = 64
"""Rows that go through the net together: their activations stay in the second-level cache."""

_NEVER = np.float32(-1e30)


class NetLayout(NamedTuple):
    """Sizes and places; a `step` is the distance between rows, a width rounded up to 16 lanes."""

    layers: int
    context: int  # T
    rows: int  # of a sequence, T rounded up to 4
    sequences: int  # that go through the net together
    width: int  # d
    heads: int
    head_width: int
    vocabulary: int  # V
    stream_step: int
    head_step: int
    heads_step: int  # of all heads' lanes side by side
    hidden_step: int
    logits_step: int
    time_step: int  # of a row of attention
    positions_at: int  # tokens are at 0
    attend_at: Ints  # [L] where the matrices of a layer begin
    join_at: Ints  # [L]
    up_at: Ints  # [L]
    down_at: Ints  # [L]
    head_at: int
    size: int  # packed parameters
    scale: np.float32  # of the attention's scores
    place: Ints  # [P] of every flat parameter among the packed ones
    mask: Floats32  # [rows, time_step] where the attention's sums start: later tokens are out of reach
    never: Floats32  # [logits_step] where the logits' sums start: padding lanes are out of reach


def net_layout(model: TransformerSpec) -> NetLayout:
    """The layout of a transformer."""
    d, hidden, heads = model.width, WIDENING * model.width, model.heads
    head_width = d // heads
    stream, head, wide = _padded(d), _padded(head_width), _padded(hidden)
    all_heads, logits, time = heads * head, _padded(model.vocabulary), _padded(model.context)
    rows = -(-model.context // 4) * 4
    sizes = [model.vocabulary * stream, rows * stream]
    for _ in range(model.layers):
        sizes += [stream * 3 * all_heads, all_heads * stream, stream * wide, wide * stream]
    sizes.append(stream * logits)
    at = np.concatenate([[0], np.cumsum(sizes)])
    each: Ints = at[2 : 2 + 4 * model.layers].reshape(model.layers, 4).T.copy()

    place = np.zeros(model.num_parameters, dtype=np.int64)
    views = model.tensors(place)
    lane = np.arange(d) // head_width * head + np.arange(d) % head_width  # of a head's output among all
    of_qkv = (np.arange(3)[:, None] * all_heads + lane).ravel()
    views.tokens[...] = at[0] + np.arange(model.vocabulary)[:, None] * stream + np.arange(d)
    views.positions[...] = at[1] + np.arange(model.context)[:, None] * stream + np.arange(d)
    for layer, block in enumerate(views.blocks):
        attend, join, up, down = each[:, layer]
        block.attend[...] = attend + _transposed(of_qkv, np.arange(d), 3 * all_heads)
        block.join[...] = join + _transposed(np.arange(d), lane, stream)
        block.up[...] = up + _transposed(np.arange(hidden), np.arange(d), wide)
        block.down[...] = down + _transposed(np.arange(d), np.arange(hidden), stream)
    views.head[...] = at[-2] + _transposed(np.arange(model.vocabulary), np.arange(d), logits)

    row, column = np.arange(rows)[:, None], np.arange(time)
    mask = np.where(column <= row, np.float32(0), _NEVER).ravel()
    never = np.where(np.arange(logits) < model.vocabulary, np.float32(0), _NEVER)
    return NetLayout(
        layers=model.layers,
        context=model.context,
        rows=rows,
        sequences=max(1, _ROWS_AT_ONCE // rows),
        width=d,
        heads=heads,
        head_width=head_width,
        vocabulary=model.vocabulary,
        stream_step=stream,
        head_step=head,
        heads_step=all_heads,
        hidden_step=wide,
        logits_step=logits,
        time_step=time,
        positions_at=int(at[1]),
        attend_at=each[0],
        join_at=each[1],
        up_at=each[2],
        down_at=each[3],
        head_at=int(at[-2]),
        size=int(at[-1]),
        scale=np.float32(1 / math.sqrt(head_width)),
        place=place,
        mask=mask,
        never=never,
    )


def _padded(width: int) -> int:
    return -(-width // LANES) * LANES


def _transposed(out: Ints, inputs: Ints, step: int) -> Ints:
    """Places of a matrix `[out, in]` that lies as `[in, out]`."""
    return np.asarray(inputs * step + out[:, None])
