"""Trade-offs between accuracy and costs: who is not dominated, and how much a set of results covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Bools, Floats


def non_dominated(points: ArrayLike) -> Bools:
    """Which points no other is at least as good as everywhere and better somewhere; smaller is better.

    Args:
        points: `[K, D]`; equal points are all kept.

    Returns:
        Bool `[K]`.
    """
    rows = _points(points)
    no_worse = (rows[:, None, :] <= rows[None, :, :]).all(axis=2)
    better = (rows[:, None, :] < rows[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume that the points dominate below a reference point; smaller is better in every dimension.

    Exact, by slicing along the last dimension (Zitzler 1999; Knowles 2002); for some dozen points and up to
    four dimensions.

    Args:
        points: `[K, D]`; those not below the reference in every dimension cover nothing.
        reference: `[D]`, the worst corner.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
    """
    rows, corner = _points(points), np.asarray(reference, dtype=np.float64)
    if corner.shape != rows.shape[1:] or not np.isfinite(corner).all():
        raise ValueError(f"reference: {corner}, expected {rows.shape[1]} finite numbers")
    return _volume(rows[(rows < corner).all(axis=1)], corner)


def contributions(points: ArrayLike, reference: ArrayLike) -> Floats:
    """What each point alone adds to the hypervolume of all, `[K]`; 0 for dominated and repeated ones."""
    rows = _points(points)
    total = hypervolume(rows, reference)
    without = [hypervolume(np.delete(rows, index, axis=0), reference) for index in range(len(rows))]
    return np.maximum(total - np.array(without), 0.0)


def _volume(rows: Floats, corner: Floats) -> float:
    if len(rows) == 0:
        return 0.0
    if rows.shape[1] == 1:
        return float(corner[0] - rows[:, 0].min())
    rows = rows[non_dominated(rows)]
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    # Between two neighbouring heights the section is covered by the points at or below the lower one.
    heights = np.append(rows[:, -1], corner[-1])
    return sum(
        float(heights[index + 1] - heights[index]) * _volume(rows[: index + 1, :-1], corner[:-1])
        for index in range(len(rows))
        if heights[index + 1] > heights[index]
    )


def _points(points: ArrayLike) -> Floats:
    rows = np.asarray(points, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] < 1 or not np.isfinite(rows).all():
        raise ValueError(f"points: shape {rows.shape}, expected finite numbers [K, D]")
    return rows
