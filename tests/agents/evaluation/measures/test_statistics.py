"""Each statistic against a closed form, a brute force or scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from frugalfl.agents.evaluation.measures import (
    bootstrap,
    contributions,
    crossed_bootstrap,
    holm_correction,
    hypervolume,
    kaplan_meier,
    mean,
    median_interval,
    non_dominated,
    performance_profile,
    profile_band,
    sign_rank_p_value,
    survival_median,
    total_variation,
)

whole = st.integers(0, 6)


class TestHolm:
    def test_the_textbook_example(self):
        assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
    def test_it_rejects_what_the_step_down_procedure_rejects(self, p_values, level):
        rejected, m = set(), len(p_values)
        for step, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
            if p_values[index] * (m - step) > level:
                break
            rejected.add(index)
        assert set(np.flatnonzero(holm_correction(p_values) <= level)) == rejected

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_between_the_raw_values_and_bonferronis(self, p_values):
        corrected, raw = holm_correction(p_values), np.array(p_values)
        assert (corrected >= raw).all()
        assert (corrected <= np.minimum(raw * len(raw), 1) + 1e-12).all()

    def test_no_probabilities_are_refused(self):
        with pytest.raises(ValueError, match="p_values"):
            holm_correction([0.1, 1.2])


def shared_episodes(rng, seeds=5, episodes=64):
    """Net points of training seeds on the same episodes: both matter, and what is left is noise."""
    return rng.normal(0, 1.5, (seeds, 1)) + rng.normal(0, 6, episodes) + rng.normal(0, 3, (seeds, episodes))


class TestCrossedBootstrap:
    def test_of_one_run_it_is_the_plain_bootstrap(self):
        values = np.random.default_rng(1).normal(size=40)
        assert crossed_bootstrap(values[None]) == bootstrap(values)

    def test_covers_where_strata_do_not(self):
        """The truth is 0; a 95% interval should miss it in one study of twenty."""
        rng, studies = np.random.default_rng(7), 120
        crossed = strata = 0
        for study in range(studies):
            values = shared_episodes(rng)
            both = crossed_bootstrap(values, mean, repetitions=300, seed=study)
            alone = bootstrap(list(values), mean, repetitions=300, seed=study)
            crossed += both.low <= 0 <= both.high
            strata += alone.low <= 0 <= alone.high
        assert crossed / studies > 0.87
        assert strata / studies < 0.65

    def test_more_runs_alike_do_not_narrow_what_the_episodes_leave_open(self):
        episodes = np.random.default_rng(2).normal(0, 6, 64)
        one, many = (
            crossed_bootstrap(episodes[None], mean),
            crossed_bootstrap(np.tile(episodes, (9, 1)), mean),
        )
        assert many == pytest.approx(one)

    @pytest.mark.parametrize("values", [np.ones(4), np.empty((0, 3)), [[1.0, np.nan]]])
    def test_no_table_of_finite_numbers_is_refused(self, values):
        with pytest.raises(ValueError, match="crossed_bootstrap"):
            crossed_bootstrap(values)


class TestSignRank:
    def test_equal_episodes_are_no_evidence(self):
        assert sign_rank_p_value([1.0, 2.0], [1.0, 2.0]) == 1.0

    def test_against_scipys_exact_test(self):
        rng = np.random.default_rng(0)
        ours, theirs = rng.normal(0.3, 1, 40), rng.normal(0, 1, 40)
        assert sign_rank_p_value(ours, theirs) == pytest.approx(
            stats.wilcoxon(ours, theirs, method="exact").pvalue, abs=0.01
        )


class TestProfiles:
    @given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
    def test_is_one_minus_the_distribution_function(self, values):
        thresholds = np.linspace(-6, 6, 25)
        expected = 1 - stats.ecdf(values).cdf.evaluate(thresholds)
        assert performance_profile(values, thresholds) == pytest.approx(expected)

    def test_area_under_the_profile_is_the_mean(self):
        values, grid = np.random.default_rng(1).uniform(0, 1, 50), np.linspace(0, 1, 100_001)
        assert performance_profile(values, grid).mean() == pytest.approx(values.mean(), abs=1e-4)

    def test_band_covers_the_true_share_about_as_often_as_it_says(self):
        rng, hits = np.random.default_rng(2), 0
        for seed in range(200):
            _, low, high = profile_band(rng.normal(size=60), [0.0], repetitions=300, seed=seed)
            hits += bool(low[0] <= 0.5 <= high[0])
        assert 0.88 <= hits / 200 <= 0.99


class TestTotalVariation:
    def test_known_values(self):
        counts = [[2, 2], [4, 0], [0, 0], [1, 3]]
        assert total_variation([0.5, 0.5], counts).tolist() == [0.0, 0.5, 1.0, 0.25]

    @given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=6))
    def test_is_the_largest_difference_over_all_groups(self, pairs):
        target, counts = np.array(pairs, dtype=float).T
        if counts.sum() == 0:
            assert total_variation(target, counts) == 1.0
            return
        gap = target / target.sum() - counts / counts.sum()
        groups = itertools.product((False, True), repeat=len(pairs))
        assert total_variation(target, counts) == pytest.approx(max(gap[list(g)].sum() for g in groups))


class TestSurvival:
    @given(st.lists(st.tuples(whole, st.booleans()), min_size=1, max_size=25))
    def test_is_scipys_estimate(self, episodes):
        durations = np.array([time for time, _ in episodes], dtype=float)
        happened = np.array([hit for _, hit in episodes])
        ours = kaplan_meier(durations, happened)
        sample = stats.CensoredData(uncensored=durations[happened], right=durations[~happened])
        theirs = stats.ecdf(sample).sf
        for at, share in zip(ours.at, ours.share, strict=True):
            assert share == pytest.approx(theirs.evaluate(at), abs=1e-12)

    def test_without_censoring_it_is_the_plain_share_and_median(self):
        curve = kaplan_meier([3.0, 1.0, 2.0, 4.0], [True] * 4)
        assert curve.share.tolist() == pytest.approx([0.75, 0.5, 0.25, 0.0])
        assert survival_median([3.0, 1.0, 2.0, 4.0], [True] * 4) == 2.0

    def test_censoring_before_the_event_raises_the_median(self):
        assert survival_median([1.0, 2.0, 3.0], [True, True, True]) == 2.0
        assert survival_median([1.0, 2.0, 3.0], [False, True, True]) == 2.0
        assert survival_median([1.0, 1.5, 2.0, 3.0], [False, False, True, True]) == 2.0
        assert survival_median([1.0, 2.0, 3.0, 4.0], [True, False, False, False]) == np.inf

    def test_interval_surrounds_the_median_and_may_be_infinite(self):
        rng = np.random.default_rng(5)
        times = rng.exponential(2.0, 200)
        value, low, high = median_interval(np.minimum(times, 5.0), times < 5.0)
        assert low < value < high
        assert low < 2 * np.log(2) < high
        assert median_interval([1.0, 2.0], [False, False]) == (np.inf, np.inf, np.inf)

    def test_no_episodes_are_refused(self):
        with pytest.raises(ValueError, match="same episodes"):
            kaplan_meier([], [])


points_3d = st.lists(st.tuples(whole, whole, whole), min_size=1, max_size=7)


class TestPareto:
    @given(points_3d)
    def test_front_is_that_of_the_definition(self, points):
        def dominates(a, b):
            return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

        expected = [not any(dominates(other, point) for other in points) for point in points]
        assert non_dominated(np.array(points)).tolist() == expected

    @settings(deadline=None, max_examples=60)
    @given(points_3d)
    def test_volume_is_the_number_of_unit_cubes_covered(self, points):
        cubes = itertools.product(range(7), repeat=3)
        covered = sum(
            any(all(c >= p for c, p in zip(cube, point, strict=True)) for point in points) for cube in cubes
        )
        assert hypervolume(np.array(points, dtype=float), [7, 7, 7]) == pytest.approx(covered)

    def test_four_dimensions_against_random_darts(self):
        rng = np.random.default_rng(4)
        points, darts = rng.random((12, 4)), rng.random((200_000, 4))
        hit = (darts[:, None, :] >= points).all(axis=2).any(axis=1).mean()
        assert hypervolume(points, np.ones(4)) == pytest.approx(hit, abs=0.005)

    def test_contribution_is_what_the_others_would_lose(self):
        points = np.array([[0.0, 2.0], [2.0, 0.0], [2.0, 2.0], [1.0, 1.0]])
        assert hypervolume(points, [3, 3]) == 6.0
        assert contributions(points, [3, 3]).tolist() == [1.0, 1.0, 0.0, 1.0]

    def test_points_outside_the_box_cover_nothing(self):
        assert hypervolume([[4.0, 0.0], [3.0, 1.0]], [3, 3]) == 0.0

    def test_bad_points_are_refused(self):
        with pytest.raises(ValueError, match="points: shape"):
            hypervolume([1.0, 2.0], [3.0])
        with pytest.raises(ValueError, match="reference"):
            hypervolume([[1.0, 2.0]], [3.0])
