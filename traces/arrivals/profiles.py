"""Profiles of the day and the week: how the rate of requests depends on the local hour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ...common.arrays import Floats, Ints
from .episode import BIN_S

HOURS_OF_DAY, HOURS_OF_WEEK = 24, 168


def _local_day() -> tuple[float, ...]:
    """1 + 0.6 cos(2 pi (h - 15) / 24) in the middle of each hour: an assumption, for want of a recording."""
    middle = np.arange(HOURS_OF_DAY) + 0.5
    return tuple((1.0 + 0.6 * np.cos(2.0 * np.pi * (middle - 15.0) / HOURS_OF_DAY)).tolist())


PROFILES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"flat": (1.0,) * HOURS_OF_DAY, "local-day": _local_day()}
)
"""By name: the rate in each local hour of the day over its mean."""


def hours_of_bins(start_utc_s: float, utc_offset_h: float, bins: int, hours: int) -> Ints:
    """The local hour `[B]` in which each minute of an episode lies: of the day, or of the week from Monday.

    Args:
        start_utc_s: Unix time of the episode's beginning.
        utc_offset_h: hours that the clock is ahead of UTC.
        bins: B.
        hours: 24 or 168.
    """
    # 1970-01-01 was a Thursday, three days after a Monday; the middle of a minute decides.
    first_h = start_utc_s / 3600.0 + utc_offset_h + 72.0
    hour = np.floor(first_h + (np.arange(bins) + 0.5) * (BIN_S / 3600.0)).astype(np.int64)
    return np.asarray(hour % hours)


def normalised(profile: tuple[float, ...]) -> Floats:
    """A profile `[24]` or `[168]` with mean 1."""
    values = np.asarray(profile, dtype=np.float64)
    return np.asarray(values / values.mean())


def profile_of_bins(profile: Floats, start_utc_s: float, utc_offset_h: Floats, bins: int) -> Floats:
    """A profile `[24]` or `[168]` in each minute `[N, B]` of each source's local time.

    Args:
        profile: by hour.
        start_utc_s: Unix time of the episode's beginning.
        utc_offset_h: `[N]`, hours that clocks are ahead of UTC.
        bins: B.
    """
    offsets, clock = np.unique(np.asarray(utc_offset_h, dtype=np.float64), return_inverse=True)
    by_clock = [profile[hours_of_bins(start_utc_s, float(one), bins, profile.size)] for one in offsets]
    return np.stack(by_clock)[clock]
