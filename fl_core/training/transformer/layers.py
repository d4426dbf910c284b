"""Products, attention and norms of a tiny transformer, in compiled loops over registers.

All arrays are flat; rows lie `step` numbers apart from an offset `at`, in whole vectors of 16 lanes. Two
products serve everything, weights and attention alike: `product` is `base + a w`, where a base of one row
that is repeated starts the sums at zero, at the mask of the attention, or at minus infinity for lanes that
pad the vocabulary; `outer` is `a^T b`. Lanes that pad a width are zero and stay so.
"""

from __future__ import annotations

import numpy as np

from ....common.compiled import inner
from ...models import RMS_EPSILON
from .. import simd

LANES = simd.LANES

PLAIN, RELU, GATED = 0, 1, 2
"""What `product` makes of its sums: nothing, their positive part, or only those whose base is positive."""


@inner(cache=True)
def product(  # type: ignore[no-untyped-def]
    a, a_at, a_step, rows, n_in, w, w_at, w_step, vectors, base, base_at, base_step, mode,
    out, out_at, out_step,
):  # fmt: skip
    """`out = base + a W` for `rows` rows, a multiple of 4; see `PLAIN` for what else."""
    zero = simd.splat(np.float32(0.0))
    for v in range(0, vectors * LANES, LANES):
        for b in range(0, rows, 4):
            r0 = a_at + b * a_step
            r1, r2, r3 = r0 + a_step, r0 + 2 * a_step, r0 + 3 * a_step
            p0 = base_at + b * base_step + v
            p1, p2, p3 = p0 + base_step, p0 + 2 * base_step, p0 + 3 * base_step
            s0 = s1 = s2 = s3 = zero
            if mode != GATED:
                s0, s1 = simd.load(base, p0), simd.load(base, p1)
                s2, s3 = simd.load(base, p2), simd.load(base, p3)
            at = w_at + v
            for i in range(n_in):
                column = simd.load(w, at)
                s0 = simd.fma_splat(a, r0 + i, column, s0)
                s1 = simd.fma_splat(a, r1 + i, column, s1)
                s2 = simd.fma_splat(a, r2 + i, column, s2)
                s3 = simd.fma_splat(a, r3 + i, column, s3)
                at += w_step
            if mode == RELU:
                s0, s1 = simd.where_positive(s0, s0), simd.where_positive(s1, s1)
                s2, s3 = simd.where_positive(s2, s2), simd.where_positive(s3, s3)
            elif mode == GATED:
                s0 = simd.where_positive(simd.load(base, p0), s0)
                s1 = simd.where_positive(simd.load(base, p1), s1)
                s2 = simd.where_positive(simd.load(base, p2), s2)
                s3 = simd.where_positive(simd.load(base, p3), s3)
            at = out_at + b * out_step + v
            simd.store(out, at, s0)
            simd.store(out, at + out_step, s1)
            simd.store(out, at + 2 * out_step, s2)
            simd.store(out, at + 3 * out_step, s3)


@inner(cache=True)
def outer(a, a_at, a_step, rows, n_in, b, b_at, b_step, vectors, add, out, out_at, out_step):  # type: ignore[no-untyped-def]
    """`out = a^T b`, or `out += a^T b` if `add`: `n_in` columns of a, a multiple of 4, by whole vectors."""
    for v in range(0, vectors * LANES, LANES):
        for i in range(0, n_in, 4):
            at = out_at + i * out_step + v
            s0 = s1 = s2 = s3 = simd.splat(np.float32(0.0))
            if add:
                s0, s1 = simd.load(out, at), simd.load(out, at + out_step)
                s2, s3 = simd.load(out, at + 2 * out_step), simd.load(out, at + 3 * out_step)
            left, right = a_at + i, b_at + v
            for _ in range(rows):
                row = simd.load(b, right)
                s0 = simd.fma_splat(a, left, row, s0)
                s1 = simd.fma_splat(a, left + 1, row, s1)
                s2 = simd.fma_splat(a, left + 2, row, s2)
                s3 = simd.fma_splat(a, left + 3, row, s3)
                left += a_step
                right += b_step
            simd.store(out, at, s0)
            simd.store(out, at + out_step, s1)
            simd.store(out, at + 2 * out_step, s2)
            simd.store(out, at + 3 * out_step, s3)


@inner(cache=True)
def turn(a, a_at, a_step, rows, columns, out, out_at, out_step):  # type: ignore[no-untyped-def]
    """`out = a^T` of `rows` by `columns`."""
    for j in range(columns):
        for i in range(rows):
            out[out_at + j * out_step + i] = a[a_at + i * a_step + j]


@inner(cache=True)
def norm(x, rows, width, step, out, roots):  # type: ignore[no-untyped-def]
    """RMS norm of the rows; `roots` are one over their root mean squares."""
    for r in range(rows):
        square = simd.splat(np.float32(0.0))
        for v in range(r * step, (r + 1) * step, LANES):
            part = simd.load(x, v)
            square = simd.fma(part, part, square)
        root = np.float32(1.0) / np.sqrt(simd.sum_lanes(square) / np.float32(width) + np.float32(RMS_EPSILON))
        roots[r] = root
        factor = simd.splat(root)
        for v in range(r * step, (r + 1) * step, LANES):
            simd.store(out, v, simd.mul(simd.load(x, v), factor))


@inner(cache=True)
def norm_back(back, normed, roots, rows, width, step, add, stream):  # type: ignore[no-untyped-def]
    """Gradient of what went into `norm`, from that of what came out; added to the stream's if `add`."""
    for r in range(rows):
        dot = simd.splat(np.float32(0.0))
        for v in range(r * step, (r + 1) * step, LANES):
            dot = simd.fma(simd.load(back, v), simd.load(normed, v), dot)
        mean, factor = simd.splat(simd.sum_lanes(dot) / np.float32(width)), simd.splat(roots[r])
        for v in range(r * step, (r + 1) * step, LANES):
            part = simd.sub(simd.load(back, v), simd.mul(simd.load(normed, v), mean))
            if add:
                simd.store(stream, v, simd.fma(factor, part, simd.load(stream, v)))
            else:
                simd.store(stream, v, simd.mul(factor, part))


@inner(cache=True)
def attend(net, qkv, sequences, shares, mask, zeros, turned, joined):  # type: ignore[no-untyped-def]
    """Causal attention of whole sequences: shares of attention, and the heads' outputs side by side."""
    rows, step, wide = net.rows, net.heads_step, net.time_step
    vectors, scale = net.head_step // LANES, simd.splat(net.scale)
    for s in range(sequences):
        for h in range(net.heads):
            q = s * rows * 3 * step + h * net.head_step
            at = (s * net.heads + h) * rows * wide
            turn(qkv, q + step, 3 * step, rows, net.head_width, turned, 0, wide)
            product(qkv, q, 3 * step, rows, net.head_width, turned, 0, wide, wide // LANES,
                    mask, 0, wide, PLAIN, shares, at, wide)  # fmt: skip
            for r in range(rows):
                begin = at + r * wide
                highest = simd.load(shares, begin)
                for v in range(LANES, wide, LANES):
                    highest = simd.maximum(highest, simd.load(shares, begin + v))
                shift, sums = simd.splat(simd.max_lanes(highest)), simd.splat(np.float32(0.0))
                for v in range(begin, begin + wide, LANES):
                    e = simd.exp(simd.mul(simd.sub(simd.load(shares, v), shift), scale))
                    sums = simd.add(sums, e)
                    simd.store(shares, v, e)
                part = simd.splat(np.float32(1.0) / simd.sum_lanes(sums))
                for v in range(begin, begin + wide, LANES):
                    simd.store(shares, v, simd.mul(simd.load(shares, v), part))
            product(shares, at, wide, rows, rows, qkv, q + 2 * step, 3 * step, vectors,
                    zeros, 0, 0, PLAIN, joined, s * rows * step + h * net.head_step, step)  # fmt: skip


@inner(cache=True)
def attend_back(net, back, qkv, shares, sequences, zeros, turned, scores, out):  # type: ignore[no-untyped-def]
    """Gradient of queries, keys and values from that of the heads' outputs."""
    rows, step, wide = net.rows, net.heads_step, net.time_step
    vectors, scale = net.head_step // LANES, simd.splat(net.scale)
    for s in range(sequences):
        for h in range(net.heads):
            q = s * rows * 3 * step + h * net.head_step
            o, at = s * rows * step + h * net.head_step, (s * net.heads + h) * rows * wide
            turn(qkv, q + 2 * step, 3 * step, rows, net.head_width, turned, 0, wide)
            product(back, o, step, rows, net.head_width, turned, 0, wide, wide // LANES,
                    zeros, 0, 0, PLAIN, scores, 0, wide)  # fmt: skip
            for r in range(rows):
                dot = simd.splat(np.float32(0.0))
                for v in range(0, wide, LANES):
                    dot = simd.fma(simd.load(shares, at + r * wide + v), simd.load(scores, r * wide + v), dot)
                mean = simd.splat(simd.sum_lanes(dot))
                for v in range(0, wide, LANES):
                    part = simd.sub(simd.load(scores, r * wide + v), mean)
                    share = simd.mul(simd.load(shares, at + r * wide + v), scale)
                    simd.store(scores, r * wide + v, simd.mul(share, part))
            outer(shares, at, wide, rows, rows, back, o, step, vectors,
                  False, out, q + 2 * step, 3 * step)  # fmt: skip
            outer(scores, 0, wide, rows, rows, qkv, q, 3 * step, vectors,
                  False, out, q + step, 3 * step)  # fmt: skip
            product(scores, 0, wide, rows, rows, qkv, q + step, 3 * step, vectors,
                    zeros, 0, 0, PLAIN, out, q, 3 * step)  # fmt: skip
