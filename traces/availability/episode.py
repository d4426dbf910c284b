"""Types of availability: sessions, what a world asks for, and what a model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...common.sizes import check_values
from ...common.splits import Split
from ...common.units import SECONDS_PER_DAY, SECONDS_PER_HOUR
from .forecasts import DEFAULT_FORECAST, AvailabilityForecaster


@dataclass(frozen=True)
class Sessions:
    """When each of N clients is available: disjoint half-open intervals `[start, end)`."""

    start_s: Floats  # [N, S] ascending, padded with +inf; zero or less if the session runs at t = 0
    end_s: Floats  # [N, S] padded with +inf
    announced: Bools  # [N, S] whether the end is announced to the coordinator while the session runs

    @property
    def num_clients(self) -> int:
        """N."""
        return int(self.start_s.shape[0])

    @property
    def counts(self) -> Ints:
        """Int64 `[N]`, sessions of each client."""
        return np.asarray(np.isfinite(self.start_s).sum(axis=1))

    def validate(self) -> Sessions:
        """Check the promises of the class and return itself.

        Raises:
            ValueError: naming the first client that breaks one.
        """
        if not (self.start_s.ndim == 2 and self.start_s.shape == self.end_s.shape == self.announced.shape):
            raise ValueError(
                f"sessions: shapes {self.start_s.shape}, {self.end_s.shape}, {self.announced.shape}, "
                "expected three equal [N, S]"
            )
        real = np.isfinite(self.start_s) & np.isfinite(self.end_s)
        padding = (self.start_s == np.inf) & (self.end_s == np.inf)
        _refuse(~(real | padding), "start or end is -inf or NaN, or only one of both is +inf")
        _refuse(real & ~(self.end_s > self.start_s), "a session does not end after its start")
        gap = real[:, 1:] & ~(self.start_s[:, 1:] > self.end_s[:, :-1])
        _refuse(gap, "sessions touch, overlap or are out of order")
        return self

    @classmethod
    def from_lists(
        cls,
        lists: Sequence[tuple[Sequence[float] | Floats, Sequence[float] | Floats]],
        announced: bool | Sequence[Sequence[bool] | Bools] = False,
    ) -> Sessions:
        """Sessions from one `(starts, ends)` pair per client; sorts, merges touching ones, drops empty ones.

        Args:
            lists: per client the starts and the ends in seconds.
            announced: one answer for all, or one flag per session in the order given.

        Raises:
            ValueError: if the two lists of a client differ in length, or a session ends before its start.
        """
        sizes = [len(starts) for starts, _ in lists]
        for client, (starts, ends) in enumerate(lists):
            if len(starts) != len(ends):
                raise ValueError(
                    f"client {client}: {len(starts)} starts and {len(ends)} ends, expected as many of each"
                )
        owner = np.repeat(np.arange(len(lists)), sizes)
        start_s = np.concatenate([np.asarray(s, dtype=np.float64) for s, _ in lists] or [np.empty(0)])
        end_s = np.concatenate([np.asarray(e, dtype=np.float64) for _, e in lists] or [np.empty(0)])
        if isinstance(announced, bool):
            flags: Bools = np.full(owner.size, announced)
        else:
            flags = np.concatenate(
                [np.asarray(a, dtype=bool) for a in announced] or [np.empty(0, dtype=bool)]
            )
        return cls.from_flat(owner, start_s, end_s, len(lists), flags)

    @classmethod
    def from_flat(
        cls,
        client: Ints,
        start_s: Floats,
        end_s: Floats,
        num_clients: int,
        announced: Bools | None = None,
    ) -> Sessions:
        """Sessions from flat columns in any order; sorts, merges touching ones, drops empty ones.

        Of merged sessions the one that ends last says whether the end is announced.

        Raises:
            ValueError: if a session ends before its start or a time is not finite.
        """
        flags = np.zeros(client.size, dtype=bool) if announced is None else announced
        if not (np.isfinite(start_s).all() and np.isfinite(end_s).all()):
            raise ValueError("sessions: a start or end is not finite, expected seconds")
        if (end_s < start_s).any():
            bad = int(np.argmax(end_s < start_s))
            raise ValueError(
                f"sessions: client {client[bad]}: session {bad} ends at {end_s[bad]:g} s, before its start "
                f"at {start_s[bad]:g} s"
            )
        keep = end_s > start_s
        client, start_s, end_s, flags = client[keep], start_s[keep], end_s[keep], flags[keep]
        order = np.lexsort((start_s, client))
        client, start_s, end_s, flags = client[order], start_s[order], end_s[order], flags[order]
        client, start_s, end_s, flags = _merge(client, start_s, end_s, flags)
        return cls._pad(client, start_s, end_s, flags, num_clients)

    @classmethod
    def _pad(cls, client: Ints, start_s: Floats, end_s: Floats, flags: Bools, num_clients: int) -> Sessions:
        counts = np.bincount(client, minlength=num_clients)
        slot = np.arange(client.size) - np.repeat(np.cumsum(counts) - counts, counts)
        width = int(counts.max(initial=0))
        starts = np.full((num_clients, width), np.inf)
        ends = np.full((num_clients, width), np.inf)
        announced = np.zeros((num_clients, width), dtype=bool)
        starts[client, slot], ends[client, slot], announced[client, slot] = start_s, end_s, flags
        return cls(starts, ends, announced)


@dataclass(frozen=True)
class AvailabilityRequest:
    """What a world asks of an availability model for one episode."""

    start_utc_s: float  # Unix time of the episode's beginning
    horizon_s: float  # seconds that must be covered
    zone: Ints  # [N] the zone of each client
    utc_offset_h: Floats  # [Z] hours that each zone's clocks are ahead of UTC at the beginning
    split: Split = "train"

    @property
    def local_offset_h(self) -> Floats:
        """`[N]`, hours each client's clock is ahead of UTC."""
        return self.utc_offset_h[self.zone]

    @property
    def local_hour_of_week(self) -> Floats:
        """`[N]`, hours since Monday 00:00 on each client's clock at the beginning, in `[0, 168)`."""
        # 1970-01-01 was a Thursday, three days after a Monday.
        return (self.start_utc_s / SECONDS_PER_HOUR + 72.0 + self.local_offset_h) % 168.0


@dataclass(frozen=True)
class AvailabilityEpisode:
    """One episode's sessions and what a coordinator knows of them beforehand."""

    sessions: Sessions  # covering [0, horizon_s]; running ones keep their true start where it is known
    climatology: Floats32  # [N, 24] P(available) by UTC hour of day, learned from the past only
    relaxation_s: Floats  # [N] e-folding time with which a deviation from the climatology dies out
    # how long ahead an announced end is known, for all or [N]; inf = from the session's start
    announce_notice_s: float | Floats = float("inf")
    forecast: AvailabilityForecaster = DEFAULT_FORECAST  # the coordinator's
    seed: int = 0  # of the forecast's own errors, if it has any
    announced_end_s: Floats | None = None  # [N, S] the ends as they are announced, where not the true ones
    # share of session ends that are announced (of those their owners know), as a coordinator may know it
    announced_share: float = 0.0


@runtime_checkable
class AvailabilityModel(Protocol):
    """Draws episodes of availability for any number of clients."""

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode, a function of the request and the generator's state alone."""
        ...

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Refuse early what `sample` could not deliver.

        Raises:
            ValueError: one line naming what is too small and what to do.
        """
        ...


def _refuse(bad: Bools, why: str) -> None:
    if bad.any():
        client, slot = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"sessions: client {client}, session {slot}: {why}")


def _merge(client: Ints, start_s: Floats, end_s: Floats, flags: Bools) -> tuple[Ints, Floats, Floats, Bools]:
    """Join sessions of a client that touch or overlap; the columns are sorted by client and start."""
    if client.size == 0:
        return client, start_s, end_s, flags
    # The latest end so far within a client: a running maximum on times shifted so that clients never mix.
    low = float(start_s.min())
    span = float(end_s.max()) - low + 1.0
    shift = client * span
    reach = np.maximum.accumulate(end_s - low + shift)
    fresh = np.ones(client.size, dtype=bool)
    fresh[1:] = (client[1:] != client[:-1]) | (start_s[1:] - low + shift[1:] > reach[:-1])
    if fresh.all():
        return client, start_s, end_s, flags
    first = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    ends = np.maximum.reduceat(end_s, first)
    last_flag = np.zeros(first.size, dtype=bool)
    np.logical_or.at(last_flag, group, flags & (end_s == ends[group]))
    return client[first], start_s[first], ends, last_flag


def announced_ends(
    sessions: Sessions, honesty: float, overstated_h: float, rng: np.random.Generator
) -> Floats | None:
    """The ends as they are announced `[N, S]`, or None if all announcements are true.

    Args:
        sessions: with their true ends.
        honesty: share of announcements that are true; the others name a later end.
        overstated_h: how much later on average.
        rng: the only source of chance.
    """
    if honesty >= 1.0:
        return None
    false = rng.random(sessions.end_s.shape) >= honesty
    later_s = SECONDS_PER_HOUR * overstated_h * rng.standard_exponential(sessions.end_s.shape)
    return sessions.end_s + np.where(false, later_s, 0.0)


def check_size(num_clients: int, horizon_s: float, cycle_s: float = SECONDS_PER_DAY) -> None:
    """Refuse what no model can draw, and what no memory holds: clients times the cycles of their sessions."""
    if num_clients < 1 or not 0 < horizon_s < float("inf"):
        raise ValueError(
            f"availability: {num_clients} clients for {horizon_s:g} s, expected at least one of both"
        )
    what = f"availability: {num_clients} clients for {horizon_s:g} s with a cycle of {cycle_s:g} s"
    check_values(what, num_clients, horizon_s / cycle_s, do="take longer cycles, fewer hours or clients")
