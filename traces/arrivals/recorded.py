"""Requests replayed from recorded traces."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.splits import SPLITS, Split
from ..numerics import SPLIT_SHARES, place_of
from ..records import RequestTrace, knows_day, minute_rates
from .episode import BIN_S, ArrivalEpisode, check_size, counted, num_bins
from .profiles import profile_of_bins

_DAY = 1440  # minutes
_HOUR = 60


class RecordedArrivals:
    """Sources that are asked as recorded ones were.

    Recorded sources are dealt to train, val and test by a hash of their name (60 / 20 / 20); if a split then
    has fewer of them than the world has sources, the recording's time is split in these shares instead, and a
    recorded source that stands for several has its requests dealt among them at random. Recorded hours of the
    day are laid onto each source's local hours, on the same day of the week where the recording has dates;
    sources of one clock stay as simultaneous as they were. A recording without a whole day has no hours.

    A rate is changed so that bursts remain what they are relative to it: each recorded request is asked once
    for every whole number in the factor, and once more with the probability of the rest.

    Args:
        trace: what was recorded.
        per_hour: requests per hour of a source, on average over sources and time; as recorded if missing.
        repeat: whether a part that is shorter than the horizon is repeated, in whole days if it has one.
        utc_offset_h: hours that the recorded people's clocks were ahead of UTC, for traces with dates.

    Raises:
        ValueError: the recording is shorter than an hour and is not to be repeated, or knows no time of day.
    """

    def __init__(
        self,
        trace: RequestTrace,
        per_hour: float | None = None,
        repeat: bool = False,
        utc_offset_h: float = 0.0,
    ) -> None:
        if trace.clock == "none" and trace.num_minutes >= _DAY:
            raise ValueError(
                f"arrivals: start_h: missing, and {trace.source} knows no time of day, expected the local "
                "hour at which it begins"
            )
        if trace.num_minutes < _HOUR and not repeat:
            raise ValueError(
                f"arrivals: {trace.source} has {trace.num_minutes} minutes, expected at least an hour; say "
                "repeat: true if they are to be asked over and over"
            )
        self.trace = trace
        self._per_hour, self._repeat, self._offset_h = per_hour, repeat, utc_offset_h
        self._place = np.array([place_of(name) for name in trace.sources])
        self._fewest = min(int(self._within(split).sum()) for split in SPLITS)
        first_s = trace.begin_s + (3600.0 * utc_offset_h + 3 * _DAY * BIN_S if trace.clock == "utc" else 0.0)
        self._first_minute = int(np.floor(first_s / BIN_S))  # of the week from Monday, where there are dates
        self._by_hour = self._usual_by_hour()
        self._levels: dict[tuple[Split, bool], float] = {}

    def validate_for(self, num_sources: int, horizon_s: float) -> None:
        """Refuse a recording of which a split has less than the horizon, unless it is to be repeated.

        Raises:
            ValueError: one line saying how much there is.
        """
        check_size(num_sources, horizon_s)
        for split in SPLITS:
            low, high = self._window(split, num_sources)
            # The wanted hour of the day may lie up to a day within the window.
            short = high - low < num_bins(horizon_s) + (_DAY if knows_day(self.trace) else 0)
            if short and not self._repeat:
                raise ValueError(
                    f"arrivals: {self.trace.source}: {(high - low) / _HOUR:.3g} h for {split}, expected the "
                    f"episode's {horizon_s / 3600.0:.3g} h and a day to begin in; give longer files, shorter "
                    "episodes, or repeat: true"
                )

    def draw(
        self,
        rng_seed: int,
        num_sources: int,
        start_utc_s: float,
        utc_offset_h: Floats,
        horizon_s: float,
        split: Split = "train",
        rank_group: int | None = None,
    ) -> ArrivalEpisode:
        """One episode; see `ArrivalModel.draw`. Popularity is as recorded, whatever `rank_group` says."""
        self.validate_for(num_sources, horizon_s)
        rng = np.random.default_rng(rng_seed)
        offsets = np.broadcast_to(np.asarray(utc_offset_h, dtype=np.float64), num_sources)
        bins = num_bins(horizon_s)
        chosen, share = self._choose(num_sources, split, rng)
        minutes = self._minutes(start_utc_s, offsets, bins, self._window(split, num_sources), rng)
        recorded = self.trace.counts[chosen[:, None], minutes]
        level_per_h = self._level_per_h(split, num_sources)
        wanted_per_h = level_per_h if self._per_hour is None else self._per_hour
        factor = share * (wanted_per_h / level_per_h if level_per_h > 0 else 0.0)
        whole = np.floor(factor).astype(np.int64)
        rest = np.broadcast_to((factor - whole)[:, None], recorded.shape)
        counts = recorded * whole[:, None] + rng.binomial(recorded, rest)
        usual = wanted_per_h * BIN_S / 3600.0 * profile_of_bins(self._by_hour, start_utc_s, offsets, bins)
        return ArrivalEpisode(counted(counts), usual.astype(np.float32))

    def _within(self, split: Split) -> Ints:
        low, high = SPLIT_SHARES[split]
        return np.asarray((self._place >= low) & (self._place < high))

    def _by_source(self, num_sources: int) -> bool:
        """Whether splits have sources of their own, and not parts of the time."""
        return self._fewest >= num_sources

    def _window(self, split: Split, num_sources: int) -> tuple[int, int]:
        """The minutes of the recording between which episodes of a split lie."""
        if self._by_source(num_sources):
            return 0, self.trace.num_minutes
        low, high = SPLIT_SHARES[split]
        first = int(low * self.trace.num_minutes)
        return first, max(int(high * self.trace.num_minutes), first + 1)

    def _choose(self, num_sources: int, split: Split, rng: np.random.Generator) -> tuple[Ints, Floats]:
        """`[N]` each, the recorded source of each of the world's, and which share of its requests it gets."""
        if self._by_source(num_sources):
            own = np.flatnonzero(self._within(split))
            return rng.choice(own, size=num_sources, replace=False), np.ones(num_sources)
        size = len(self.trace.sources)
        deals = [rng.permutation(size) for _ in range(-(-num_sources // size))]
        chosen = np.concatenate(deals)[:num_sources]
        return chosen, 1.0 / np.bincount(chosen, minlength=size)[chosen]

    def _level_per_h(self, split: Split, num_sources: int) -> float:
        """Recorded requests an hour for each of the world's sources, on average over a split's part."""
        key = (split, self._by_source(num_sources))
        if key not in self._levels:
            rows = self._within(split) if key[1] else np.ones(len(self.trace.sources), dtype=bool)
            low, high = self._window(split, num_sources)
            asked = int(self.trace.counts[rows, low:high].sum(dtype=np.int64))
            self._levels[key] = asked / int(rows.sum()) / (high - low) * _HOUR
        shared = 1.0 if key[1] else min(len(self.trace.sources) / num_sources, 1.0)
        return self._levels[key] * shared

    def _minutes(
        self,
        start_utc_s: float,
        offset_h: Floats,
        bins: int,
        window: tuple[int, int],
        rng: np.random.Generator,
    ) -> Ints:
        """The recorded minutes `[N, B]` that are played."""
        low, high = window
        length = high - low
        days = length // _DAY
        uniform = rng.random()
        if not days or not knows_day(self.trace):
            room = max(length - bins, 0)
            first = np.full(offset_h.size, int(uniform * (room + 1)))
            return low + (first[:, None] + np.arange(bins)) % length
        wanted = np.floor(start_utc_s / BIN_S + offset_h * _HOUR + 3 * _DAY).astype(np.int64)
        ahead = (wanted - self._first_minute - low) % (7 * _DAY)
        into = ahead % _DAY  # the first minute of the window at the wanted time of day
        rooms = np.maximum((length - bins - int(into.max())) // _DAY + 1, 0)
        candidates = np.arange(rooms if rooms > 0 else days)
        if self.trace.clock == "utc":
            alike = candidates[candidates % 7 == int(ahead[0] // _DAY)]
            candidates = alike if alike.size else candidates
        day = int(candidates[int(uniform * candidates.size)])
        first = into + day * _DAY
        period = length if rooms > 0 else days * _DAY
        return low + (first[:, None] + np.arange(bins)) % period

    def _usual_by_hour(self) -> Floats:
        """The rate of each hour of the day `[24]` over their mean, learned from the part for training."""
        trace = self.trace
        if not knows_day(trace):
            return np.ones(24)
        part = trace.first_minutes(max(int(SPLIT_SHARES["train"][1] * trace.num_minutes), _DAY))
        rates = minute_rates(part, self._offset_h)
        return np.asarray(rates / rates.mean())
