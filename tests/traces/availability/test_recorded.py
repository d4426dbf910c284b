"""Clients that behave as recorded users did: local time, splits, wrap-around, what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.common.splits import SPLITS
from frugalfl.traces.availability import (
    AVAILABILITY_FORECASTS,
    AvailabilityRequest,
    RecordedAvailability,
    SessionBatch,
)
from frugalfl.traces.records import flat_trace

HOUR, DAY = 3600.0, 86400.0
MONDAY = 1699833600.0  # 2023-11-13 00:00 UTC


def nightly(users=60, days=14, offset_h=2.0, begin_h=22.0, long_h=8.0, clock="utc", **more):
    """Users who are on from 22 to 6 on their own clocks, recorded from a Monday 00:00 UTC on."""
    starts = np.arange(-1, days + 1) * DAY + (begin_h - offset_h) * HOUR
    owner = np.repeat(np.arange(users), starts.size)
    start = np.tile(starts, users) + (MONDAY if clock == "utc" else 0.0)
    begin = np.full(users, MONDAY if clock == "utc" else 0.0)
    return flat_trace(
        tuple(f"user-{i}" for i in range(users)),
        np.arange(users),
        begin,
        begin + days * DAY,
        owner,
        start,
        start + long_h * HOUR,
        clock=clock,
        utc_offset_h=np.full(users, offset_h if clock == "utc" else 0.0),
        **more,
    )


def request(clients=4, hours=60.0, split="train", offsets=(0.0, -8.0), start=MONDAY + 3 * DAY + 13.25 * HOUR):
    return AvailabilityRequest(
        start, hours * HOUR, np.arange(clients) % len(offsets), np.array(offsets), split
    )


@pytest.mark.parametrize("start_h", [0.0, 5.5, 13.25, 23.9])
def test_recorded_local_time_is_laid_onto_the_zones_local_time(start_h):
    own = request(start=MONDAY + 2 * DAY + start_h * HOUR)
    sessions = RecordedAvailability(nightly()).sample(own, np.random.default_rng(0)).sessions.validate()
    for client in range(4):
        local_h = (own.start_utc_s / HOUR + own.local_offset_h[client]) % 24
        for hour in np.arange(0.0, 60.0, 0.5):
            running = (sessions.start_s[client] <= hour * HOUR) & (sessions.end_s[client] > hour * HOUR)
            clock = (local_h + hour) % 24
            assert running.any() == (clock >= 22 or clock < 6), (client, clock)


def test_the_day_of_the_week_is_kept_where_the_recording_has_it():
    trace = nightly(days=14)
    keep = (trace.session_start_s - MONDAY) // DAY % 7 < 5
    weekdays = replace(
        trace,
        session_recording=trace.session_recording[keep],
        session_start_s=trace.session_start_s[keep],
        session_end_s=trace.session_end_s[keep],
    )
    model = RecordedAvailability(weekdays)
    for seed in range(10):
        own = request(hours=24.0, offsets=(2.0,), start=MONDAY + 26 * DAY + 10 * HOUR)  # a Saturday
        sessions = model.sample(own, np.random.default_rng(seed)).sessions
        assert not np.isfinite(sessions.start_s).any()


def test_short_recordings_wrap_in_whole_days():
    own = request(hours=200.0)
    sessions = RecordedAvailability(nightly(days=2)).sample(own, np.random.default_rng(0)).sessions.validate()
    local = (
        own.start_utc_s / HOUR
        + own.local_offset_h[:, None]
        + np.where(np.isfinite(sessions.start_s), sessions.start_s, 0.0) / HOUR
    ) % 24
    later = np.isfinite(sessions.start_s) & (sessions.start_s > 0)
    assert local[later] == pytest.approx(22.0)
    assert (later.sum(axis=1) >= 7).all()


def test_users_of_the_splits_are_disjoint_and_each_plays_one_client():
    """Each user is on for an own number of seconds, by which the sessions are recognised."""
    users = 60
    begin = np.zeros(users)
    start = np.tile(np.arange(6) * DAY + 3 * HOUR, users)
    owner = np.repeat(np.arange(users), 6)
    trace = flat_trace(
        tuple(f"u{i}" for i in range(users)), np.arange(users), begin, begin + 6 * DAY, owner, start,
        start + 600.0 + owner, clock="local",
    )  # fmt: skip
    model = RecordedAvailability(trace)
    seen = {}
    for split in SPLITS:
        seen[split] = set()
        for seed in range(20):
            own = request(6, 48.0, split)
            sessions = model.sample(own, np.random.default_rng(seed)).sessions
            length = np.rint(sessions.end_s[:, 0] - sessions.start_s[:, 0])
            assert len(set(length)) == 6
            seen[split] |= set(length)
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]


def test_few_users_are_split_by_time_instead():
    users, days = 5, 30
    start = np.tile(np.arange(days) * DAY + 3 * HOUR, users)
    day = np.tile(np.arange(days), users)
    trace = flat_trace(
        tuple("abcde"), np.arange(users), np.zeros(users), np.full(users, days * DAY),
        np.repeat(np.arange(users), days), start, start + 600.0 + day, clock="local",
    )  # fmt: skip
    model = RecordedAvailability(trace)
    model.validate_for(5, 48 * HOUR)
    seen = {split: set() for split in SPLITS}
    for split in SPLITS:
        for seed in range(30):
            sessions = model.sample(request(5, 48.0, split), np.random.default_rng(seed)).sessions
            real = np.isfinite(sessions.start_s)
            seen[split] |= set(np.rint(sessions.end_s[real] - sessions.start_s[real]) - 600)
    assert max(seen["train"]) < 18 <= min(seen["val"])
    assert max(seen["val"]) < 24 <= min(seen["test"])


def test_what_is_known_comes_from_the_past_only():
    trace = nightly(users=40, days=20)
    model = RecordedAvailability(trace)
    own = request(3, 48.0, "test")
    episode = model.sample(own, np.random.default_rng(7))
    # The same users never come again after the first ten days of their recordings, or always.
    test_users = {i for i in range(40) if model._place[i] >= 0.8}
    late = trace.session_start_s - MONDAY > 19 * DAY
    dropped = ~(np.isin(trace.session_recording, list(test_users)) & late)
    changed = replace(
        trace,
        session_recording=trace.session_recording[dropped],
        session_start_s=trace.session_start_s[dropped],
        session_end_s=trace.session_end_s[dropped],
    )
    again = RecordedAvailability(changed).sample(own, np.random.default_rng(7))
    assert np.array_equal(episode.climatology, again.climatology)
    assert np.array_equal(episode.relaxation_s, again.relaxation_s)


class Watched(RecordedAvailability):
    """Remembers whose recording was taken from which moment on."""

    def _moments(self, chosen, *more):
        moment_s = super()._moments(chosen, *more)
        self.taken = dict(zip(chosen.tolist(), moment_s.tolist(), strict=True))
        return moment_s


def without_future(trace, taken):
    """Nobody of `taken` comes again after his moment."""
    moment_s = np.array([taken.get(index, np.inf) for index in range(trace.num_recordings)])
    keep = trace.session_start_s <= moment_s[trace.session_recording]
    return replace(
        trace,
        session_recording=trace.session_recording[keep],
        session_start_s=trace.session_start_s[keep],
        session_end_s=trace.session_end_s[keep],
    )


def irregular(users, days=30):
    """Users with sessions at any time, watched from a Monday on their own clocks."""
    rng = np.random.default_rng(5)
    owner = np.repeat(np.arange(users), 2 * days)
    start = rng.uniform(0.0, days * DAY, owner.size)
    return flat_trace(
        tuple(f"u{i}" for i in range(users)), np.arange(users), np.zeros(users), np.full(users, days * DAY),
        owner, start, start + rng.uniform(HOUR, 6 * HOUR, owner.size), clock="local",
    )  # fmt: skip


@pytest.mark.parametrize("users", [60, 8], ids=["split by user", "split by time"])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", sorted(set(AVAILABILITY_FORECASTS) - {"perfect", "noisy"}))
def test_no_forecast_of_a_recording_reads_the_future(kind, split, users):
    """In val and test nobody's future tells anything of anybody; in training one's own does not."""
    trace, own, leads = (
        irregular(users),
        request(6, 48.0, split),
        np.array([600.0, HOUR, 8 * HOUR, 30 * HOUR]),
    )

    def forecast(changed):
        model = Watched(changed, forecast=AVAILABILITY_FORECASTS.make(kind))
        batch = SessionBatch(1, 6)
        batch.set(0, model.sample(own, np.random.default_rng(3)), own.start_utc_s)
        batch.advance(np.zeros(1))
        return model.taken, batch.forecast(np.zeros(1), leads)[0]

    taken, found = forecast(trace)
    if split != "train":
        again, changed = forecast(without_future(trace, taken))
        assert again == taken
        assert np.array_equal(found, changed)
    for client, (row, moment_s) in enumerate(taken.items()):
        _, changed = forecast(without_future(trace, {row: moment_s}))
        assert np.array_equal(found[client], changed[client])


def test_announcements_are_true_as_often_as_they_are_said_to_be():
    model = RecordedAvailability(irregular(60), announced_share=1.0, honesty=0.7)
    episode = model.sample(request(6, 400.0), np.random.default_rng(0))
    real = np.isfinite(episode.sessions.start_s)
    late_s = (episode.announced_end_s - np.where(real, episode.sessions.end_s, 0.0))[real]
    assert (late_s >= 0).all()
    assert (late_s == 0).mean() == pytest.approx(0.7, abs=0.12)
    assert late_s[late_s > 0].mean() == pytest.approx(2 * HOUR, rel=0.5)
    honest = RecordedAvailability(irregular(60), announced_share=1.0).sample(
        request(6, 400.0), np.random.default_rng(0)
    )
    assert honest.announced_end_s is None
    assert np.array_equal(honest.sessions.start_s, episode.sessions.start_s)


def test_a_user_alone_is_forecast_from_nothing_but_his_own_past():
    episode = RecordedAvailability(irregular(1)).sample(request(1, 48.0), np.random.default_rng(0))
    assert np.isfinite(episode.climatology).all()
    assert np.ptp(episode.climatology) < 1e-6


def test_climatology_is_the_training_users_profile_at_the_clients_own_hours():
    own = request(4, 48.0, "test", offsets=(0.0, 6.0))
    climatology = RecordedAvailability(nightly()).sample(own, np.random.default_rng(0)).climatology
    assert climatology[0, [23, 2, 5]].min() > 0.6
    assert climatology[0, [8, 12, 20]].max() < 0.1
    assert np.allclose(climatology[1], np.roll(climatology[0], -6), atol=0.15)


def test_users_watched_together_keep_their_utc_time_of_day():
    own = request(4, 48.0, offsets=(0.0, -8.0))
    episode = RecordedAvailability(nightly(offset_h=0.0, simultaneous=True)).sample(
        own, np.random.default_rng(0)
    )
    sessions = episode.sessions
    starts = sessions.start_s[np.isfinite(sessions.start_s) & (sessions.start_s > 0)]
    assert (own.start_utc_s / HOUR + starts / HOUR) % 24 == pytest.approx(22.0)
    assert np.array_equal(sessions.start_s[0], sessions.start_s[1])
    assert episode.climatology[1, [23, 3]].min() > 0.6 > episode.climatology[1, [10, 18]].max()


def test_long_recordings_are_used_in_all_their_weeks():
    trace, own = nightly(users=40, days=42, offset_h=0.0), request(4, 24.0)
    trace = replace(
        trace, session_end_s=trace.session_start_s + 3600.0 + (trace.session_start_s - MONDAY) // DAY
    )
    seen = set()
    for seed in range(40):
        sessions = RecordedAvailability(trace).sample(own, np.random.default_rng(seed)).sessions
        seen |= set(((sessions.end_s - sessions.start_s)[:, 0] - 3600.0) // 7)
    assert seen >= {0, 1, 2, 3, 4}


def test_simultaneous_traces_keep_what_happened_together():
    rng = np.random.default_rng(0)
    moments = np.sort(rng.uniform(0, 30 * DAY, 60))
    users = 6
    trace = flat_trace(
        tuple("abcdef"), np.arange(users), np.zeros(users), np.full(users, 30 * DAY),
        np.repeat(np.arange(users), 60), np.tile(moments, users), np.tile(moments, users) + 3000.0,
        clock="none", simultaneous=True,
    )  # fmt: skip
    sessions = RecordedAvailability(trace).sample(request(6, 100.0), rng).sessions
    assert np.array_equal(sessions.start_s, np.repeat(sessions.start_s[:1], 6, axis=0))


def test_refusals_come_early_and_say_what_to_do():
    with pytest.raises(ValueError, match=r"10 users for 30 clients.*repeat: true"):
        RecordedAvailability(nightly(users=10)).validate_for(30, 48 * HOUR)
    RecordedAvailability(nightly(users=10), repeat=True).validate_for(30, 48 * HOUR)
    short = replace(nightly(users=10, days=1), end_s=np.full(10, MONDAY + 20 * HOUR))
    with pytest.raises(ValueError, match="20 h, expected at least one whole day"):
        RecordedAvailability(short).validate_for(3, HOUR)
