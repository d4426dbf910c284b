"""Drawn requests against the law they are drawn from, and the batch against counting one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.traces.arrivals import ArrivalBatch, ArrivalEpisode, check_arrivals, make_arrivals

HOUR, DAY = 3600.0, 86400.0
MONDAY = 4 * DAY  # 5 January 1970
PLAIN = {"kind": "poisson", "profile": "flat", "burst": 0}


def draw(spec, sources=24, seed=0, hours=48.0, start_utc_s=MONDAY, offset_h=0.0, **more):
    offsets = np.broadcast_to(np.asarray(offset_h, dtype=float), sources)
    return make_arrivals(spec).draw(seed, sources, start_utc_s, offsets, hours * HOUR, **more)


def episode(rows):
    counts = np.array(rows, dtype=np.int32)
    return ArrivalEpisode(counts, counts.astype(np.float32))


class TestPoisson:
    def test_an_episode_is_a_function_of_its_seed(self):
        first, again, other = (draw("poisson", seed=seed).counts for seed in (3, 3, 4))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        assert first.dtype == np.int32
        assert first.shape == (24, 2880)

    @pytest.mark.parametrize("spec", ["poisson", {"kind": "poisson", "zipf": 1.2, "rerank_h": 2}])
    def test_the_mean_is_the_rate_and_what_is_expected(self, spec):
        drawn = [draw(spec, seed=seed) for seed in range(20)]
        requests = np.array([one.counts.sum() for one in drawn])
        assert drawn[0].expected.sum() == pytest.approx(24 * 24 * 48, rel=1e-5)
        # Bursts of ten minutes with Gamma 4: the variance of a source and block is 4 + 16 / 4.
        error = np.sqrt(24 * 288 * 8.0 * 1.5 * (10 if isinstance(spec, dict) else 1) / 20)
        assert abs(requests.mean() - 24 * 24 * 48) < 4 * error

    def test_counts_of_a_minute_are_poisson_without_bursts(self):
        counts = draw({**PLAIN, "per_hour": 600}, hours=100).counts
        assert counts.mean() == pytest.approx(10.0, rel=0.01)
        assert counts.var() == pytest.approx(10.0, rel=0.03)

    @pytest.mark.parametrize("burst", [0, float("inf")])
    def test_bursts_can_be_turned_off(self, burst):
        assert np.array_equal(draw({**PLAIN, "burst": burst}).counts, draw(PLAIN).counts)

    def test_bursts_spread_counts_by_their_shape(self):
        counts = draw({**PLAIN, "per_hour": 600, "burst": 4, "burst_s": 600}, hours=200).counts
        assert counts.var() / counts.mean() == pytest.approx(1 + 10 / 4, rel=0.05)
        # Ten minutes share their factor, hence the sums of ten have 1 + 100 / 4.
        sums = counts.reshape(24, -1, 10).sum(axis=2)
        assert sums.var() / sums.mean() == pytest.approx(1 + 100 / 4, rel=0.08)
        apart = np.corrcoef(counts[:, 9:-1:10].ravel(), counts[:, 10::10].ravel())[0, 1]
        assert abs(apart) < 0.05

    def test_the_profile_follows_the_local_hour(self):
        offsets = np.repeat([0.0, 9.0, -3.5], 8)
        drawn = draw({"kind": "poisson", "burst": 0, "per_hour": 3600}, offset_h=offsets, start_utc_s=0.0)
        hourly = drawn.counts.reshape(24, 48, 60).sum(axis=2)[:, :24]
        assert set(hourly[:8].mean(axis=0).argsort()[-2:]) == {14, 15}
        assert set(hourly[8:16].mean(axis=0).argsort()[-2:]) == {5, 6}
        assert hourly[16:].mean(axis=0).argmax() == 18
        assert hourly[:8].mean(axis=0)[14] == pytest.approx(3600 * (1 + 0.6 * np.cos(np.pi / 24)), rel=0.01)

    def test_a_profile_of_the_week_begins_on_monday(self):
        week = [0.0] * 168
        week[24:48] = [1.0] * 24  # Tuesday only
        drawn = draw({**PLAIN, "profile": week}, start_utc_s=MONDAY + 6 * DAY, hours=7 * 24)
        by_day = drawn.counts.reshape(24, 7, 1440).sum(axis=(0, 2))
        assert np.flatnonzero(by_day).tolist() == [2]

    def test_popularity_is_zipf_s_and_keeps_the_mean(self):
        drawn = draw({**PLAIN, "per_hour": 600, "zipf": 1.2}, sources=8, hours=100)
        shares = np.sort(drawn.counts.sum(axis=1))[::-1]
        assert shares / shares[0] == pytest.approx(np.arange(1.0, 9.0) ** -1.2, rel=0.05)
        assert drawn.counts.mean() == pytest.approx(10.0, rel=0.02)
        assert np.allclose(drawn.expected, 10.0)

    def test_ranks_are_dealt_anew(self):
        spec = {**PLAIN, "per_hour": 600, "zipf": 1.2}
        fixed, drifting = (draw({**spec, **more}, sources=8) for more in ({}, {"rerank_h": 8}))
        first = [one.counts.reshape(8, 6, 480).sum(axis=2).argmax(axis=0) for one in (fixed, drifting)]
        assert len(set(first[0])) == 1
        assert len(set(first[1])) > 1
        inside = drifting.counts.reshape(8, 12, 240).sum(axis=2).argmax(axis=0)
        assert np.array_equal(inside[0::2], inside[1::2])

    def test_groups_have_rankings_of_their_own(self):
        spec = {**PLAIN, "per_hour": 600, "zipf": 2.0}
        by_zone = draw(spec, sources=16, rank_group=4).counts.sum(axis=1).reshape(4, 4)
        assert by_zone.sum(axis=1) == pytest.approx(np.full(4, by_zone.sum() / 4), rel=0.05)
        assert len(set(by_zone.argmax(axis=1))) > 1
        with pytest.raises(ValueError, match=r"^rank_group: 3 of 16 sources, expected groups of one size$"):
            draw(spec, sources=16, rank_group=3)

    def test_ranges_are_drawn_by_the_episode(self):
        spec = {**PLAIN, "per_hour": (6.0, 600.0)}
        means = [draw(spec, seed=seed).expected.mean() * 60 for seed in range(20)]
        assert min(means) < 30
        assert max(means) > 200
        assert all(5.9 < mean < 600.1 for mean in means)

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            (
                "poison",
                "arrivals: 'poison' is no model and no file; did you mean 'poisson'? known: file, poisson",
            ),
            ({"kind": "poisson", "profile": "local"}, "profile: 'local' is unknown; did you mean"),
            ({"kind": "poisson", "profile": [1.0] * 25}, "profile: 25 hours, expected 24 or 168"),
            ({"kind": "poisson", "profile": [0.0] * 24}, "profile: nothing but zeros, expected an hour"),
            ({"kind": "poisson", "per_hour": 0}, "per_hour: 0, expected greater than 0"),
            (
                {"kind": "poisson", "per_hour": (9, 3)},
                "per_hour: (9.0, 3.0), expected a range from low to high",
            ),
            ({"kind": "poisson", "burst_s": 5}, "burst_s: 5, expected greater than or equal to 60"),
        ],
    )
    def test_bad_settings_are_refused_in_one_line(self, spec, said):
        for refuse in (check_arrivals, make_arrivals):
            with pytest.raises(ValueError, match=r"^arrivals") as refusal:
                refuse(spec)
            assert said in str(refusal.value)
            assert "\n" not in str(refusal.value)

    def test_what_no_memory_holds_is_refused(self):
        with pytest.raises(ValueError, match=r"arrivals: 100000 sources for .* take fewer hours or sources"):
            make_arrivals("poisson").validate_for(100_000, 30 * DAY)
        with pytest.raises(ValueError, match=r"arrivals: 0 sources"):
            draw("poisson", sources=0)


class TestBatch:
    rows = st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=4)

    @given(rows, st.lists(st.floats(-10, 400), min_size=1, max_size=5))
    @settings(max_examples=60, deadline=None)
    def test_until_counts_the_moments_before(self, rows, times_s):
        batch = ArrivalBatch(1, len(rows))
        batch.set(0, episode(rows))
        zeros = np.zeros(40, dtype=np.int64)
        moments = np.array([batch.moments(zeros, zeros + k, np.arange(40)) for k in range(len(rows))])
        for time_s in times_s:
            assert np.array_equal(batch.until(np.array([time_s]))[0], (moments < time_s).sum(axis=1))

    def test_until_is_exact_at_the_edges_and_monotone_between(self):
        drawn = draw({**PLAIN, "per_hour": 600}, sources=3, hours=1)
        batch = ArrivalBatch(1, 3)
        batch.set(0, drawn)
        edges = [batch.until(np.array([60.0 * b]))[0] for b in range(61)]
        assert np.array_equal(np.diff(edges, axis=0).T, drawn.counts)
        fine = np.array([batch.until(np.array([7.0 * step]))[0] for step in range(600)])
        assert (np.diff(fine, axis=0) >= 0).all()
        assert np.array_equal(fine[-1], drawn.counts.sum(axis=1))

    def test_environments_have_clocks_and_lengths_of_their_own(self):
        batch = ArrivalBatch(2, 2)
        batch.set(0, episode([[4, 0], [0, 2]]))
        batch.set(1, episode([[1, 0, 0, 3], [0, 0, 6, 0]]))
        assert batch.until(np.array([60.0, 240.0])).tolist() == [[4, 0], [4, 6]]
        assert batch.until(np.array([[30.0, 90.0], [0.0, np.inf]])).tolist() == [[2, 1], [0, 6]]
        assert batch.expected().tolist() == [6.0, 10.0]
        assert batch.expected_per_h(np.array([61.0, 1e9])).tolist() == [[0.0, 120.0], [180.0, 0.0]]
        batch.set(1, episode([[1, 0], [0, 0]]))
        assert batch.until(np.array([0.0, 240.0])).tolist() == [[0, 0], [1, 0]]
        assert batch.expected().tolist() == [6.0, 1.0]

    def test_moments_of_requests_that_never_come_are_infinite(self):
        batch = ArrivalBatch(1, 1)
        batch.set(0, episode([[0, 2, 0]]))
        zeros = np.zeros(4, dtype=np.int64)
        assert batch.moments(zeros, zeros, np.array([-1, 0, 1, 2])).tolist() == [np.inf, 75.0, 105.0, np.inf]

    def test_an_episode_of_other_sources_is_refused(self):
        with pytest.raises(ValueError, match=r"^episode: 1 sources, expected 2$"):
            ArrivalBatch(1, 2).set(0, episode([[1]]))
