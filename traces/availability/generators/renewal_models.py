"""Availability as an alternating renewal process with given hazards and laws: what a fit estimates."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ..climatology import ProfileShape, by_utc_hour, remembered_mean
from ..episode import AvailabilityEpisode, AvailabilityRequest
from .base import GENERATORS, Pattern, Positive, Share
from .renewal import Alternation, Clock, Law


@GENERATORS.register("renewal")
class RenewalAvailability(Pattern):
    """Alternating stays with hourly hazards and personal means: what `fit_availability` estimates.

    With exponential laws the inhomogeneous two-state chain; with one rate the plain Weibull or log-normal
    semi-Markov process.

    Attributes:
        up_per_h: hazard of coming, 1, 24 or 168 values by local hour (of the week from Monday).
        down_per_h: hazard of leaving, as many values.
        on_law: law of the sessions' work: exponential, weibull or lognormal, and its shape.
        off_law: of the gaps' work.
        share_by_hour: P(available) by local hour of day, `[24]`; the mean of the population.
        user_beta: Beta law of the users' means; None if all users are alike.
        phase_sd_h: spread of the personal hour of day.
        never_share: share of clients that are never available.
        observed_days: length of the past from which the coordinator knows each client's mean.
    """

    up_per_h: tuple[Annotated[float, Field(ge=0)], ...]
    down_per_h: tuple[Annotated[float, Field(ge=0)], ...]
    on_law: tuple[Literal["exponential", "weibull", "lognormal"], Positive] = ("exponential", 1.0)
    off_law: tuple[Literal["exponential", "weibull", "lognormal"], Positive] = ("exponential", 1.0)
    share_by_hour: tuple[Share, ...] | None = None
    user_beta: tuple[Positive, Positive] | None = None
    phase_sd_h: Annotated[float, Field(ge=0, le=12)] = 0.0
    never_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    observed_days: Positive = 14.0

    @model_validator(mode="after")
    def _prepare(self) -> RenewalAvailability:
        sizes = {len(self.up_per_h), len(self.down_per_h)}
        if len(sizes) != 1 or not sizes <= {1, 24, 168}:
            raise ValueError(
                f"up_per_h and down_per_h: {sorted(sizes)} values, expected 1, 24 or 168 in both"
            )
        if self.share_by_hour is not None and len(self.share_by_hour) != 24:
            raise ValueError(f"share_by_hour: {len(self.share_by_hour)} values, expected 24")
        up, down = np.array(self.up_per_h), np.array(self.down_per_h)
        self._alternation = Alternation(Clock(up), Clock(down), Law(*self.on_law), Law(*self.off_law))
        share = self.share_by_hour
        chain = np.full(24, float(up.mean() / max(up.mean() + down.mean(), 1e-9)))
        self._shape = ProfileShape(chain if share is None else np.array(share))
        self._relaxation_h = 1.0 / max(float(up.mean() + down.mean()), 1e-6)
        return self

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        usual = float(self._shape.profile.mean())
        mean = np.full(n, usual) if self.user_beta is None else rng.beta(*self.user_beta, n)
        mean = np.clip(mean, 0.002, 0.998)
        hour = request.local_hour_of_week + self.phase_sd_h * rng.standard_normal(n)
        odds = mean / (1.0 - mean) / (usual / (1.0 - usual))
        now = self._shape.profile[np.floor(hour).astype(np.int64) % 24]
        share_on = odds * now / (1.0 - now + odds * now)
        push = np.sqrt(odds)
        sessions, _ = self._alternation.sample(
            hour, share_on, push, 1.0 / push, request.horizon_s / 3600.0, rng
        )
        never = rng.random(n) < self.never_share
        sessions.start_s[never], sessions.end_s[never] = np.inf, np.inf
        looks = self.observed_days * 24.0 / (2.0 * self._relaxation_h)
        known = np.where(never, 1e-3, mean)
        if self.user_beta is not None:
            known = remembered_mean(known, self.user_beta, max(looks, 1.0), rng)
        profile = by_utc_hour(self._shape.with_mean(known), request.local_offset_h).astype(np.float64)
        return self._episode(sessions, profile, self._relaxation_h, rng)


@GENERATORS.register("stays")
class StaysAvailability(Pattern):
    """Plain semi-Markov sessions and gaps, the same at all hours.

    Attributes:
        law: of both: exponential, weibull or lognormal.
        on_mean_h: mean session.
        on_shape: Weibull shape or standard deviation of the logarithm.
        off_mean_h: mean gap.
        off_shape: its shape.
    """

    law: Literal["exponential", "weibull", "lognormal"] = "weibull"
    on_mean_h: Positive = 4.0
    on_shape: Positive = 0.6
    off_mean_h: Positive = 4.0
    off_shape: Positive = 0.6

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        one = np.ones(1)
        alternation = Alternation(
            Clock(one / self.off_mean_h),
            Clock(one / self.on_mean_h),
            Law(self.law, self.on_shape),
            Law(self.law, self.off_shape),
        )
        share = self.on_mean_h / (self.on_mean_h + self.off_mean_h)
        factor = np.ones(n)
        sessions, _ = alternation.sample(
            np.zeros(n), np.full(n, share), factor, factor, request.horizon_s / 3600.0, rng
        )
        relaxation_h = 1.0 / (1.0 / self.on_mean_h + 1.0 / self.off_mean_h)
        return self._episode(sessions, np.full((n, 24), share), relaxation_h, rng)
