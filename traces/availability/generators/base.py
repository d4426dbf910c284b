"""Availability generators by name, and what their settings share: announcements and forecasts."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field

from ....common.arrays import Floats
from ....common.ranges import Drawn, drawn
from ....common.registry import Registry
from ....common.units import SECONDS_PER_DAY
from ..episode import AvailabilityEpisode, AvailabilityModel, Sessions, announced_ends, check_size
from ..forecasts import DEFAULT_FORECAST, AvailabilityForecastField

GENERATORS: Registry[AvailabilityModel] = Registry("availability", AvailabilityModel)
"""Models of availability by name, recorded files ("file") among them."""

Share = Annotated[float, Field(ge=0, le=1)]
DrawnShare: TypeAlias = Share | tuple[Share, Share]
Positive = Annotated[float, Field(gt=0)]


class Pattern(Drawn):
    """Settings that all patterns share; a pattern adds its own and a method `sample`.

    Attributes:
        announced_share: share of session ends announced ahead, or a range, drawn per episode.
        notice_s: how long ahead; from the session's start if missing.
        honesty: share of announcements that are true; the others name a later end.
        overstated_h: how much later on average.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    announced_share: DrawnShare = 0.0
    notice_s: Annotated[float, Field(ge=0)] | None = None
    honesty: Share = 1.0
    overstated_h: Annotated[float, Field(ge=0)] = 2.0
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    @property
    def cycle_s(self) -> float:
        """Seconds in which a client comes and goes once, at the least."""
        return SECONDS_PER_DAY

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Any number of clients and any horizon will do whose sessions fit into memory."""
        check_size(num_clients, horizon_s, self.cycle_s)

    def _episode(
        self, sessions: Sessions, climatology: Floats, relaxation_h: float | Floats, rng: np.random.Generator
    ) -> AvailabilityEpisode:
        n, share = sessions.num_clients, drawn(self.announced_share, rng)
        announced = np.isfinite(sessions.start_s) & (rng.random(sessions.start_s.shape) < share)
        return AvailabilityEpisode(
            sessions=Sessions(sessions.start_s, sessions.end_s, announced),
            climatology=np.asarray(climatology, dtype=np.float32),
            relaxation_s=np.broadcast_to(np.maximum(relaxation_h, 1e-3) * 3600.0, n).astype(np.float64),
            announce_notice_s=np.inf if self.notice_s is None else self.notice_s,
            forecast=self.forecast,
            seed=int(rng.integers(2**62)),
            announced_end_s=announced_ends(sessions, self.honesty, self.overstated_h, rng),
            announced_share=share,
        )
