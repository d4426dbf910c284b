"""Membership of rows: whether scores tell those that were trained on from others of the same labels."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from ...common.arrays import AnyArray, Floats, Ints, Ints32

_MOST_ROWS = 200


def matched_rows(
    own: Ints32, labels: AnyArray, other_labels: AnyArray, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """As many of a client's rows as of others, label by label: only membership tells them apart.

    Args:
        own: the client's rows; of many, some.
        labels: of all training rows.
        other_labels: of the rows that nobody trained on.
        rng: who is compared.

    Returns:
        Numbers of training rows, and of as many others, the same labels in the same order.
    """
    own = rng.permutation(own)[:_MOST_ROWS]
    own_labels, order = labels[own], rng.permutation(other_labels.size)
    members, others = [], []
    for label in np.unique(own_labels):
        mine, theirs = own[own_labels == label], order[other_labels[order] == label]
        count = min(mine.size, theirs.size)
        members.append(mine[:count])
        others.append(theirs[:count])
    return np.concatenate(members).astype(np.int64), np.concatenate(others).astype(np.int64)


def membership_auc(members: Floats, others: Floats) -> float:
    """Chance that a member scores higher than somebody else, ties half: the area under the ROC curve.

    Returns:
        nan where one of the two is empty.
    """
    m, n = members.size, others.size
    if m == 0 or n == 0:
        return float("nan")
    ranks = rankdata(np.concatenate([members, others]))
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))


def membership_aucs(scores: Floats, members: Ints) -> Floats:
    """`membership_auc` of V victims in one go, `[V]`.

    Args:
        scores: of one victim after the other, finite: its members, then as many others.
        members: `[V]`, how many members each has, at least one.
    """
    sizes = 2 * members
    first, owner = np.cumsum(sizes) - sizes, np.repeat(np.arange(members.size), sizes)
    order = np.lexsort((scores, owner))
    sorted_scores, sorted_owner = scores[order], owner[order]
    begins = np.ones(scores.size, dtype=bool)
    begins[1:] = (sorted_scores[1:] != sorted_scores[:-1]) | (sorted_owner[1:] != sorted_owner[:-1])
    start = np.flatnonzero(begins)
    count = np.diff(np.append(start, scores.size))
    tied = start - first[sorted_owner[start]] + (count + 1) / 2  # the mean rank of those that score alike
    ranks = np.empty(scores.size)
    ranks[order] = np.repeat(tied, count)
    is_member = np.arange(scores.size) - first[owner] < members[owner]
    sums = np.bincount(owner[is_member], ranks[is_member], members.size)
    return np.asarray((sums - members * (members + 1) / 2) / (members * members))


def chance_interval(members: int, others: int) -> float:
    """Half the 95% interval of the area where membership says nothing (Mann and Whitney 1947)."""
    return float(1.96 * np.sqrt((members + others + 1) / (12 * members * others)))
