"""Compiled passes over requests: cut into spans of one version and concept, booked, and made known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints8
from ...common.compiled import inner, kernel


class Window(NamedTuple):
    """The requests between two decisions, and when versions and concepts change in them."""

    begin: Ints  # [E, N] number of the first request
    end: Ints  # [E, N] number behind the last
    begin_s: Floats  # [E]
    end_s: Floats  # [E]
    change: Ints  # [E, N, 2] number of the first request that is answered by another version, in order
    change_s: Floats  # [E, N, 2] when
    slot: Ints  # [E, N, 3] slot of the version held before the changes, between them, and after
    drift: Ints  # [E, N, D] number of the first request in each next concept
    drift_s: Floats  # [E, N, D] when
    concept: Ints  # [E, N, D + 1]


@kernel(nogil=True, error_model="numpy")
def cut(window: Window, slots: int) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats, Ints]:
    """Spans of requests of one client, version and concept.

    Args:
        window: the requests.
        slots: versions that an environment has room for.

    Returns:
        environment, client, first request, request behind the last, concept, middle in seconds, and row
        of the version in a table of all environments' slots, each `[J]`.
    """
    e, n = window.begin.shape
    d = window.drift.shape[2]
    most = 0
    for i in range(e):
        for k in range(n):
            if window.end[i, k] > window.begin[i, k]:
                most += 3 + d
    env, client, first, last = (
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
    )
    concept, middle_s, origin = np.empty(most, np.int64), np.empty(most), np.empty(most, np.int64)
    j = 0
    for i in range(e):
        for k in range(n):
            at, at_s, version, stage = window.begin[i, k], window.begin_s[i], 0, 0
            while stage < d and window.drift[i, k, stage] <= at:
                stage += 1
            while at < window.end[i, k]:
                while version < 2 and window.change[i, k, version] <= at:
                    version += 1
                stop, stop_s = window.end[i, k], window.end_s[i]
                if version < 2 and window.change[i, k, version] < stop:
                    stop, stop_s = window.change[i, k, version], window.change_s[i, k, version]
                drifts = stage < d and window.drift[i, k, stage] <= stop
                if drifts:
                    stop, stop_s = window.drift[i, k, stage], window.drift_s[i, k, stage]
                if stop > at:
                    env[j], client[j], first[j], last[j] = i, k, at, stop
                    concept[j] = window.concept[i, k, stage]
                    middle_s[j] = 0.5 * (at_s + stop_s)
                    origin[j] = i * slots + window.slot[i, k, version]
                    j += 1
                at, at_s = stop, stop_s
                while stage < d and window.drift[i, k, stage] <= at:
                    stage += 1
    return env[:j], client[:j], first[:j], last[:j], concept[:j], middle_s[:j], origin[:j]


RIGHT, ASKED = 1, 2
"""Marks of an answer, added up: it is right; it is the hub's."""


class Sums(NamedTuple):
    """What the answers of a window come to."""

    right: Ints  # [E, N]
    asked: Ints  # [E, N]
    loss: Floats  # [E, N]
    frozen: Floats  # [E]


@kernel(nogil=True)
def book(
    env: Ints,
    client: Ints,
    first: Ints,
    last: Ints,
    answers: tuple[Ints8, Floats32, Bools],
    sums: Sums,
    ring_marks: Ints8,
    ring_loss: Floats32,
) -> None:
    """Sum the answers of J spans up, and remember each until its label is known.

    Args:
        env: `[J]`.
        client: `[J]`.
        first: `[J]`.
        last: `[J]`.
        answers: marks, loss, and what the optimum would have been, each `[R]`.
        sums: changed.
        ring_marks: `[E, N, P]`, changed; request i stands at place i modulo P.
        ring_loss: likewise.
    """
    marks, loss, frozen = answers
    places, r = ring_marks.shape[2], 0
    for j in range(env.size):
        i, k = env[j], client[j]
        for number in range(first[j], last[j]):
            sums.right[i, k] += (marks[r] & RIGHT) > 0
            sums.asked[i, k] += (marks[r] & ASKED) > 0
            sums.loss[i, k] += loss[r]
            sums.frozen[i] += frozen[r]
            ring_marks[i, k, number % places] = marks[r]
            ring_loss[i, k, number % places] = loss[r]
            r += 1


@inner(cache=True)
def _stage(drift, number):  # type: ignore[no-untyped-def]
    stage = 0
    while stage < drift.size and drift[stage] <= number:
        stage += 1
    return stage


@kernel(nogil=True)
def made_known(
    before: Ints, now: Ints, drift: Ints, concepts: Ints, ring_marks: Ints8, ring_loss: Floats32
) -> tuple[Ints, Ints, Ints, Ints, Ints8, Floats32]:
    """The requests whose labels are due between two decisions, one client after another.

    Args:
        before: `[E, N]`, number of the first.
        now: `[E, N]`, number behind the last.
        drift: `[E, N, D]`, number of the first request in each next concept.
        concepts: `[E, N, D + 1]`.
        ring_marks: `[E, N, P]`.
        ring_loss: `[E, N, P]`.

    Returns:
        environment, client, number, concept, marks of the answer, its loss, each `[R]`.
    """
    e, n = before.shape
    size = 0
    for i in range(e):
        for k in range(n):
            size += max(now[i, k] - before[i, k], 0)
    env, client, numbers = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    concept, marks, loss = np.empty(size, np.int64), np.empty(size, np.int8), np.empty(size, np.float32)
    places, r = ring_marks.shape[2], 0
    for i in range(e):
        for k in range(n):
            for number in range(before[i, k], now[i, k]):
                env[r], client[r], numbers[r] = i, k, number
                concept[r] = concepts[i, k, _stage(drift[i, k], number)]
                marks[r], loss[r] = ring_marks[i, k, number % places], ring_loss[i, k, number % places]
                r += 1
    return env, client, numbers, concept, marks, loss
