"""Online ascent on S simplices: a distribution over contents for each slot, drawn with kept uniforms."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Floats, Ints
from ..parts import project


def softmax(scores: Floats) -> Floats:
    """e^score over its sum, along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def nearest_distributions(points: Floats) -> Floats:
    """Euclidean projection of `[E, S, J]` onto the simplex of each slot."""
    flat = points.reshape(-1, points.shape[-1])
    return project(flat, 1.0, np.ones(flat.shape, dtype=bool)).reshape(points.shape)


def drawn_contents(fractions: Floats, uniforms: Floats) -> Ints:
    """The content `[E, S]` that each slot's distribution `[E, S, J]` has at its uniform `[E, S]`.

    With the same uniform as before, a choice changes only as far as the distribution does: that is the draw
    with the least movement (Kantorovich's distance on the line of contents).
    """
    below = np.cumsum(fractions, axis=-1) <= uniforms[..., None]
    return np.asarray(np.minimum(below.sum(axis=-1), fractions.shape[-1] - 1))


def mirror_rate(range_: Floats, num_contents: int, horizon: Floats) -> Floats:
    """Best constant step `[E, S]` of mirror ascent with negative entropy: `sqrt(8 ln J / T) / range`.

    Args:
        range_: `[E, S]`, largest difference between two gains of a slot in one step.
        num_contents: J.
        horizon: T, `[E]`.
    """
    safe = np.maximum(range_, 1e-300)
    return np.asarray(np.sqrt(8 * np.log(num_contents) / np.maximum(horizon, 1))[:, None] / safe)


def mirror_bound(rate: Floats, num_contents: int, squares: Floats) -> Floats:
    """Regret of mirror ascent in all slots together, at most, `[E]`.

    `sum_s (ln J / eta_s + eta_s / 8 sum_t range_st^2)`, which is `sum_s range_s sqrt(T ln J / 2)` with
    `mirror_rate` and gains that fill their range: Cesa-Bianchi & Lugosi, "Prediction, Learning, and Games",
    2006, theorem 2.2, once per slot, as the gain is concave in all of them.

    Args:
        rate: `[E, S]`, eta.
        num_contents: J.
        squares: `[E, S]`, sum over the steps of the squared range of a slot's slopes.
    """
    return np.asarray((np.log(num_contents) / rate + rate / 8 * squares).sum(axis=1))


def gradient_rate(length: Floats, num_contents: int, horizon: Floats) -> Floats:
    """Best constant step `[E, S]` of gradient ascent from the centre: `D / (G sqrt(T))`, D^2 = 1 - 1 / J.

    Args:
        length: `[E, S]`, G, Euclidean length of a slot's slopes in one step.
        num_contents: J.
        horizon: T, `[E]`.
    """
    reach = np.sqrt((1 - 1 / num_contents) / np.maximum(horizon, 1))
    return np.asarray(reach[:, None] / np.maximum(length, 1e-300))


def gradient_bound(rate: Floats, num_contents: int, squares: Floats) -> Floats:
    """Regret of gradient ascent in all slots together, at most, `[E]`.

    `sum_s (D^2 / (2 eta_s) + eta_s / 2 sum_t |g_st|^2)`, which is `sum_s D G_s sqrt(T)` with
    `gradient_rate`: Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient Ascent",
    ICML 2003, theorem 1 with a constant step.

    Args:
        rate: `[E, S]`, eta.
        num_contents: J.
        squares: `[E, S]`, sum over the steps of the squared lengths of a slot's slopes.
    """
    return np.asarray(((1 - 1 / num_contents) / (2 * rate) + rate / 2 * squares).sum(axis=1))
