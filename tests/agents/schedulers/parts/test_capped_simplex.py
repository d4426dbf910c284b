"""The capped simplex: projections against scipy and the KKT conditions, draws with exact marginals."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from frugalfl.agents.schedulers.parts import best_value, capped_proportional, madow, project

EXACT = 1e-9
finite = st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def cases(draw, values=finite):
    """Some points, how many are wanted, and who is allowed."""
    n = draw(st.integers(1, 9))
    rows = draw(st.integers(1, 3))
    points = np.array([[draw(values) for _ in range(n)] for _ in range(rows)])
    allowed = np.array([[draw(st.booleans()) for _ in range(n)] for _ in range(rows)])
    return points, draw(st.floats(0, n).map(lambda value: round(value, 2))), allowed


def is_a_point(x, total, allowed):
    expected = np.minimum(total, allowed.sum(axis=1))
    assert x.sum(axis=1) == pytest.approx(expected, abs=EXACT)
    assert (x >= 0).all()
    assert (x <= 1 + EXACT).all()
    assert not x[~allowed].any()


class TestProjection:
    @given(cases())
    @settings(deadline=None)
    def test_obeys_the_kkt_conditions(self, case):
        """x = clip(y - tau, 0, 1): y - x is at most tau where x < 1 and at least tau where x > 0."""
        y, total, allowed = case
        x = project(y, total, allowed)
        is_a_point(x, total, allowed)
        for row in range(y.shape[0]):
            shift, here, mine = (y - x)[row], allowed[row], x[row]
            below_one, above_zero = here & (mine < 1 - EXACT), here & (mine > EXACT)
            assert shift[below_one].max(initial=-np.inf) <= shift[above_zero].min(initial=np.inf) + EXACT

    def test_is_the_nearest_point_by_scipy(self):
        rng = np.random.default_rng(0)
        for _ in range(12):
            y, m = rng.normal(0, 1, 6), rng.integers(1, 6)
            found = minimize(
                lambda x, y=y: ((x - y) ** 2).sum(),
                np.full(6, m / 6),
                jac=lambda x, y=y: 2 * (x - y),
                bounds=[(0, 1)] * 6,
                constraints={"type": "eq", "fun": lambda x, m=m: x.sum() - m},
                method="SLSQP",
                options={"ftol": 1e-14},
            )
            assert project(y[None], m, np.ones((1, 6), dtype=bool))[0] == pytest.approx(found.x, abs=1e-6)

    @given(cases(), st.integers(0, 2**31))
    @settings(deadline=None)
    def test_no_random_point_is_nearer(self, case, seed):
        y, total, allowed = case
        x = project(y, total, allowed)
        other = capped_proportional(np.random.default_rng(seed).random(y.shape) + 1e-3, total, allowed)
        gap = np.where(allowed, (other - y) ** 2 - (x - y) ** 2, 0.0).sum(axis=1)
        assert (gap >= -1e-8).all()

    @given(cases())
    @settings(deadline=None)
    def test_of_a_point_is_the_point(self, case):
        y, total, allowed = case
        x = project(y, total, allowed)
        assert project(x, total, allowed) == pytest.approx(x, abs=EXACT)

    @given(cases())
    @settings(deadline=None)
    def test_row_of_a_batch_is_the_single_row(self, case):
        y, total, allowed = case
        for function in (project, lambda w, *rest: capped_proportional(np.abs(w) + 0.1, *rest)):
            batch = function(y, total, allowed)
            for row in range(y.shape[0]):
                assert np.array_equal(function(y[[row]], total, allowed[[row]])[0], batch[row])


class TestCappedProportional:
    @given(cases(st.floats(1e-6, 100.0)))
    @settings(deadline=None)
    def test_is_proportional_below_the_cap(self, case):
        w, total, allowed = case
        x = capped_proportional(w, total, allowed)
        is_a_point(x, total, allowed)
        for row in range(w.shape[0]):
            here = allowed[row] & (x[row] > 0)
            ratio = x[row] / w[row]
            below, capped = here & (x[row] < 1 - EXACT), here & (x[row] >= 1 - EXACT)
            if below.any():
                assert np.ptp(ratio[below]) <= 1e-6 * ratio[below].max()
                assert ratio[capped].max(initial=0.0) <= ratio[below].min() * (1 + 1e-6)

    @given(cases(st.floats(1e-3, 100.0)))
    @settings(deadline=None)
    def test_agrees_with_bisection_as_the_papers_have_it(self, case):
        w, total, allowed = case
        x = capped_proportional(w, total, allowed)
        for row in np.flatnonzero((allowed.sum(axis=1) > total) & (total > 0)):
            mine, low, high = w[row, allowed[row]], 0.0, 1e6
            for _ in range(200):
                middle = (low + high) / 2
                low, high = (middle, high) if np.minimum(1, middle * mine).sum() < total else (low, middle)
            assert x[row, allowed[row]] == pytest.approx(np.minimum(1, high * mine), abs=1e-7)

    def test_tiny_weights_still_fill_the_row(self):
        x = capped_proportional(np.array([[1.0, 1e-300, 1e-300, 0.5]]), 3, np.ones((1, 4), dtype=bool))
        assert x[0] == pytest.approx([1, 0.5, 0.5, 1])


class TestBestValue:
    @given(st.lists(finite, min_size=2, max_size=7), st.data())
    @settings(deadline=None)
    def test_whole_totals_by_brute_force(self, gains, data):
        m = data.draw(st.integers(1, len(gains)))
        best = max(sum(each) for each in combinations(gains, m))
        assert best_value(np.array([gains]), m)[0] == pytest.approx(best, abs=1e-9)

    def test_the_last_one_counts_in_part(self):
        assert best_value(np.array([[1.0, 4.0, 2.0]]), 1.5)[0] == 5.0


class TestMadow:
    @given(cases(), st.integers(0, 2**31))
    @settings(deadline=None)
    def test_exactly_m_and_never_one_without_a_chance(self, case, seed):
        y, total, allowed = case
        x = project(y, round(total), allowed)
        offsets = np.random.default_rng(seed).random(y.shape[0])
        drawn = madow(x, offsets)
        assert drawn.sum(axis=1).tolist() == np.minimum(round(total), allowed.sum(axis=1)).tolist()
        assert not drawn[x == 0].any()
        assert drawn[x == 1].all()

    @pytest.mark.parametrize("offset", [0.0, 0.3, 1 - 2.0**-53, 2.0**-60])
    def test_rounding_neither_adds_nor_loses_one(self, offset):
        """Ten times 0.1 is not 1 in floating point, and an offset of 0 falls on the intervals' ends."""
        for n, m in ((10, 1), (30, 3), (3, 1), (7, 3), (100, 10), (49, 7)):
            x = np.full((1, n), m / n)
            assert madow(x, np.array([offset])).sum() == m

    def test_marginals_are_exact(self):
        """Over a fine grid of offsets k is drawn in a share x_k of them: the example of [num:t9]."""
        x = np.array([0.9, 0.1, 0.6, 0.4, 0.7, 0.3])
        offsets = (np.arange(10_000) + 0.5) / 10_000
        drawn = madow(np.tile(x, (offsets.size, 1)), offsets)
        assert (drawn.sum(axis=1) == 3).all()
        assert drawn.mean(axis=0) == pytest.approx(x, abs=1e-12)

    @given(cases(), st.integers(2, 6))
    @settings(deadline=None)
    def test_marginals_are_exact_for_any_point(self, case, m):
        y, _, allowed = case
        x = project(y, m, allowed)[:1]
        offsets = (np.arange(4000) + 0.5) / 4000
        share = madow(np.repeat(x, offsets.size, axis=0), offsets).mean(axis=0)
        assert share == pytest.approx(x[0], abs=1.0 / 4000 + 1e-9)


class TestUnbiasedness:
    """The table of aggregation weights: the expectation of sum of omega_k Delta_k over the draw."""

    ALPHA = np.array([0.3, 0.05, 0.2, 0.15, 0.1, 0.2])
    DELTA = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.7])

    def test_marginals_with_alpha_over_x(self):
        x = np.array([0.9, 0.1, 0.6, 0.4, 0.7, 0.3])
        offsets = (np.arange(10_000) + 0.5) / 10_000
        drawn = madow(np.tile(x, (offsets.size, 1)), offsets)
        assert (drawn * self.ALPHA / x * self.DELTA).sum(axis=1).mean() == pytest.approx(
            self.ALPHA @ self.DELTA
        )

    def test_uniform_without_replacement_with_k_alpha_over_m(self):
        picks = list(combinations(range(6), 3))
        mean = np.mean([6 / 3 * (self.ALPHA * self.DELTA)[list(pick)].sum() for pick in picks])
        assert mean == pytest.approx(self.ALPHA @ self.DELTA)

    def test_in_proportion_without_replacement_and_plainly_averaged_is_biased(self):
        """np.random.choice(p=alpha, replace=False) and 1/m: towards equal weights."""

        def chance(pick, left=1.0):
            return (
                1.0 if not pick else self.ALPHA[pick[0]] / left * chance(pick[1:], left - self.ALPHA[pick[0]])
            )

        mean = sum(chance(pick) * self.DELTA[list(pick)].mean() for pick in permutations(range(6), 3))
        weight = np.array(
            [sum(chance(pick) for pick in permutations(range(6), 3) if k in pick) / 3 for k in range(6)]
        )
        assert weight @ self.DELTA == pytest.approx(mean)
        assert mean != pytest.approx(self.ALPHA @ self.DELTA, abs=1e-2)
        assert np.abs(weight - 1 / 6).sum() < np.abs(self.ALPHA - 1 / 6).sum()
