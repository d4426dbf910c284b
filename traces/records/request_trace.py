"""Recorded requests: how many each source was asked in each minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from ...common.arrays import Floats, Ints, Ints32
from ...common.sizes import check_values
from .plausibility import check_names

Clock: TypeAlias = Literal["utc", "day", "none"]
"""Whether times are dates in UTC, hours of a day without a date, or counted from the beginning only."""

MINUTE_S = 60.0
_DAY_MINUTES = 1440
_MOST_COUNT = 2**31 - 1


@dataclass(frozen=True)
class RequestTrace:
    """Requests to S sources, counted by the minute."""

    sources: tuple[str, ...]  # names
    counts: Ints32  # [S, B] requests in each minute
    begin_s: float  # of the first minute: Unix time; seconds since midnight; 0; by the clock
    clock: Clock
    source: str = ""  # file and format
    unit: str = ""  # of the file's times
    resolution_s: float = MINUTE_S  # the finest difference between two of the file's times
    gap_cv: float = float("nan")  # coefficient of variation of the gaps between requests, where they are told
    notes: tuple[str, ...] = ()  # what was repaired or assumed while reading

    @property
    def num_minutes(self) -> int:
        """B."""
        return int(self.counts.shape[1])

    @property
    def span_s(self) -> float:
        """Seconds that are covered."""
        return self.num_minutes * MINUTE_S

    @property
    def totals(self) -> Ints:
        """`[S]`, requests of each source."""
        return np.asarray(self.counts.sum(axis=1, dtype=np.int64))

    @property
    def mean_per_h(self) -> float:
        """Requests an hour of a source, on average over sources and time."""
        return float(self.totals.mean()) * 3600.0 / self.span_s

    def validate(self) -> RequestTrace:
        """Check the promises of the class and return itself.

        Raises:
            ValueError: one line naming what is broken.
        """
        shape = self.counts.shape
        if len(shape) != 2 or shape[0] != len(self.sources) or not all(shape):
            raise ValueError(
                f"{self.source}: counts {shape} of {len(self.sources)} sources, expected minutes of each"
            )
        if (self.counts < 0).any() or not self.counts.any():
            raise ValueError(f"{self.source}: no request, expected at least one and none below zero")
        if not np.isfinite(self.begin_s):
            raise ValueError(f"{self.source}: begins at no finite time, expected seconds")
        check_names(self.source, self.sources, "source")
        return self

    def first_minutes(self, minutes: int) -> RequestTrace:
        """The beginning of the trace."""
        return replace(self, counts=self.counts[:, :minutes])

    def starting_at(self, hour: float) -> RequestTrace:
        """The same requests, on a clock that shows `hour` of a day at the beginning.

        Raises:
            ValueError: if the trace has a clock, or there is no such hour.
        """
        if self.clock != "none":
            raise ValueError(
                f"start_h: {hour:g}, but {self.source} knows its time of day; leave the field out"
            )
        if not 0 <= hour < 24:
            raise ValueError(f"start_h: {hour:g}, expected an hour of the day, 0 to 24")
        return replace(self, clock="day", begin_s=round(hour * 60.0) * MINUTE_S)

    def hours(self, hours: int = 24, utc_offset_h: float = 0.0) -> Ints:
        """The hour `[B]` in which each minute lies: of the day, or of the week from Monday.

        Args:
            hours: 24 or 168; without a date, weeks are counted from the beginning.
            utc_offset_h: hours that the wanted clock is ahead of UTC; of no use without a date.
        """
        first_s = self.begin_s + (3600.0 * utc_offset_h + 3 * 86400.0 if self.clock == "utc" else 0.0)
        minute = np.floor(first_s / MINUTE_S).astype(np.int64) + np.arange(self.num_minutes)
        return np.asarray(minute // 60 % hours)


def joined_requests(traces: Sequence[RequestTrace]) -> RequestTrace:
    """Traces of one clock as one: sources by name, each minute counted once, minutes between them empty.

    Raises:
        ValueError: if clocks differ, none is known, or two files count a source in the same minute.
    """
    if len(traces) == 1:
        return traces[0]
    clocks = {trace.clock for trace in traces}
    if len(clocks) > 1 or clocks == {"none"}:
        raise ValueError(
            f"{traces[1].source}: clocks {' and '.join(sorted(clocks))}, expected files of one clock that "
            "say how they follow each other; give one file"
        )
    first_s = min(trace.begin_s for trace in traces)
    last_s = max(trace.begin_s + trace.span_s for trace in traces)
    names = tuple(dict.fromkeys(name for trace in traces for name in trace.sources))
    minutes = round((last_s - first_s) / MINUTE_S)
    check_values(
        f"{traces[0].source}: {len(names)} sources together", len(names), minutes, do="give fewer files"
    )
    index = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(names), minutes), dtype=np.int32)
    for trace in traces:
        start = round((trace.begin_s - first_s) / MINUTE_S)
        rows = [index[name] for name in trace.sources]
        part = counts[rows, start : start + trace.num_minutes]
        if (part.astype(bool) & trace.counts.astype(bool)).any():
            raise ValueError(
                f"{trace.source}: counts requests of a source in minutes in which another file does, "
                "expected files that follow each other or have sources of their own"
            )
        counts[rows, start : start + trace.num_minutes] = part + trace.counts
    notes = tuple(dict.fromkeys(note for trace in traces for note in trace.notes))
    return replace(
        traces[0],
        sources=names,
        counts=counts,
        begin_s=first_s,
        resolution_s=min(trace.resolution_s for trace in traces),
        gap_cv=float("nan"),
        notes=notes,
    ).validate()


def dense_counts(
    path: object, source: Ints, minute: Ints, count: Ints, num_sources: int, num_minutes: int
) -> Ints32:
    """Counts `[S, B]` from columns, each pair of source and minute at most once.

    Raises:
        ValueError: if a minute has more requests than can be counted.
    """
    if count.size and int(count.max()) > _MOST_COUNT:
        raise ValueError(f"{path}: {int(count.max())} requests in a minute, expected at most {_MOST_COUNT}")
    counts = np.zeros((num_sources, num_minutes), dtype=np.int32)
    counts[source, minute] = count
    return counts


def minute_rates(trace: RequestTrace, utc_offset_h: float = 0.0, hours: int = 24) -> Floats:
    """Requests a minute of all sources together by hour `[hours]`; NaN for hours that were not seen."""
    hour = trace.hours(hours, utc_offset_h)
    seen = np.bincount(hour, minlength=hours)
    total = np.bincount(hour, weights=trace.counts.sum(axis=0, dtype=np.int64), minlength=hours)
    return np.asarray(total / np.where(seen > 0, seen, np.nan))
