"""Types of request arrivals: one episode's counts, and the models that draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.sizes import check_values
from ...common.splits import Split

BIN_S = 60.0
"""Seconds in which requests are counted."""

_MOST_REQUESTS = 2**31 - 1


@dataclass(frozen=True)
class ArrivalEpisode:
    """The requests that N sources are asked during one episode, counted by the minute.

    A source is whatever is asked things: a client, or a task in a zone. Counts depend on the episode's seed
    and clock only, never on what anybody does.
    """

    counts: Ints32  # [N, B] requests in each minute from the episode's start
    expected: Floats32  # [N, B] the model's mean of them: over seeds, bursts and ranks


@runtime_checkable
class ArrivalModel(Protocol):
    """Draws episodes of requests for any number of sources."""

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
        """One episode, a function of the arguments alone.

        Args:
            rng_seed: the only source of chance.
            num_sources: N.
            start_utc_s: Unix time of the episode's beginning.
            utc_offset_h: `[N]`, hours that each source's clock is ahead of UTC.
            horizon_s: seconds that must be covered.
            split: the part of a recording that may be played; drawn models have none.
            rank_group: how many neighbouring sources share one ranking by popularity, such as the tasks of
                a zone; all of them if missing.
        """
        ...

    def validate_for(self, num_sources: int, horizon_s: float) -> None:
        """Refuse early what `draw` could not deliver.

        Raises:
            ValueError: one line naming what is too small or too large and what to do.
        """
        ...


def num_bins(horizon_s: float) -> int:
    """Minutes that cover a horizon."""
    return max(int(-(-horizon_s // BIN_S)), 1)


def counted(counts: Ints) -> Ints32:
    """Requests by source and minute `[N, B]` as episodes keep them.

    Raises:
        ValueError: if a source is asked more often than sums can tell.
    """
    most = int(counts.sum(axis=1, dtype=np.int64).max())
    if most > _MOST_REQUESTS:
        raise ValueError(
            f"arrivals: {most:.3g} requests to one source in an episode, expected at most "
            f"{_MOST_REQUESTS:.3g}; lower per_hour"
        )
    return np.asarray(counts.astype(np.int32))


def check_size(num_sources: int, horizon_s: float) -> None:
    """Refuse what no model can draw, and what no memory holds: sources times minutes."""
    if num_sources < 1 or not 0 < horizon_s < float("inf"):
        raise ValueError(
            f"arrivals: {num_sources} sources for {horizon_s:g} s, expected at least one of both"
        )
    what = f"arrivals: {num_sources} sources for {horizon_s:g} s, a minute each,"
    check_values(what, num_sources, horizon_s / BIN_S, do="take fewer hours or sources")
