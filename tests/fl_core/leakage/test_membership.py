"""Areas under membership curves: by definition, in one go, and what chance does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.leakage import chance_interval, matched_rows, membership_auc, membership_aucs


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
)
def test_the_area_is_the_chance_that_a_member_scores_higher(members, others):
    pairs = [(m > o) + 0.5 * (m == o) for m in members for o in others]
    assert membership_auc(np.array(members, float), np.array(others, float)) == pytest.approx(np.mean(pairs))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 2**31))
def test_many_victims_in_one_go_have_the_areas_that_each_has_alone(sizes, seed):
    rng, members = np.random.default_rng(seed), np.array(sizes)
    scores = rng.integers(-3, 4, 2 * members.sum()) / 3.0  # with ties within victims and between them
    parts = np.split(scores, np.cumsum(2 * members)[:-1])
    alone = [membership_auc(part[:m], part[m:]) for part, m in zip(parts, sizes, strict=True)]
    np.testing.assert_array_equal(membership_aucs(scores, members), alone)


def test_shuffled_membership_stays_within_its_interval():
    rng, m, n = np.random.default_rng(0), 30, 40
    score = rng.normal(size=m + n) + (np.arange(m + n) < m)  # members score higher ...
    assert membership_auc(score[:m], score[m:]) > 0.5 + chance_interval(m, n)
    found = []
    for _ in range(400):
        shuffled = rng.permutation(score)  # ... and nobody knows who they are
        found.append(abs(membership_auc(shuffled[:m], shuffled[m:]) - 0.5) < chance_interval(m, n))
    assert 0.92 < np.mean(found) < 0.98


def test_nobody_to_compare_with_is_nothing():
    assert np.isnan(membership_auc(np.zeros(0), np.ones(3)))
    assert np.isnan(membership_auc(np.ones(3), np.zeros(0)))


def test_members_are_compared_with_as_many_others_of_the_same_labels():
    rng = np.random.default_rng(3)
    labels, other_labels = rng.integers(0, 4, 500), rng.integers(1, 5, 60)
    own = rng.choice(500, 90, replace=False)
    members, others = matched_rows(own, labels, other_labels, np.random.default_rng(1))
    assert members.size == others.size > 20 and set(members) <= set(own.tolist())
    assert len(set(members)) == members.size and len(set(others)) == others.size
    np.testing.assert_array_equal(labels[members], other_labels[others])
    assert 0 not in labels[members]  # nobody else has this label
    few = np.flatnonzero(labels == 0)[:2]
    assert matched_rows(few, labels, other_labels, rng)[0].size == 0
