"""What can be true of a recording: nonsense is refused by every reader's last step, doubts are noted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.traces.formats.availability import read_availability, write
from frugalfl.traces.records import flat_trace

DAY = 86400.0
YEAR = 365.25 * DAY


def trace_of(sessions, begin=0.0, end=10 * DAY, users=("a",), **more):
    start, stop = np.array(sessions, dtype=np.float64).reshape(-1, 2).T
    who = np.arange(len(users))
    size = len(users)
    owner = np.zeros(start.size, dtype=np.int64)
    return flat_trace(
        users, who, np.full(size, begin), np.full(size, end), owner, start, stop,
        clock="none", source="f.csv (csv)", **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sessions", "end", "why"),
    [
        (
            [(0, 1e-300)],
            DAY,
            r"f.csv:7: a session from 0 to 1e-300 s lasts 1e-300 s, expected at least a milli",
        ),
        ([(5, 4)], DAY, "f.csv:7: a session from 5 to 4 s"),
        ([(0, np.nan)], DAY, "f.csv:7: a session"),
        ([(0, np.inf)], DAY, "f.csv:7: a session"),
        ([(0, 9)], 31 * YEAR, "recording of 31 years, expected at most 30; is the unit"),
        ([(0, 9)], np.inf, "no finite time"),
        ([(0, 9)], 1e-300, "a recording of 1e-300 s, expected at least a millisecond"),
    ],
)
def test_nonsense_is_refused_with_its_line(sessions, end, why):
    with pytest.raises(ValueError, match=why) as caught:
        trace_of(sessions, end=end, lines=np.array([7]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\nb", "a\u2028", "\n", "\x1b[2Jround", "a\tb", "\x00", ""])
def test_names_that_a_terminal_would_obey_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="expected a name of printable letters") as caught:
        trace_of([(0, 9)], users=(name,))
    assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match="expected a name of printable letters"):
        write(replace(trace_of([(0, 9)]), users=(name,)), tmp_path / "f.csv")


def test_a_name_is_one_client():
    with pytest.raises(ValueError, match="two clients are named 'a'"):
        trace_of([(0, 9)], users=("a", "b", "a"))


@pytest.mark.parametrize(
    ("sessions", "end", "note"),
    [
        ([(0, 9)], 4 * YEAR, "the longest recording has 4.0 years"),
        ([], DAY, "no client is ever available"),
        ([(0, DAY)], DAY, "every client is always available"),
        ([(0, 0.9), (5, 5.5), (9, 20)], DAY, "half of the sessions are shorter than a second"),
    ],
)
def test_doubts_are_noted(sessions, end, note):
    assert any(note in one for one in trace_of(sessions, end=end).notes)


def test_the_sliver_that_an_edge_leaves_of_a_session_is_none():
    trace = trace_of([(0, 9), (DAY - 1e-9, DAY + 9)], end=DAY)
    assert trace.session_end_s.tolist() == [9.0]


def test_ordinary_traces_carry_no_note(tmp_path):
    assert trace_of([(0, 9), (50, 4000)]).notes == ()
    path = tmp_path / "f.csv"
    path.write_text(
        "client,start,end\na,2025-01-01T00:00Z,2025-01-01T08:00Z\nb,2025-01-01T06:00Z,2025-01-02T06:00Z\n"
    )
    assert read_availability(path).notes == ()
