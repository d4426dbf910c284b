"""Machines that come and go in grid zones: what every world draws of them, from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.settings import Spec
from ...common.splits import Split
from ...common.units import BYTES_PER_GB, JOULES_PER_KWH
from ...traces.availability import AvailabilityEpisode, AvailabilityRequest, make_availability
from ...traces.carbon import CarbonEpisode, make_carbon
from ...traces.devices import Devices

SPLIT_KEYS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}
"""Episodes of different splits never share a random stream, whatever their seeds."""


@dataclass(frozen=True)
class MachineDraw:
    """Where the machines of an episode stand, when they are there, and how clean their grids are."""

    start_utc_s: float  # Unix time of the episode's beginning
    zone: Ints  # [N] each machine's grid zone
    utc_offset_h: Floats  # [Z] hours each zone is ahead of UTC
    availability: AvailabilityEpisode  # sessions and what is known of them
    carbon: CarbonEpisode  # intensity of all zones


class MachineSource:
    """Draws the machines of one split's episodes; all inputs are read and checked once.

    Args:
        machines: N.
        zones: Z; machines are dealt to the zones evenly.
        availability: see `make_availability`.
        carbon: see `make_carbon`.
        horizon_s: seconds of traces that an episode may need.
        split: which disjoint part of machines and trace windows to draw from.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    def __init__(
        self,
        machines: int,
        zones: int,
        availability: Spec,
        carbon: Sequence[str] | Spec,
        horizon_s: float,
        split: Split,
    ):
        if split not in SPLIT_KEYS:
            raise ValueError(f"split: {split!r}, expected one of {', '.join(SPLIT_KEYS)}")
        self._machines, self._zones, self._horizon_s, self._split = machines, zones, horizon_s, split
        self._availability = make_availability(availability)
        self._carbon = make_carbon(carbon, zones)
        self._availability.validate_for(machines, horizon_s)
        self._carbon.validate_for(horizon_s)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones."""
        return self._carbon.zones

    def draw(self, people: np.random.Generator, grid: np.random.Generator) -> MachineDraw:
        """The machines of one episode.

        Args:
            people: decides zones and sessions.
            grid: decides the window of time and the intensities.
        """
        zone = people.permutation(np.arange(self._machines) % self._zones).astype(np.int64)
        start_utc_s = self._carbon.draw_start_utc_s(self._split, self._horizon_s, grid)
        offset_h = self._carbon.utc_offset_h(start_utc_s)
        request = AvailabilityRequest(start_utc_s, self._horizon_s, zone, offset_h, self._split)
        return MachineDraw(
            start_utc_s,
            zone,
            offset_h,
            self._availability.sample(request, people),
            self._carbon.sample(start_utc_s, self._horizon_s, grid),
        )


def link_fields(devices: Devices) -> dict[str, Floats]:
    """Bandwidths, watts and joules per byte of machines by their names in a population, each `[N]`."""
    j_per_byte = devices.network_kwh_per_gb * JOULES_PER_KWH / BYTES_PER_GB
    return {
        "down_bytes_per_s": devices.down_bytes_per_s,
        "up_bytes_per_s": devices.up_bytes_per_s,
        "compute_watts": devices.compute_watts,
        "network_j_per_byte": j_per_byte,
        "down_watts": devices.down_bytes_per_s * j_per_byte,
        "up_watts": devices.up_bytes_per_s * j_per_byte,
    }
