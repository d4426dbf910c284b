"""Requests counted by source and minute while a file is read, however many rows it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....common.sizes import MOST_VALUES, check_values
from ...records import MINUTE_S, Clock, RequestTrace, dense_counts
from ..parsing import brief

if TYPE_CHECKING:
    import pandas as pd

MOST_SOURCES = 1000
"""Sources of a file that are kept apart; the requests of all others are counted together."""
OTHERS = "(others)"

_MOST_NAMES = 200_000
_LONGEST_DAYS = 1100.0
_SAME_S = 5e-7
# Columns are folded when they hold so many pairs of a source and a minute.
_FOLD = 1 << 22


class MinuteCounter:
    """Counts of requests by source and minute, fed with blocks of rows in any order.

    Args:
        path: the file, for messages.
        format: its format's name.
    """

    def __init__(self, path: str | Path, format: str) -> None:
        self._path, self._format = path, format
        self._names: dict[str, int] = {}
        self._columns: list[Ints] = []  # [3, K] each: source, minute, count
        self._pairs = 0
        self._low, self._high = np.inf, -np.inf
        self._last = float("nan")
        self._backward = 0
        self._gaps = np.zeros(3)  # number, sum and sum of squares
        self._finest = np.inf
        self.failures = 0
        self.tokens = np.zeros(2)  # asked and answered, of all requests

    def add(
        self,
        times_s: Floats,
        sources: pd.Series | str,
        lines: Ints,
        counts: Ints | None = None,
        gaps: bool = True,
    ) -> None:
        """Count the requests of a block.

        Args:
            times_s: `[K]`, when they came.
            sources: `[K]` names, or one for all.
            lines: `[K]`, where they stand.
            counts: `[K]`, how many came; one each if missing.
            gaps: whether rows are in the order of their times, so that gaps between requests mean something.

        Raises:
            ValueError: with the line of a time that is missing or out of reach, or of a bad name.
        """
        if not times_s.size:
            return
        self._check_times(times_s, lines)
        minute = np.floor(times_s / MINUTE_S).astype(np.int64)
        came = np.ones(times_s.size, dtype=np.int64) if counts is None else counts
        self._count(self._codes(sources, times_s.size, lines), minute, came)
        # Closer than Unix seconds in float64 can tell apart, times are the same.
        steps = np.diff(np.sort(times_s))
        self._finest = min(self._finest, float(steps[steps > _SAME_S].min(initial=np.inf)))
        if gaps:
            self._see_gaps(times_s)

    def know(self, names: Sequence[str]) -> None:
        """Sources that there are, asked or not, in the order in which they count."""
        for name in names:
            self._names.setdefault(name, len(self._names))

    def add_minutes(self, source: Ints, minute: Ints, count: Ints, names: Sequence[str]) -> None:
        """Count requests that the file has counted itself; `names` are those of `source` `[K]`."""
        codes = np.array([self._names.setdefault(name, len(self._names)) for name in names], dtype=np.int64)
        if minute.size:
            self._low = min(self._low, float(minute.min()) * MINUTE_S)
            self._high = max(self._high, float(minute.max()) * MINUTE_S)
        self._count(codes[source], minute, count)

    def trace(
        self,
        clock: Clock,
        unit: str,
        notes: Sequence[str] = (),
        begin_minute: int | None = None,
        end_minute: int | None = None,
    ) -> RequestTrace:
        """What was counted, from the first minute with a request to the last unless others are given.

        Raises:
            ValueError: if nothing was counted.
        """
        source, minute, count = self._fold()
        if not source.size:
            raise ValueError(f"{self._path}: no request, expected at least one")
        begin = int(minute.min()) if begin_minute is None else begin_minute
        minutes = (int(minute.max()) + 1 if end_minute is None else end_minute) - begin
        minute = minute - begin
        if minute.min() < 0 or minute.max() >= minutes:
            raise ValueError(
                f"{self._path}: requests beyond the {minutes} minutes that it says to have, expected none"
            )
        source, minute, count, names, pooled = self._most_asked(source, minute, count, minutes)
        check_values(f"{self._path}: counts", len(names), minutes, do="give a shorter trace")
        counts = dense_counts(self._path, source, minute, count, len(names), minutes)
        said = [*notes, *self._doubts(int(count.sum()))]
        if pooled:
            said.append(f"{pooled} less asked sources counted together as {OTHERS}")
        return RequestTrace(
            tuple(names),
            counts,
            0.0 if clock == "none" else begin * MINUTE_S,
            clock,
            source=f"{self._path} ({self._format})",
            unit=unit,
            resolution_s=float(self._finest) if np.isfinite(self._finest) else MINUTE_S,
            gap_cv=self._gap_cv(),
            notes=tuple(said),
        ).validate()

    def _check_times(self, times_s: Floats, lines: Ints) -> None:
        missing = ~np.isfinite(times_s)
        if missing.any():
            line = lines[int(np.argmax(missing))]
            raise ValueError(f"{self._path}:{line}: the time is missing, expected one of each request")
        low, high = min(self._low, float(times_s.min())), max(self._high, float(times_s.max()))
        if high - low > _LONGEST_DAYS * 86400.0:
            far: Bools = (times_s == high) | (times_s == low)
            line = lines[int(np.argmax(far))]
            raise ValueError(
                f"{self._path}:{line}: times {(high - low) / 86400.0:.3g} days apart, expected at most "
                f"{_LONGEST_DAYS:g}; is the unit another one?"
            )
        self._low, self._high = low, high

    def _codes(self, sources: pd.Series | str, size: int, lines: Ints) -> Ints:
        if isinstance(sources, str):
            return np.full(size, self._names.setdefault(sources, len(self._names)), dtype=np.int64)
        import pandas as pd

        codes, names = pd.factorize(sources)
        known = []
        for index, name in enumerate(names):
            if not name or not str(name).isprintable() or len(name) > 200:
                line = lines[int(np.argmax(codes == index))]
                raise ValueError(f"{self._path}:{line}: {sources.name} is {brief(name)}, expected a name")
            known.append(self._names.setdefault(str(name), len(self._names)))
        if len(self._names) > _MOST_NAMES:
            raise ValueError(
                f"{self._path}: more than {_MOST_NAMES} names of sources, expected fewer; are they requests?"
            )
        return np.asarray(np.array(known, dtype=np.int64)[codes])

    def _count(self, source: Ints, minute: Ints, count: Ints) -> None:
        self._columns.append(_summed(np.stack([source, minute, count])))
        self._pairs += self._columns[-1].shape[1]
        if self._pairs > _FOLD:
            self._fold()
            self._pairs = 0  # what is left are different pairs: fold again when as many have come

    def _fold(self) -> Ints:
        if len(self._columns) != 1:
            empty = np.empty((3, 0), dtype=np.int64)
            self._columns = [_summed(np.concatenate([empty, *self._columns], axis=1))]
        return self._columns[0]

    def _most_asked(
        self, source: Ints, minute: Ints, count: Ints, minutes: int
    ) -> tuple[Ints, Ints, Ints, list[str], int]:
        """Columns in which the sources beyond the most asked ones are one, names, and how many those are."""
        names = list(self._names)
        most = max(min(MOST_SOURCES, MOST_VALUES // max(minutes, 1) - 1), 1)
        if len(names) <= most:
            return source, minute, count, names, 0
        totals = np.bincount(source, weights=count, minlength=len(names))
        kept = np.sort(np.argsort(-totals, kind="stable")[:most])
        place = np.full(len(names), most)
        place[kept] = np.arange(most)
        source, minute, count = _summed(np.stack([place[source], minute, count]))
        return source, minute, count, [*(names[index] for index in kept), OTHERS], len(names) - most

    def _see_gaps(self, times_s: Floats) -> None:
        joined = times_s if np.isnan(self._last) else np.concatenate([[self._last], times_s])
        steps = np.diff(joined)
        self._backward += int((steps < 0).sum())
        gaps = np.maximum(steps, 0.0)
        self._gaps += (gaps.size, gaps.sum(), (gaps**2).sum())
        self._last = float(times_s[-1])

    def _gap_cv(self) -> float:
        number, total, squares = self._gaps
        if number < 2 or not total > 0:
            return float("nan")
        mean = total / number
        return float(np.sqrt(max(squares / number - mean**2, 0.0)) / mean)

    def _doubts(self, requests: int) -> list[str]:
        notes = []
        if self.tokens.any():
            asked, answered = self.tokens / max(requests, 1)
            notes.append(f"{asked:,.0f} tokens asked and {answered:,.0f} answered on average")
        if self.failures:
            share = self.failures / max(requests, 1)
            notes.append(
                f"{self.failures:,} of {requests:,} requests ({share:.1%}) were answered with 0 tokens: they "
                "failed, and count"
            )
        if self._backward:
            notes.append(f"{self._backward} rows go back in time")
        return notes


def _summed(columns: Ints) -> Ints:
    """Columns `[3, K]` of source, minute and count, with each pair of the first two once."""
    source, minute, count = columns
    if not source.size:
        return columns
    first = int(minute.min())
    span = int(minute.max()) - first + 1
    pairs, where = np.unique(source * span + (minute - first), return_inverse=True)
    total = np.zeros(pairs.size, dtype=np.int64)
    np.add.at(total, where.ravel(), count)
    return np.stack([pairs // span, pairs % span + first, total])
