"""Recorded requests laid onto an episode: hours, days, splits, rates, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.traces.arrivals import RecordedArrivals, check_arrivals, make_arrivals
from frugalfl.traces.formats.arrivals import write_arrivals
from frugalfl.traces.records import RequestTrace, joined_requests

HOUR, DAY = 3600.0, 86400.0
MINUTES = 1440
MONDAY = 4 * DAY  # 5 January 1970


def trace(counts, clock="utc", begin_s=MONDAY, names=None):
    counts = np.atleast_2d(np.asarray(counts, dtype=np.int32))
    sources = names or tuple(f"s{index}" for index in range(counts.shape[0]))
    return RequestTrace(tuple(sources), counts, begin_s, clock, source="made (test)").validate()


def draw(model, sources=1, seed=0, hours=24.0, start_utc_s=MONDAY, offset_h=0.0, split="train"):
    offsets = np.broadcast_to(np.asarray(offset_h, dtype=float), sources)
    return model.draw(seed, sources, start_utc_s, offsets, hours * HOUR, split)


def by_hour(days, hours=24):
    """One source whose count in a minute is the hour of the week, plus one."""
    return np.tile(np.repeat(np.arange(hours) + 1, 60), -(-days * 24 // hours))[: days * MINUTES]


class TestReplay:
    def test_one_source_is_played_as_it_was_recorded(self):
        rng = np.random.default_rng(0)
        counts = rng.poisson(3.0, 30 * MINUTES)
        played = draw(RecordedArrivals(trace(counts)), start_utc_s=MONDAY + 9 * HOUR).counts[0]
        places = [d * MINUTES + 540 for d in range(29) if d * MINUTES + 540 + 1440 <= 18 * MINUTES]
        assert any(np.array_equal(played, counts[at : at + MINUTES]) for at in places)
        again = draw(RecordedArrivals(trace(counts)), start_utc_s=MONDAY + 9 * HOUR).counts[0]
        assert np.array_equal(played, again)

    @pytest.mark.parametrize("clock", ["utc", "day"])
    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_recorded_hours_are_the_sources_local_hours(self, clock, split):
        model = RecordedArrivals(trace(by_hour(20), clock, MONDAY if clock == "utc" else 0.0))
        for seed in range(5):
            played = draw(model, 3, seed, 24, MONDAY + 3 * HOUR, [0.0, -5.0, 9.5], split).counts
            # Three share the one source; what is left of it tells the hour all the same.
            hours = [(3.0, 3), (-5.0 + 3.0, 22), (9.5 + 3.0, 12)]
            for row, (_, hour) in zip(played, hours, strict=True):
                first = row[:30].sum() / 30 * 3
                assert first == pytest.approx(hour + 1, abs=0.35 * np.sqrt(hour + 1) + 0.7)

    def test_recorded_people_s_clocks_may_differ_from_utc(self):
        model = RecordedArrivals(trace(by_hour(20)), utc_offset_h=-8.0)
        # 0 h UTC is 16 h where it was recorded, hence where it is played.
        assert draw(model, start_utc_s=MONDAY + 16 * HOUR).counts[0, 0] == 1

    def test_days_of_the_week_are_kept_where_dates_are_told(self):
        model = RecordedArrivals(trace(by_hour(28, 168)))
        for day in range(7):
            played = draw(model, seed=day, start_utc_s=MONDAY + day * DAY).counts[0]
            assert set(played) == set(range(day * 24 + 1, day * 24 + 25))

    def test_sources_of_one_clock_stay_simultaneous(self):
        rng = np.random.default_rng(0)
        one = rng.poisson(5.0, 20 * MINUTES)
        model = RecordedArrivals(trace([one, 2 * one]))
        for seed in range(3):
            a, b = draw(model, 2, seed).counts
            assert np.array_equal(2 * a, b) or np.array_equal(a, 2 * b)


class TestSplits:
    def test_too_few_sources_are_split_by_time(self):
        counts = np.repeat([1, 2, 3], [6 * MINUTES, 2 * MINUTES, 2 * MINUTES])
        model = RecordedArrivals(trace(counts, "day", 0.0))
        for seed in range(10):
            for value, split in enumerate(["train", "val", "test"], start=1):
                assert set(draw(model, 1, seed, 12, MONDAY + seed * HOUR, 0.0, split).counts.ravel()) == {
                    value
                }

    def test_enough_sources_are_split_by_name(self):
        names = [f"name {index}" for index in range(200)]
        counts = np.repeat(np.arange(1, 201)[:, None], 3 * MINUTES, axis=1)
        model = RecordedArrivals(trace(counts, names=names))
        seen = {
            split: {int(v) for seed in range(30) for v in draw(model, 20, seed, 24, split=split).counts[:, 0]}
            for split in ("train", "val", "test")
        }
        assert all(len(values) > 20 for values in seen.values())
        assert not (seen["train"] & seen["val"] or seen["train"] & seen["test"] or seen["val"] & seen["test"])

    def test_a_source_that_stands_for_several_is_dealt_among_them(self):
        counts = np.full(10 * MINUTES, 240)
        drawn = draw(RecordedArrivals(trace(counts)), 24)
        assert drawn.counts.mean() == pytest.approx(10.0, rel=0.01)
        assert drawn.counts.sum(axis=0).mean() == pytest.approx(240.0, rel=0.01)
        assert drawn.expected == pytest.approx(np.full((24, 1440), 10.0))


class TestRates:
    @pytest.mark.parametrize("per_hour", [15.0, 150.0, 210.0, 900.0])
    def test_bursts_keep_their_size_relative_to_the_rate(self, per_hour):
        rng = np.random.default_rng(0)
        recorded = rng.poisson(5.0 * np.repeat(rng.standard_gamma(2.0, 40_000) / 2.0, 10))
        model = RecordedArrivals(trace(recorded, "day", 0.0), per_hour=per_hour)
        played = draw(model, 1, hours=1200).counts[0]
        mean = played.mean()
        assert mean == pytest.approx(per_hour / 60.0, rel=0.1)
        # The Gamma factor's variance, 1/2, whatever the rate; copies of requests add at most 1 / mean before.
        excess = (played.var() / mean - 1.0) / mean
        assert 0.42 <= excess <= 0.58 + (1.0 / 5.0 if per_hour > 300 else 0.0)

    def test_the_level_is_that_of_the_part_that_is_played(self):
        counts = np.repeat([1, 2, 3], [6 * MINUTES, 2 * MINUTES, 2 * MINUTES])
        model = RecordedArrivals(trace(counts, "day", 0.0), per_hour=120.0)
        for split in ("train", "val", "test"):
            drawn = draw(model, 1, 0, 12, split=split)
            assert drawn.counts.sum() == pytest.approx(24.0 * 60, rel=0.1)
            assert drawn.expected.sum() == pytest.approx(24.0 * 60, rel=1e-4)

    def test_what_is_expected_follows_the_hours_of_the_part_for_training(self):
        model = RecordedArrivals(trace(by_hour(20)))
        drawn = draw(model, split="test")
        assert drawn.expected[0, ::60] == pytest.approx(np.arange(1, 25), rel=1e-5)


class TestRefusals:
    def test_less_than_an_hour_must_be_repeated_in_so_many_words(self):
        short = trace(np.arange(1, 59))
        with pytest.raises(
            ValueError, match=r"^arrivals: made \(test\) has 58 minutes, expected at least an"
        ):
            RecordedArrivals(short)
        model = RecordedArrivals(short, repeat=True)
        model.validate_for(1, 2 * DAY)
        for split, most in (("train", 34), ("val", 46), ("test", 58)):
            played = draw(model, 1, 0, 48, split=split).counts[0]
            assert played.size == 2880
            assert played.max() == most

    def test_a_part_shorter_than_the_episode_must_be_repeated_in_so_many_words(self):
        model = RecordedArrivals(trace(by_hour(7)))
        with pytest.raises(
            ValueError, match=r"33\.6 h for val, expected the episode's 48 h and a day to begin in"
        ):
            model.validate_for(1, 48 * HOUR)
        again = RecordedArrivals(trace(by_hour(7)), repeat=True)
        again.validate_for(1, 48 * HOUR)
        played = draw(again, 1, 3, 48, MONDAY + 5 * HOUR, 0.0, "val").counts[0]
        assert np.array_equal(played, np.roll(by_hour(2), -300))

    def test_a_day_without_a_clock_needs_its_hour(self):
        with pytest.raises(
            ValueError, match=r"^arrivals: start_h: missing, and made \(test\) knows no time of"
        ):
            RecordedArrivals(trace(by_hour(3), "none", 0.0))
        started = trace(by_hour(10), "none", 0.0).starting_at(6.5)
        assert draw(RecordedArrivals(started), start_utc_s=MONDAY + 6.5 * HOUR).counts[0, 0] == 1
        with pytest.raises(ValueError, match=r"^start_h: 3, but made \(test\) knows its time of day"):
            trace(by_hour(1)).starting_at(3)

    def test_more_than_can_be_counted_is_refused(self):
        model = RecordedArrivals(trace(by_hour(20)), per_hour=1e10)
        with pytest.raises(
            ValueError, match=r"requests to one source in an episode, expected at most 2\.15e\+09"
        ):
            draw(model)


class TestFiles:
    def test_settings_reach_the_model(self, tmp_path):
        write_arrivals(trace(by_hour(10), "none", 0.0), tmp_path / "own.csv")
        spec = {"kind": "file", "path": str(tmp_path / "own.csv"), "start_h": 4, "per_hour": 750}
        check_arrivals(spec)
        drawn = draw(make_arrivals(spec), start_utc_s=MONDAY + 4 * HOUR)
        assert drawn.counts[0, 0] == 1
        assert drawn.expected.mean() == pytest.approx(12.5, rel=1e-4)

    def test_a_path_is_a_file_and_days_join(self, tmp_path):
        days = []
        for day in range(10):
            days.append(tmp_path / f"invocations_per_function_md.anon.d{day + 1:02d}.csv")
            header = ",".join(["HashOwner,HashApp,HashFunction,Trigger", *map(str, range(1, 1441))])
            minutes = ",".join(map(str, np.full(1440, day + 1)))
            days[-1].write_text(f"{header}\no,a,f,http,{minutes}\no,a,g,http,{minutes}\n")
        model = make_arrivals({"path": tuple(map(str, days))})
        assert model.trace.num_minutes == 10 * MINUTES
        assert set(draw(model, split="test").counts.ravel()) <= {18, 20}
        with pytest.raises(ValueError, match=r"14\.4 h for train, expected the episode's 24 h"):
            make_arrivals(str(days[0])).validate_for(1, DAY)

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"path": "a.csv", "per_hour": 0}, "per_hour: 0, expected greater than 0"),
            ({"path": "a.csv", "start_h": 24}, "start_h: 24, expected less than 24"),
            ({"path": "a.csv", "format": "burst-gpt"}, "did you mean 'burstgpt'"),
            ({"kind": "file"}, "path: missing"),
        ],
    )
    def test_bad_settings_are_refused_in_one_line(self, spec, said):
        with pytest.raises(ValueError, match=r"^arrivals") as refusal:
            check_arrivals(spec)
        assert said in str(refusal.value)

    def test_two_services_are_two_sources_and_overlap(self):
        a, b = trace([[1, 2, 3]], names=["a"]), trace([[5, 5]], names=["b"], begin_s=MONDAY + 120)
        both = joined_requests([a, b])
        assert both.sources == ("a", "b")
        assert both.counts.tolist() == [[1, 2, 3, 0], [0, 0, 5, 5]]
        with pytest.raises(
            ValueError, match="counts requests of a source in minutes in which another file does"
        ):
            joined_requests([a, trace([[1]], names=["a"])])
        with pytest.raises(ValueError, match="clocks day and utc, expected files of one clock"):
            joined_requests([a, trace([[1]], "day", 0.0)])
