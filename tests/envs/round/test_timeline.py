"""The clock of a round against a naive event loop, and the rules one by one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.envs.round import play_round


def one(invited, left, down, compute, up, quorum=1.0, deadline=1e9):
    arrays = [np.array([values], dtype=float) for values in (left, down, compute, up)]
    return play_round(np.array([invited], dtype=bool), *arrays, np.array([quorum]), np.array([deadline]))


def test_everybody_finishes_and_the_slowest_closes_the_round():
    timeline = one([1, 1, 0], [99, 99, 99], [1, 2, 0], [10, 20, 0], [1, 1, 0])
    assert timeline.completed.tolist() == [[True, True, False]]
    assert timeline.duration_s.tolist() == [23.0]
    assert timeline.stop_s.tolist() == [[12.0, 23.0, 0.0]]


def test_a_session_that_ends_first_loses_the_update_and_keeps_the_cost():
    timeline = one([1, 1], [5, 99], [1, 1], [10, 10], [1, 1])
    assert timeline.lost.tolist() == [[True, False]]
    assert timeline.down_s[0, 0] == 1 and timeline.compute_s[0, 0] == 4 and timeline.up_s[0, 0] == 0
    assert timeline.duration_s[0] == 12


def test_a_session_that_ends_with_the_upload_has_finished():
    assert one([1], [12], [1], [10], [1]).completed.all()


def test_quorum_closes_the_round_and_cancels_the_rest():
    timeline = one([1, 1, 1], [99] * 3, [1] * 3, [1, 5, 50], [1] * 3, quorum=0.6)
    assert timeline.duration_s[0] == 7
    assert timeline.cancelled.tolist() == [[False, False, True]]
    assert timeline.compute_s[0, 2] == 6


def test_seventy_per_cent_of_ten_are_seven():
    timeline = one([1] * 10, [99] * 10, [0] * 10, list(range(1, 11)), [0] * 10, quorum=0.7)
    assert timeline.completed.sum() == 7


def test_the_deadline_closes_a_round_that_waits_for_too_many():
    timeline = one([1, 1], [99, 99], [1, 1], [1, 80], [1, 1], deadline=10.0)
    assert timeline.duration_s[0] == 10 and timeline.cancelled[0, 1]


def test_when_all_are_lost_the_round_ends_with_the_last_of_them():
    timeline = one([1, 1], [3, 7], [1, 1], [20, 20], [1, 1])
    assert timeline.lost.all() and timeline.duration_s[0] == 7


def test_nobody_invited_takes_no_time():
    assert one([0, 0], [9, 9], [1, 1], [1, 1], [1, 1]).duration_s[0] == 0


def naive(invited, left, down, compute, up, quorum, deadline):
    """One environment, event by event."""
    events = []
    for k, asked in enumerate(invited):
        if asked:
            finish = down[k] + compute[k] + up[k]
            events.append((min(finish, left[k]), 0 if left[k] >= finish else 1, k))
    needed = max(math.ceil(quorum * sum(invited) - 1e-9), 1)
    fate, closed, arrived = {}, 0.0, 0
    for when, is_loss, k in sorted(events):
        if when > deadline or (arrived >= needed and when > closed):
            break
        closed = when
        fate[k] = "lost" if is_loss else "completed"
        arrived += not is_loss
    if arrived < needed and len(fate) < len(events):
        closed = deadline
    return closed, fate


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_it_agrees_with_a_naive_event_loop(data):
    n = data.draw(st.integers(1, 6))
    # Small whole numbers: ties and exact deadlines are the interesting cases.
    draw = lambda low, high: [data.draw(st.integers(low, high)) for _ in range(n)]
    invited, left, down, compute, up = draw(0, 1), draw(1, 15), draw(0, 3), draw(1, 9), draw(0, 3)
    quorum, deadline = data.draw(st.sampled_from([0.3, 0.5, 0.7, 1.0])), float(data.draw(st.integers(1, 20)))
    timeline = one(invited, left, down, compute, up, quorum, deadline)
    closed, fate = naive(invited, left, down, compute, up, quorum, deadline)
    assert timeline.duration_s[0] == closed
    for k in range(n):
        assert timeline.completed[0, k] == (fate.get(k) == "completed")
        assert timeline.lost[0, k] == (fate.get(k) == "lost")
        assert timeline.cancelled[0, k] == (bool(invited[k]) and k not in fate)
    spent = timeline.down_s + timeline.compute_s + timeline.up_s
    np.testing.assert_allclose(spent, timeline.stop_s)
