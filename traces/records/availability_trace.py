"""Recorded availability of many users, whatever the file it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from .plausibility import SHORTEST_SESSION_S, check_names, check_recordings, check_sessions, doubts

# Gaps and sessions shorter than this are flapping of the sensor: 46 % of STUNner's raw sessions.
DEBOUNCE_S = 300.0


@dataclass(frozen=True)
class AvailabilityTrace:
    """Sessions of R recordings of U users.

    A recording is a stretch of time over which one user was observed without a break; users may have several.
    """

    users: tuple[str, ...]  # [U] names
    user: Ints  # [R] whose recording it is
    begin_s: Floats  # [R] when it begins, seconds on `clock`
    end_s: Floats  # [R] when it ends
    session_recording: Ints  # [K] ascending, the recording of each session
    session_start_s: Floats  # [K] ascending within a recording
    session_end_s: Floats  # [K]
    # "utc" (Unix time), "local" (s since a local Monday 00:00) or "none" (no time of day is known)
    clock: str
    utc_offset_h: Floats  # [R] hours the user's clock is ahead of UTC; zero unless the clock is "utc"
    # whether times of different users may be compared (regional shocks live in them)
    simultaneous: bool = False
    group: tuple[str, ...] = ()  # [U] zone or region of each user as the source names it, or empty strings
    source: str = ""  # file and format, for tables and messages
    notes: tuple[str, ...] = ()  # what was repaired or is doubtful, one sentence each
    unit: str = ""  # how the file writes its times, for tables

    @property
    def num_recordings(self) -> int:
        """R."""
        return int(self.user.size)

    @property
    def offsets(self) -> Ints:
        """Int `[R + 1]`, where each recording's sessions begin in the columns."""
        return np.searchsorted(self.session_recording, np.arange(self.num_recordings + 1))

    @property
    def local_begin_s(self) -> Floats:
        """`[R]`, the beginnings as seconds since a Monday 00:00 local time (meaningless for "none")."""
        if self.clock == "utc":
            return self.begin_s + self.utc_offset_h * 3600.0 + 3 * 86400.0
        return self.begin_s.copy()

    def validate(self) -> AvailabilityTrace:
        """Check the promises of the class and return itself.

        Raises:
            ValueError: naming the source and what is wrong.
        """
        if not self.users or not self.num_recordings:
            raise ValueError(f"{self.source}: no recording, expected at least one client")
        check_names(self.source, self.users)
        check_recordings(self.source, self.begin_s, self.end_s)
        owner = self.session_recording
        wrong = (self.session_end_s <= self.session_start_s) | (self.session_start_s < self.begin_s[owner])
        wrong |= self.session_end_s > self.end_s[owner]
        same = owner[1:] == owner[:-1]
        wrong[1:] |= same & (self.session_start_s[1:] <= self.session_end_s[:-1])
        if wrong.any():
            name = self.users[int(self.user[owner[int(np.argmax(wrong))]])]
            raise ValueError(
                f"{self.source}: client {name}: sessions empty, overlapping or outside its recording"
            )
        return self

    def debounced(self, shortest_s: float = DEBOUNCE_S) -> AvailabilityTrace:
        """Without flapping: gaps shorter than `shortest_s` are closed, then such sessions are dropped."""
        if shortest_s <= 0 or self.session_recording.size == 0:
            return self
        owner, start_s, end_s = self.session_recording, self.session_start_s, self.session_end_s
        fresh = np.ones(owner.size, dtype=bool)
        fresh[1:] = (owner[1:] != owner[:-1]) | (start_s[1:] - end_s[:-1] >= shortest_s)
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], owner.size) - 1
        owner, start_s, end_s = owner[first], start_s[first], end_s[last]
        # A session cut off by the recording's edge may have been longer than what is seen of it.
        long = end_s - start_s >= shortest_s
        keep = long | (start_s <= self.begin_s[owner]) | (end_s >= self.end_s[owner])
        note = f"flapping under {shortest_s:g} s removed"
        return replace(
            self,
            session_recording=owner[keep],
            session_start_s=start_s[keep],
            session_end_s=end_s[keep],
            notes=(*self.notes, note),
        )

    def only(self, recordings: Bools) -> AvailabilityTrace:
        """The given recordings (bool `[R]`) and their users' names unchanged."""
        new_index = np.cumsum(recordings) - 1
        keep = recordings[self.session_recording]
        return replace(
            self,
            user=self.user[recordings],
            begin_s=self.begin_s[recordings],
            end_s=self.end_s[recordings],
            utc_offset_h=self.utc_offset_h[recordings],
            session_recording=new_index[self.session_recording[keep]],
            session_start_s=self.session_start_s[keep],
            session_end_s=self.session_end_s[keep],
        )


def flat_trace(
    users: tuple[str, ...],
    user: Ints,
    begin_s: Floats,
    end_s: Floats,
    owner: Ints,
    start_s: Floats,
    stop_s: Floats,
    *,
    clock: str,
    utc_offset_h: Floats | None = None,
    simultaneous: bool = False,
    group: tuple[str, ...] = (),
    source: str = "",
    notes: tuple[str, ...] = (),
    unit: str = "",
    lines: Ints | None = None,
) -> AvailabilityTrace:
    """A trace from raw columns in any order: cut to the recordings, sorted, touching sessions merged.

    It takes what the record has, one argument a column, as every reader hands them over. What cannot be true
    is refused here, whatever the format; what is doubtful joins the notes.

    Args:
        users: `[U]` names.
        user: int `[R]`.
        begin_s: `[R]`.
        end_s: `[R]`.
        owner: int `[K]`, the recording of each session.
        start_s: `[K]`.
        stop_s: `[K]`.
        clock: see `AvailabilityTrace`, as the rest.
        utc_offset_h: `[R]`, zero if missing.
        simultaneous: whether times of users may be compared.
        group: `[U]`.
        source: for messages.
        notes: repairs made before.
        unit: how the file writes times.
        lines: int `[K]`, where each session stands in the file.

    Raises:
        ValueError: one line, for times, lengths and names that cannot be.
    """
    remarks = list(notes)
    check_recordings(source, begin_s, end_s)
    check_sessions(source, start_s, stop_s, lines)
    empty = int((stop_s == start_s).sum())
    if empty:
        remarks.append(f"{empty} zero-length sessions dropped")
    start_s, stop_s = np.maximum(start_s, begin_s[owner]), np.minimum(stop_s, end_s[owner])
    keep = stop_s - start_s >= SHORTEST_SESSION_S  # nothing but slivers is left of some at the edges
    owner, start_s, stop_s = owner[keep], start_s[keep], stop_s[keep]
    order = np.lexsort((start_s, owner))
    before = order.size
    owner, start_s, stop_s = _merged(owner[order], start_s[order], stop_s[order])
    if owner.size < before:
        remarks.append(f"{before - owner.size} touching or overlapping sessions merged")
    remarks += doubts(begin_s, end_s, start_s, stop_s)
    return AvailabilityTrace(
        users=users,
        user=user,
        begin_s=begin_s,
        end_s=end_s,
        session_recording=owner,
        session_start_s=start_s,
        session_end_s=stop_s,
        clock=clock,
        utc_offset_h=np.zeros(user.size) if utc_offset_h is None else utc_offset_h,
        simultaneous=simultaneous,
        group=group,
        source=source,
        notes=tuple(remarks),
        unit=unit,
    ).validate()


def _merged(owner: Ints, start_s: Floats, stop_s: Floats) -> tuple[Ints, Floats, Floats]:
    """Join touching and overlapping sessions; the columns are sorted by recording and start."""
    if not owner.size:
        return owner, start_s, stop_s
    # Running maximum of the ends within each recording; whole spans keep recordings apart.
    low = float(start_s.min())
    shift = owner * (float(stop_s.max()) - low + 1.0)
    reach = np.maximum.accumulate(stop_s - low + shift)
    fresh = np.ones(owner.size, dtype=bool)
    touches = start_s[1:] - low + shift[1:] <= reach[:-1]
    fresh[1:] = (owner[1:] != owner[:-1]) | ~touches
    first = np.flatnonzero(fresh)
    return owner[first], start_s[first], np.maximum.reduceat(stop_s, first)
