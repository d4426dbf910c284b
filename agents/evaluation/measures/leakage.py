"""What messages give away beside membership: attributes, the model that a client would like."""

from __future__ import annotations

import numpy as np

from ....common.arrays import AnyArray, Floats


def reconstructed_model(models: AnyArray, updates: AnyArray) -> Floats:
    """The model at which a client would send no update, from T messages (models it got, updates it sent).

    Local model reconstruction (Driouich et al., "A Novel Model-Based Attribute Inference Attack in Federated
    Learning", 2022): near a client's optimum its update is affine in the model, so that the affine
    combination of its messages in which the updates cancel has the optimum as its model. d + 1 messages in
    general position tell d parameters exactly; fewer give the best in their span, by least squares.

    Args:
        models: `[T, P]`, T at least 1.
        updates: `[T, P]`.
    """
    w, g = models.astype(np.float64), updates.astype(np.float64)
    apart, turned = w[:-1] - w[-1], g[:-1] - g[-1]
    share = np.linalg.lstsq(turned.T, -g[-1], rcond=None)[0]
    return np.asarray(w[-1] + share @ apart)


def attribute_gain(right: Floats, values: AnyArray) -> float:
    """By how much a guess of a binary attribute beats naming the more frequent value for everybody.

    Args:
        right: `[n]`, 1 where the guess is right, one half where it is a toss.
        values: `[n]`, the attribute's true values.
    """
    if right.size == 0:
        return float("nan")
    counts = np.unique(values, return_counts=True)[1]
    return float(right.mean() - counts.max() / values.size)
