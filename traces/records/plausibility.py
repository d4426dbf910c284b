"""What can be true of a recording: finite times, spans and sessions of believable length, printable names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...common.arrays import Floats, Ints

LONGEST_RECORDING_S = 30 * 365.25 * 86400.0
"""The longest public recording of machines has ten years; thirty are a mistake of unit or of clock."""

SHORTEST_SESSION_S = 5e-4
"""Providers write milliseconds at the finest; half of one lies below what rounding of Unix seconds may do."""

# Control characters and line breaks: they would move the cursor of a terminal or break a table's row.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_YEAR_S = 365.25 * 86400.0


def are_unix_times(times_s: Floats) -> bool:
    """Whether seconds can only be Unix time: from the beginning of a recording nobody counts three years."""
    return bool(times_s.size) and float(times_s.min()) >= 1e8


def check_names(source: str, names: Sequence[str], what: str = "client") -> None:
    """Refuse names that cannot be shown in one line, and one name for two.

    Args:
        source: for messages.
        names: of clients or zones.
        what: what they name.

    Raises:
        ValueError: one line.
    """
    for name in names:
        if not name or _UNPRINTABLE.search(name):
            raise ValueError(f"{source}: {what} {name[:60]!r}, expected a name of printable letters")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"{source}: two {what}s are named {twice[:60]!r}, expected different names")


def check_recordings(source: str, begin_s: Floats, end_s: Floats) -> None:
    """Refuse recordings without an end, and those that no one can have made.

    Raises:
        ValueError: one line.
    """
    if not (np.isfinite(begin_s).all() and np.isfinite(end_s).all()):
        raise ValueError(f"{source}: a recording begins or ends at no finite time, expected seconds")
    shortest_s = float((end_s - begin_s).min(initial=np.inf))
    if shortest_s < SHORTEST_SESSION_S:
        raise ValueError(f"{source}: a recording of {shortest_s:.3g} s, expected at least a millisecond")
    longest_s = float((end_s - begin_s).max(initial=0.0))
    if longest_s > LONGEST_RECORDING_S:
        raise ValueError(
            f"{source}: a recording of {longest_s / _YEAR_S:.3g} years, expected at most "
            f"{LONGEST_RECORDING_S / _YEAR_S:.0f}; is the unit of time another one?"
        )


def check_sessions(source: str, start_s: Floats, stop_s: Floats, lines: Ints | None = None) -> None:
    """Refuse sessions at no finite time, backward ones, and those too short for any clock.

    Args:
        source: file and format.
        start_s: `[K]`.
        stop_s: `[K]`; equal to the start where nothing is left of a session.
        lines: `[K]`, where they stand, if known.

    Raises:
        ValueError: one line, with the line number if there is one.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        length_s = stop_s - start_s
    bad = ~np.isfinite(length_s) | (length_s < 0) | ((length_s > 0) & (length_s < SHORTEST_SESSION_S))
    if bad.any():
        row = int(np.argmax(bad))
        place = source if lines is None else f"{source.rsplit(' (', 1)[0]}:{int(lines[row])}"
        raise ValueError(
            f"{place}: a session from {start_s[row]:g} to {stop_s[row]:g} s lasts {length_s[row]:.3g} s, "
            "expected at least a millisecond; is the unit of time another one?"
        )


def doubts(begin_s: Floats, end_s: Floats, start_s: Floats, stop_s: Floats) -> list[str]:
    """What may be true and yet often is a mistake, one sentence each."""
    notes = []
    span_s = float((end_s - begin_s).sum())
    longest_s = float((end_s - begin_s).max(initial=0.0))
    if longest_s > 3 * _YEAR_S:
        notes.append(f"the longest recording has {longest_s / _YEAR_S:.1f} years")
    on_s = float((stop_s - start_s).sum())
    if not start_s.size:
        notes.append("no client is ever available")
    elif on_s >= span_s * (1.0 - 1e-12):
        notes.append("every client is always available")
    if start_s.size and float(np.median(stop_s - start_s)) < 1.0:
        notes.append("half of the sessions are shorter than a second: is the unit of time another one?")
    return notes
