"""Detectors of drift: sequences computed by hand, rows on their own, and river's on the same answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.schedulers.streams import Adwin, Ddm, PageHinkley

DETECTORS = [Ddm(), Ddm(level=2.0, warm_start=10), PageHinkley(limit=5.0), PageHinkley(delta=0.05, limit=2.0)]
DETECTORS += [Adwin(), Adwin(delta=0.2, bound="hoeffding"), Adwin(cells=8)]


def feed(detector, errors, size=1, rows=1):
    """Alarms `[T]` of one stream, in looks of `size` answers, and what was seen at last."""
    seen, alarms = detector.fresh(rows), []
    for begin in range(0, len(errors), size):
        part = errors[begin : begin + size]
        counts = np.full(rows, float(len(part))), np.full(rows, float(sum(part)))
        seen, risen = detector.update(seen, *counts)
        alarms.append(bool(risen[0]))
    return np.array(alarms), seen


class TestDdm:
    def test_by_hand(self):
        """After o.xoo p + s is 0.2 + sqrt(.16/5) = .379 at the least; three errors more lift it above."""
        errors = [0, 0, 1, 0, 0, 1, 1, 1]
        alarms, seen = feed(Ddm(level=1.5, warm_start=2), errors)
        rates = np.cumsum(errors) / np.arange(1, 9)
        limits = rates + np.sqrt(rates * (1 - rates) / np.arange(1, 9))
        assert limits[4] == pytest.approx(0.2 + math.sqrt(0.2 * 0.8 / 5))
        assert np.argmin(limits[2:]) == 2  # from the third answer on it is judged, and least at the fifth
        bar = 0.2 + 1.5 * math.sqrt(0.2 * 0.8 / 5)  # 0.468; the limits are 0.522, 0.616 and 0.677 then
        assert (limits[5:] > bar).all()
        assert alarms.tolist() == [False] * 5 + [True] * 3
        assert seen["least_rate"][0] == pytest.approx(0.2)

    def test_the_first_errors_after_none_at_all_are_a_drift(self):
        alarms, _ = feed(Ddm(warm_start=30), [0] * 50 + [1])
        assert np.flatnonzero(alarms).tolist() == [50]


class TestPageHinkley:
    def test_by_hand(self):
        """x - mean - delta: 0 - 0 - .1; 0 - .1; 1 - 1/3 - .1; 1 - 1/2 - .1; 1 - 3/5 - .1, never below 0."""
        _, seen = feed(PageHinkley(delta=0.1, limit=9.0), [0, 0, 1, 1, 1])
        assert seen["excess"][0] == pytest.approx((2 / 3 - 0.1) + (1 / 2 - 0.1) + (2 / 5 - 0.1))
        _, seen = feed(PageHinkley(delta=0.1, limit=9.0), [0, 0, 1, 1, 1, 0])
        assert seen["excess"][0] == pytest.approx(1.2666666666666666 + (0 - 1 / 2 - 0.1))

    @given(st.integers(1, 40), st.integers(0, 2), st.integers(1, 60), st.sampled_from([0, 1]))
    @settings(max_examples=60, deadline=None)
    def test_equal_answers_at_once_are_the_same_one_by_one(self, before, wrong, count, value):
        errors = [1] * wrong + [0] * before
        for size in (1, count):
            first, second = feed(PageHinkley(), errors)[1], [value] * count
            seen = first
            for begin in range(0, count, size):
                part = second[begin : begin + size]
                seen, _ = PageHinkley().update(
                    seen, np.array([float(len(part))]), np.array([float(sum(part))])
                )
            if size == 1:
                one_by_one = seen["excess"][0]
        assert seen["excess"][0] == pytest.approx(one_by_one, abs=1e-9)

    def test_alarms_where_the_limit_is_passed(self):
        alarms, _ = feed(PageHinkley(delta=0.0, limit=3.0, warm_start=1), [0] * 40 + [1] * 10)
        excess = np.cumsum([1 - k / (40 + k) for k in range(1, 11)])
        assert np.flatnonzero(alarms)[0] == 40 + int(np.argmax(excess > 3.0))


class TestAdwin:
    @pytest.mark.parametrize("count", [10, 16, 22])
    def test_by_hand(self, count):
        """Right answers, then as many wrong ones: the cut in the middle is the widest, and decides."""
        detector = Adwin(delta=0.1, bound="hoeffding", cells=64)
        alarms, _ = feed(detector, [0] * count + [1] * count)
        first = np.flatnonzero(alarms)
        inverse = np.array([1 / count + 1 / k for k in range(5, count + 1)])
        far = np.sqrt(inverse / 2 * np.log(4 * (count + np.arange(5, count + 1)) / 0.1))
        expected = np.flatnonzero(far < 1.0)
        if expected.size:
            assert first[0] == count + 5 + expected[0] - 1
        else:
            assert not first.size

    def test_forgets_what_was_before_the_drift(self):
        rng = np.random.default_rng(3)
        errors = np.concatenate([rng.random(600) < 0.1, rng.random(600) < 0.6]).astype(float)
        alarms, seen = feed(Adwin(), errors.tolist(), size=20)
        assert alarms.any()
        assert not alarms[:30].any()
        assert (seen["wrong"].sum() / seen["answers"].sum()) == pytest.approx(0.6, abs=0.08)

    def test_a_fall_shortens_the_window_and_is_no_alarm(self):
        alarms, seen = feed(Adwin(), [1] * 200 + [0] * 200, size=10)
        assert not alarms.any()
        assert seen["answers"].sum() < 300

    def test_joining_cells_loses_no_answer(self):
        detector = Adwin(cells=8)
        seen, total = detector.fresh(1), 0.0
        for count in range(1, 60):
            seen, _ = detector.update(seen, np.array([float(count)]), np.array([0.0]))
            total += count
        assert seen["answers"].sum() == total
        assert (seen["answers"][0] > 0).sum() >= 6


class TestAll:
    @pytest.mark.parametrize("detector", DETECTORS, ids=repr)
    def test_rows_are_on_their_own(self, detector):
        rng = np.random.default_rng(1)
        answers = rng.integers(0, 30, (40, 5)).astype(float)
        rate = np.where(np.arange(40)[:, None] < 20, 0.1, 0.6)
        wrong = np.minimum(rng.binomial(answers.astype(int), rate), answers).astype(float)
        together = detector.fresh(5)
        singles = [detector.fresh(1) for _ in range(5)]
        for count, bad in zip(answers, wrong, strict=True):
            together, risen = detector.update(together, count, bad)
            for row in range(5):
                singles[row], alone = detector.update(singles[row], count[row : row + 1], bad[row : row + 1])
                assert alone[0] == risen[row]
                assert all(np.array_equal(singles[row][key][0], together[key][row]) for key in together)

    @pytest.mark.parametrize("detector", DETECTORS, ids=repr)
    def test_nothing_new_changes_nothing(self, detector):
        _, seen = feed(detector, [0, 1] * 30, size=3)
        after, risen = detector.update(seen, np.zeros(1), np.zeros(1))
        assert not risen.any()
        assert all(np.array_equal(after[key], seen[key]) for key in seen)

    @pytest.mark.parametrize("detector", DETECTORS, ids=repr)
    def test_quiet_where_nothing_changes_and_loud_where_much_does(self, detector):
        rng = np.random.default_rng(7)
        quiet = feed(detector, (rng.random(1500) < 0.1).astype(float).tolist(), size=25)[0]
        loud = feed(
            detector, (rng.random(1500) < np.repeat([0.1, 0.7], 750)).astype(float).tolist(), size=25
        )[0]
        assert loud[30:36].any()
        assert quiet.mean() < 0.4  # the most nervous settings


RIVER = {
    "ddm": (657, 39, 89, 545, 80, 617),
    "page-hinkley": (658, 329, 654, 608, 608, 616),
    "adwin": (675, 653, 664, 621, 617, 617),
}
"""Index of the first drift that river 0.26.1 finds in the streams of `stream`, by seed."""


def stream(seed):
    """600 answers with a tenth of errors, then 300 with more."""
    rate = np.repeat([0.1, 0.1, 0.3 + 0.1 * seed], 300)
    return (np.random.default_rng(seed).random(900) < rate).astype(int).tolist()


@pytest.mark.parametrize("seed", range(6))
class TestAgainstRiver:
    """Answers one by one, as river takes them."""

    def test_first_drifts(self, seed):
        """Its ADWIN corrects for small windows, which leaves a few answers between the two."""
        found = {
            name: int(np.flatnonzero(feed(detector, stream(seed))[0])[0])
            for name, detector in (
                ("ddm", Ddm()),
                ("page-hinkley", PageHinkley(limit=15.0)),
                ("adwin", Adwin(cells=256)),
            )
        }
        assert found["ddm"] == RIVER["ddm"][seed]
        assert found["page-hinkley"] == RIVER["page-hinkley"][seed]
        assert abs(found["adwin"] - RIVER["adwin"][seed]) <= 12

    def test_the_table_is_what_river_says(self, seed):
        drift = pytest.importorskip("river.drift")
        theirs = {
            "ddm": drift.binary.DDM(warm_start=30, drift_threshold=3.0),
            "page-hinkley": drift.PageHinkley(30, 0.005, 15.0, alpha=1.0, mode="up"),
            "adwin": drift.ADWIN(delta=0.002, clock=1),
        }
        for name, detector in theirs.items():
            found = []
            for index, error in enumerate(stream(seed)):
                detector.update(bool(error) if name == "ddm" else error)
                if detector.drift_detected:
                    found.append(index)
            assert found[0] == RIVER[name][seed]
