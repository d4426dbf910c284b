"""Sessions and the batched clock over them, against brute force over every session."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.traces.availability import (
    AvailabilityEpisode,
    AvailabilityRequest,
    SessionBatch,
    Sessions,
    make_availability,
)

HOUR = 3600.0


def episode(lists, announced=False, notice_s=np.inf, climatology=0.3, relaxation_s=2 * HOUR, **more):
    sessions = Sessions.from_lists(lists, announced)
    n = sessions.num_clients
    return AvailabilityEpisode(
        sessions,
        np.full((n, 24), climatology, dtype=np.float32),
        np.full(n, relaxation_s),
        notice_s,
        **more,
    )


pairs = st.lists(st.tuples(st.integers(-50, 400), st.integers(0, 60)), max_size=8)


@given(st.lists(pairs, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_from_lists_is_the_union_of_the_intervals(clients):
    lists = [([s for s, _ in rows], [s + d for s, d in rows]) for rows in clients]
    sessions = Sessions.from_lists(lists).validate()
    moments = np.arange(-50, 460) + 0.5
    for row, (starts, ends) in enumerate(lists):
        expected = [any(s <= t < e for s, e in zip(starts, ends, strict=True)) for t in moments]
        found = ((sessions.start_s[row] <= moments[:, None]) & (sessions.end_s[row] > moments[:, None])).any(
            1
        )
        assert found.tolist() == expected


@given(st.lists(pairs, min_size=1, max_size=3), st.lists(st.integers(0, 90), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_batch_agrees_with_brute_force(clients, moves):
    lists = [([s for s, _ in rows], [s + d for s, d in rows]) for rows in clients]
    sessions = Sessions.from_lists(lists)
    batch = SessionBatch(2, len(lists))
    batch.set(1, episode(lists), 0.0)
    time_s, before_s = 0.0, 0.0
    for move in moves:
        time_s += move
        gone = batch.ended_between(np.array([0.0, before_s]), np.array([0.0, time_s]))[1] if move else None
        batch.advance(np.array([0.0, time_s]))
        for client in range(len(lists)):
            spans = [
                (s, e)
                for s, e in zip(sessions.start_s[client], sessions.end_s[client], strict=True)
                if np.isfinite(s)
            ]
            running = [(s, e) for s, e in spans if s <= time_s < e]
            later = [s for s, _ in spans if s > time_s]
            assert batch.available[1, client] == bool(running)
            assert batch.session_end_s[1, client] == (running[0][1] if running else time_s)
            assert batch.session_start_s[1, client] == (running[0][0] if running else time_s)
            assert batch.next_start_s[1, client] == min(later, default=np.inf)
            if gone is not None:
                stayed = any(s <= before_s and e > time_s for s, e in spans)
                assert gone[client] == (not stayed)
        before_s = time_s
    assert not batch.available[0].any(), "an environment that was never set has nobody"


def test_time_never_goes_back_and_a_reset_starts_again():
    batch = SessionBatch(1, 1)
    batch.set(0, episode([([0.0], [10.0])]), 0.0)
    batch.advance(np.array([20.0]))
    with pytest.raises(ValueError, match="time_s: 5 in environment 0"):
        batch.advance(np.array([5.0]))
    batch.set(0, episode([([0.0], [10.0])]), 0.0)
    batch.advance(np.array([5.0]))
    assert batch.available[0, 0]


def test_announcements_come_with_notice_only_to_those_who_announce():
    batch = SessionBatch(1, 2)
    batch.set(0, episode([([0.0], [100.0]), ([0.0], [100.0])], [[True], [False]], notice_s=30.0), 0.0)
    batch.advance(np.array([69.0]))
    assert batch.announced_end_s.tolist() == [[np.inf, np.inf]]
    batch.advance(np.array([70.0]))
    assert batch.announced_end_s.tolist() == [[100.0, np.inf]]


def test_dishonest_announcements_name_another_end_but_change_nothing_else():
    batch = SessionBatch(1, 1)
    batch.set(0, episode([([0.0], [100.0])], True, announced_end_s=np.array([[500.0]])), 0.0)
    batch.advance(np.array([50.0]))
    assert batch.announced_end_s[0, 0] == 500.0
    assert batch.session_end_s[0, 0] == 100.0
    batch.advance(np.array([100.0]))
    assert not batch.available[0, 0]


def test_returned_arrays_are_fresh():
    batch = SessionBatch(1, 1)
    batch.set(0, episode([([0.0], [100.0])]), 0.0)
    batch.advance(np.array([1.0]))
    first = batch.session_end_s
    first[:] = -1.0
    batch.starts[:] = -5.0
    batch.advance(np.array([2.0]))
    assert batch.session_end_s[0, 0] == 100.0
    assert batch.starts[0, 0, 0] == 0.0


@pytest.mark.parametrize("kind", ["phones", "volunteers", "spot", "sine"])
def test_row_of_a_batch_equals_the_batch_of_one(kind):
    model = make_availability(kind)
    request = AvailabilityRequest(1.7e9, 20 * HOUR, np.arange(6) % 3, np.array([0.0, 5.5, -8.0]))
    episodes = [model.sample(request, np.random.default_rng(seed)) for seed in range(5)]
    many, leads = SessionBatch(5, 6), np.array([600.0, 7200.0, 40000.0])
    for env, own in enumerate(episodes):
        many.set(env, own, request.start_utc_s)
    for time_s in (0.0, 1234.5, 40000.0):
        many.advance(np.full(5, time_s))
        forecast = many.forecast(np.full(5, time_s), leads)
        for env, own in enumerate(episodes):
            one = SessionBatch(1, 6)
            one.set(0, own, request.start_utc_s)
            one.advance(np.array([time_s]))
            assert np.array_equal(one.available[0], many.available[env])
            assert np.array_equal(one.announced_end_s[0], many.announced_end_s[env])
            assert np.array_equal(one.forecast(np.array([time_s]), leads)[0], forecast[env])


@pytest.mark.parametrize(
    ("starts", "ends", "why"),
    [([0.0, 5.0], [5.0, 9.0], "touch"), ([3.0], [3.0], "does not end"), ([0.0], [np.inf], "only one")],
)
def test_validate_refuses_broken_promises(starts, ends, why):
    broken = Sessions(np.array([starts]), np.array([ends]), np.zeros((1, len(starts)), dtype=bool))
    with pytest.raises(ValueError, match=why):
        broken.validate()
