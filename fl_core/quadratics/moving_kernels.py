"""Compiled algebra of quadratics whose minimisers move: their tables at a moment, and along a whole path."""

from __future__ import annotations

import numpy as np

from ...common.compiled import inner, kernel
from .kernels import solved, value_at


@inner(cache=True, nogil=True, error_model="numpy")
def _shifted(hessian, weight, still, offset, linear, constant):  # type: ignore[no-untyped-def]
    """Fill the tables `[N + 1, d]` and `[N + 1]` of quadratics whose minimisers moved by `offset` `[M, d]`.

    M is N, or 1 if all move alike; `still` are the tables before. `F_k(w - o)` has the Hessian A, `b + A o`
    and `c + b^T o + 1/2 o^T A o`.
    """
    n, d = hessian.shape[0] - 1, hessian.shape[1]
    still_linear, still_constant = still
    linear[n], constant[n] = 0.0, 0.0
    for k in range(n):
        o = offset[min(k, offset.shape[0] - 1)]
        constant[k] = still_constant[k]
        for i in range(d):
            turned = 0.0
            for m in range(d):
                turned += hessian[k, i, m] * o[m]
            linear[k, i] = still_linear[k, i] + turned
            linear[n, i] += weight[k] * linear[k, i]
            constant[k] += o[i] * (still_linear[k, i] + 0.5 * turned)
        constant[n] += weight[k] * constant[k]


@kernel(nogil=True, error_model="numpy")
def shifted(hessian, weight, still, offset, linear, constant):  # type: ignore[no-untyped-def]
    """Fill the tables of quadratics whose minimisers moved by `offset`; see `_shifted`."""
    _shifted(hessian, weight, still, offset, linear, constant)


@kernel(nogil=True, error_model="numpy")
def along(hessian, weight, still, moves, linear, constant, best):  # type: ignore[no-untyped-def]
    """Fill F's tables and its least value before and after each of T moves `[T, M, d]` to new offsets.

    `linear` is `[T + 1, d]`, `constant` and `best` `[T + 1]`.
    """
    n, d = hessian.shape[0] - 1, hessian.shape[1]
    each_linear, each_constant = np.empty((n + 1, d)), np.empty(n + 1)
    nowhere = np.zeros((1, d))
    for t in range(moves.shape[0] + 1):
        _shifted(hessian, weight, still, nowhere if t == 0 else moves[t - 1], each_linear, each_constant)
        linear[t], constant[t] = each_linear[n], each_constant[n]
        best[t] = value_at(solved(hessian[n], linear[t]), hessian[n], linear[t], constant[t])


@kernel(nogil=True, error_model="numpy")
def losses_along(env, place, origin, models, hessian, linear, constant):  # type: ignore[no-untyped-def]
    """F `[J]` of models, each at a place of its environment's path."""
    out, federation = np.empty(env.size), hessian.shape[1] - 1
    for j in range(env.size):
        e, t = env[j], place[j]
        out[j] = value_at(models[origin[j]], hessian[e, federation], linear[e, t], constant[e, t])
    return out
