"""The capped simplex {x in [0, 1]^N, sum x = m}: projections, its best point, draws with its marginals.

A point x of it is a randomised choice of m among N clients: x_k is the probability that k is chosen. All
functions take E rows at once; row i depends on row i alone. `allowed` restricts a row to a face (x_k = 0
elsewhere), and where fewer than m clients are allowed, all of them get 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Bools, Floats, Ints

_UNIT = 1 << 40
"""Marginals are drawn in multiples of 1 / _UNIT, about 1e-12, so that sums of them are exact integers."""


def project(points: Floats, total: ArrayLike, allowed: Bools) -> Floats:
    """Euclidean projection: x = clip(y - tau, 0, 1) with the tau that makes the sum right.

    The sum falls piecewise linearly in tau with kinks at y - 1 and y; sorting finds the piece that contains
    the total, and on it tau is a quotient (Wang & Lu, arXiv:1503.01002, 2015). O(N log N) per row.

    Args:
        points: `[E, N]`, y; finite where allowed.
        total: m, one number or `[E]`.
        allowed: bool `[E, N]`.

    Returns:
        `[E, N]`, the nearest point of each row.
    """
    wanted, count = _totals(total, allowed)
    highest = np.where(allowed, points, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    y = np.where(allowed, points, np.where(np.isfinite(highest), highest, 0.0))
    kinks, bends = np.concatenate([y - 1.0, y], axis=1), np.concatenate([allowed, allowed], axis=1)
    slopes = bends * np.repeat([-1.0, 1.0], y.shape[1])
    order = np.argsort(kinks, axis=1, kind="stable")
    kinks = np.take_along_axis(kinks, order, axis=1)
    slope = np.cumsum(np.take_along_axis(slopes, order, axis=1), axis=1)
    fall = np.cumsum(slope[:, :-1] * np.diff(kinks, axis=1), axis=1)
    right = 1 + np.argmax(count[:, None] + fall <= wanted[:, None] + 1e-12, axis=1)[:, None]
    middle = (np.take_along_axis(kinks, right - 1, axis=1) + np.take_along_axis(kinks, right, axis=1)) / 2
    full = allowed & (y - 1.0 >= middle)
    inner = allowed & ~full & (y > middle)
    spare = np.where(inner, y, 0.0).sum(axis=1) - (wanted - full.sum(axis=1))
    tau = np.where(inner.any(axis=1), spare / np.maximum(inner.sum(axis=1), 1), middle[:, 0])
    return _or_corner(np.clip(y - tau[:, None], 0.0, 1.0), wanted, count, allowed)


def capped_proportional(weights: Floats, total: ArrayLike, allowed: Bools) -> Floats:
    """Kullback-Leibler projection: x = min(1, c w) with the c that makes the sum right.

    It is also the probability rule of Exp3.M (Uchiya et al. 2010) and E3CS. Sorting finds how many are
    capped, which replaces the papers' bisection and is exact.

    Args:
        weights: `[E, N]`, w; positive where allowed, finite.
        total: m, one number or `[E]`.
        allowed: bool `[E, N]`.
    """
    wanted, count = _totals(total, allowed)
    w = np.where(allowed, weights, 0.0)
    largest = w.max(axis=1, keepdims=True, initial=0.0)
    w = np.where(allowed, np.maximum(w / np.where(largest > 0, largest, 1.0), 1e-200), 0.0)
    descending = -np.sort(-w, axis=1)
    # rest[:, j] is the sum without the j largest, added up from the smallest so that nothing cancels.
    rest = np.cumsum(descending[:, ::-1], axis=1)[:, ::-1]
    capped = np.arange(w.shape[1])[None, :]
    factor = (wanted[:, None] - capped) / np.maximum(rest, 1e-300)
    fits = factor * descending <= 1.0 + 1e-15
    first = np.argmax(fits, axis=1)[:, None]
    return _or_corner(np.minimum(np.take_along_axis(factor, first, axis=1) * w, 1.0), wanted, count, allowed)


def best_value(gains: Floats, total: ArrayLike) -> Floats:
    """The largest <gains, x> on the capped simplex, `[E]`: the m largest gains, the last one in part."""
    num_clients = gains.shape[1]
    wanted = np.minimum(np.broadcast_to(np.asarray(total, dtype=np.float64), gains.shape[:1]), num_clients)
    share = np.clip(wanted[:, None] - np.arange(num_clients)[None, :], 0.0, 1.0)
    return np.asarray((-np.sort(-gains, axis=1) * share).sum(axis=1))


def madow(marginals: Floats, offsets: Floats) -> Bools:
    """Systematic sampling: k is in with probability exactly x_k, and always exactly sum(x) are in.

    Madow, Annals of Mathematical Statistics 20 (1949): lay intervals of length x_k end to end and take those
    that contain u, u + 1, u + 2, ... Done in integers, so that rounding can neither add nor lose one.

    Args:
        marginals: `[E, N]` in [0, 1]; each row's sum is a whole number up to rounding.
        offsets: `[E]` uniform in [0, 1), the u.

    Returns:
        Bool `[E, N]`.
    """
    units = np.floor(np.clip(marginals, 0.0, 1.0) * _UNIT).astype(np.int64)
    missing = np.rint(marginals.sum(axis=1)).astype(np.int64) * _UNIT - units.sum(axis=1)
    room = (marginals > 0) & (units < _UNIT)
    units += room & (np.cumsum(room, axis=1) <= missing[:, None])
    ends = np.cumsum(units, axis=1)
    u = np.floor(offsets * _UNIT).astype(np.int64)[:, None]
    return np.asarray((ends - u - 1) // _UNIT > (ends - units - u - 1) // _UNIT)


def _totals(total: ArrayLike, allowed: Bools) -> tuple[Floats, Ints]:
    count = allowed.sum(axis=1)
    wanted = np.broadcast_to(np.asarray(total, dtype=np.float64), count.shape)
    return np.clip(wanted, 0.0, count), count


def _or_corner(x: Floats, wanted: Floats, count: Ints, allowed: Bools) -> Floats:
    """x, but all where all are wanted and none where none is."""
    everyone = (wanted >= count)[:, None]
    inside = allowed & (wanted > 0)[:, None]
    return np.where(inside, np.where(everyone, 1.0, x), 0.0)
