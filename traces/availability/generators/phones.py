"""Phones that train while they charge on Wi-Fi, as measured by STUNner and FLASH."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ....common.ranges import Drawn, drawn
from ...calibration import calibration
from ..climatology import ProfileShape, by_utc_hour, remembered_mean
from ..episode import AvailabilityEpisode, AvailabilityRequest, check_size
from ..forecasts import DEFAULT_FORECAST, AvailabilityForecastField
from .base import GENERATORS, DrawnShare, Positive
from .renewal import Alternation, Clock, Law


@GENERATORS.register("phones")
class PhoneAvailability(Drawn):
    """Phones: hourly rates, personal means and phases, short sessions.

    Attributes:
        rule: "charging" (on charge with a network; STUNner) or "strict" (locked, charging, on Wi-Fi; FLASH).
        phase_sd_h: spread of the personal hour of day.
        never_share: share of phones that are never available; 9-29 % under FLASH's rule.
        announced_share: share of session ends that are announced; phones do not know, so 0. Or a range,
            drawn per episode.
        observed_days: length of the past from which the coordinator knows each phone's mean.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    rule: Literal["charging", "strict"] = "charging"
    phase_sd_h: Annotated[float, Field(ge=0, le=12)] = 2.0
    never_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    announced_share: DrawnShare = 0.0
    observed_days: Positive = 14.0
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    def model_post_init(self, context: object, /) -> None:
        """Prepare the clocks once; sampling then only draws."""
        row = calibration()["phones"]["stunner" if self.rule == "charging" else "flash"]
        process = row["process"]
        self._row = row
        self._alternation = Alternation(
            up=Clock(np.array(process["up_per_h"])),
            down=Clock(np.array(process["down_per_h"])),
            on=Law(*process["on_law"]),
            off=Law(*process["off_law"]),
        )
        self._on_by_clock = ProfileShape(np.array(process["share_on_by_clock_hour"]))
        self._on_by_local = ProfileShape(np.array(row["available_by_local_hour"]))
        # The Markov forecast's e-folding time, 1 / (up + down) of the measured mean stays.
        self._relaxation_h = 1.0 / (1.0 / row["on_mean_h"] + 1.0 / row["off_mean_h"])

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        a, b = self._row["beta"]
        mean = np.clip(rng.beta(a, b, n), 0.002, 0.98)
        local = request.local_hour_of_week % 24.0
        hour = local + self.phase_sd_h * rng.standard_normal(n)
        usual = self._row["mean"]
        odds = mean / (1.0 - mean) / (usual / (1.0 - usual))
        by_clock = self._on_by_clock.profile[np.floor(hour).astype(np.int64) % 24]
        share_on = odds * by_clock / (1.0 - by_clock + odds * by_clock)
        push = np.sqrt(odds)
        sessions, natural = self._alternation.sample(
            hour, share_on, push, 1.0 / push, request.horizon_s / 3600.0, rng
        )
        never = rng.random(n) < self.never_share
        sessions.start_s[never] = np.inf
        sessions.end_s[never] = np.inf
        share = drawn(self.announced_share, rng)
        known = natural & (rng.random(natural.shape) < share)
        sessions.announced[:] = known & ~never[:, None]
        looks = self.observed_days * 24.0 / (2.0 * self._relaxation_h)
        remembered = remembered_mean(np.where(never, 1e-3, mean), (a, b), looks, rng)
        profile = self._on_by_local.with_mean(remembered)
        return AvailabilityEpisode(
            sessions=sessions,
            climatology=by_utc_hour(profile, request.local_offset_h),
            relaxation_s=np.full(n, self._relaxation_h * 3600.0),
            forecast=self.forecast,
            seed=int(rng.integers(2**62)),
            announced_share=share,
        )

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Any number of phones and any horizon will do."""
        check_size(num_clients, horizon_s)
