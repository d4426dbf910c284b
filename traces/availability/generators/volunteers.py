"""Desktops lent by volunteers: heavy-tailed sessions, owners' hours, announced and sudden ends."""

from __future__ import annotations

from math import gamma
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from ....common.arrays import Bools, Floats, Ints
from ....common.ranges import Drawn, drawn
from ...calibration import DesktopRow, calibration
from ..climatology import by_utc_hour, remembered_mean
from ..climatology_kernels import odds_multiplied, personal_shares
from ..episode import AvailabilityEpisode, AvailabilityRequest, Sessions, announced_ends, check_size
from ..forecasts import DEFAULT_FORECAST, AvailabilityForecastField
from .base import GENERATORS, DrawnShare, Positive, Share
from .renewal import Alternation, Clock, Law

# The systems that "mixed" is made of: the three whose machines are people's or a campus's desktops.
_MIXED = ("notre-dame", "microsoft99", "grid5000")
# Sessions, which of them end by the law `[N, S]`, and each client's profile by local hour `[N, 24]`.
_Stays: TypeAlias = tuple[Sessions, Bools, Floats]


@GENERATORS.register("volunteers")
class VolunteerAvailability(Drawn):
    """Volunteers' desktops: Weibull sessions and gaps fitted to the Failure Trace Archive.

    Attributes:
        system: whose fit; "notre-dame" desktops, "microsoft99" corporate desktops, "grid5000", "skype06",
            "overnet03", "planetlab05", or "mixed" (each client is of one of the first three).
        owner_strength: how much rarer lending is while owners work (9-18 h local, Monday to Friday): the
            hazard of leaving is multiplied and that of coming divided by `1 + strength`. An assumption:
            the hour of day of desktops was not measured.
        mean_spread: standard deviation of the logarithm of each client's odds of being available (assumed).
        longest_h: cap on the mean session and gap, because weeks of no event teach a scheduler nothing.
        announced_share: share of session ends that the owner announces (assumed), or a range, drawn per
            episode.
        notice_h: how long ahead they announce; from the session's start if missing.
        honesty: share of announcements that are true; the others name a later end.
        overstated_h: by how much later on average those do.
        sudden_per_h: hazard of further withdrawals that nobody announces (assumed).
        observed_days: length of the past from which the coordinator knows each client's mean.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    system: Literal[
        "notre-dame", "microsoft99", "grid5000", "skype06", "overnet03", "planetlab05", "mixed"
    ] = "notre-dame"
    owner_strength: Annotated[float, Field(ge=0, le=20)] = 1.0
    mean_spread: Annotated[float, Field(ge=0, le=3)] = 0.5
    longest_h: Positive = 1e4
    announced_share: DrawnShare = 0.5
    notice_h: Positive | None = None
    honesty: Share = 1.0
    overstated_h: Positive = 2.0
    sudden_per_h: Annotated[float, Field(ge=0, le=60)] = 0.02
    observed_days: Positive = 14.0
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    @model_validator(mode="after")
    def _prepare(self) -> VolunteerAvailability:
        systems = _MIXED if self.system == "mixed" else (self.system,)
        rows = [calibration()["desktops_h"][name] for name in systems]
        self._parts = [_Part(row, self.owner_strength, self.sudden_per_h, self.longest_h) for row in rows]
        self._relaxation_h = np.array([law.relaxation_h for law in self._parts])
        self._prior = 4.0 * float(np.mean([law.mean for law in self._parts]))
        return self

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        hour = request.local_hour_of_week
        push = np.exp(0.5 * self.mean_spread * rng.standard_normal(n))
        part = None
        if len(self._parts) == 1:
            law = self._parts[0]
            sessions, natural, profile = law.draw(hour, push, request, rng, self.sudden_per_h)
        else:
            part = rng.integers(len(self._parts), size=n)
            columns: list[tuple[Ints, _Stays]] = []
            for index, law in enumerate(self._parts):
                rows = np.flatnonzero(part == index)
                if rows.size:
                    stays = law.draw(hour[rows], push[rows], request, rng, self.sudden_per_h)
                    columns.append((rows, stays))
            sessions, natural, profile = _join(columns, n)
        share = drawn(self.announced_share, rng)
        sessions.announced[:] = natural & (rng.random(natural.shape) < share)
        relaxation_h = np.full(n, self._relaxation_h[0]) if part is None else self._relaxation_h[part]
        true_mean = np.add.reduce(profile, axis=1) / profile.shape[1]  # `mean`, without its checks
        a = self._prior
        looks = self.observed_days * 24.0 / (2.0 * relaxation_h)
        seen = remembered_mean(true_mean, (a, 4.0 - a), float(np.add.reduce(looks) / n), rng)
        odds = seen / (1.0 - seen) / (true_mean / (1.0 - true_mean))
        return AvailabilityEpisode(
            sessions=sessions,
            climatology=by_utc_hour(odds_multiplied(profile, odds), request.local_offset_h),
            relaxation_s=relaxation_h * 3600.0,
            announce_notice_s=np.inf if self.notice_h is None else self.notice_h * 3600.0,
            forecast=self.forecast,
            seed=int(rng.integers(2**62)),
            announced_end_s=announced_ends(sessions, self.honesty, self.overstated_h, rng),
            announced_share=share,
        )

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Any number of volunteers and any horizon will do."""
        check_size(num_clients, horizon_s)


class _Part:
    """One system's law with owners' hours built in."""

    def __init__(self, row: DesktopRow, strength: float, sudden_per_h: float, longest_h: float):
        on_shape, off_shape = row["on_weibull"][0], row["off_weibull"][0]
        on_h, off_h = min(row["on_mean"], longest_h), min(row["off_mean"], longest_h)
        week = np.arange(168)
        working = (week // 24 < 5) & (week % 24 >= 9) & (week % 24 < 18)
        factor = np.where(working, 1.0 + strength, 1.0)
        # Over a week the hazards keep their measured mean.
        down = factor / factor.mean() / on_h
        up = (1.0 / factor) / (1.0 / factor).mean() / off_h
        self.alternation = Alternation(
            Clock(up), Clock(down), Law("weibull", on_shape), Law("weibull", off_shape)
        )
        # Sudden withdrawals cut the long stays of a heavy-tailed law most.
        cut = cut_mean_h(on_h, on_shape, sudden_per_h) / on_h
        self.mean = on_h * cut / (on_h * cut + off_h)
        # Two-state chain of the same hourly hazards: its share on by hour of the week.
        self.share_on = stationary_share(up, down / cut)
        self.relaxation_h = 1.0 / (1.0 / (on_h * cut) + 1.0 / off_h)
        self.profile = self.share_on.reshape(7, 24).mean(axis=0)

    def draw(
        self,
        hour: Floats,
        push: Floats,
        request: AvailabilityRequest,
        rng: np.random.Generator,
        sudden_per_h: float,
    ) -> _Stays:
        """Sessions of clients of this system, which of them end by the law, and their profiles."""
        share_on, shares = personal_shares(push, hour, self.share_on, self.profile)
        sessions, natural = self.alternation.sample(
            hour, share_on, push, 1.0 / push, request.horizon_s / 3600.0, rng, sudden_per_h
        )
        return sessions, natural, shares


def cut_mean_h(mean_h: float, shape: float, hazard_per_h: float) -> float:
    """Mean of the earlier of a Weibull stay and an exponential withdrawal, in hours.

    The integral of S(t) exp(-hazard t) over t, by the trapezium rule on a logarithmic grid.
    """
    if hazard_per_h <= 0:
        return mean_h
    scale = mean_h / gamma(1.0 + 1.0 / shape)
    log_t = np.linspace(-14.0, 12.0, 2001)
    t = scale * np.exp(log_t)
    value = np.exp(-((t / scale) ** shape) - hazard_per_h * t) * t
    return float((0.5 * (value[1:] + value[:-1]) * np.diff(log_t)).sum())


def stationary_share(up_per_h: Floats, down_per_h: Floats) -> Floats:
    """P(on) in the middle of each hour of the period, for a two-state chain with hourly rates, `[P]`.

    Exact: over an hour p relaxes towards up / (up + down) with e^-(up + down); the value at the
    period's beginning is the fixed point of going round once.
    """
    total = up_per_h + down_per_h
    goal, keep = up_per_h / total, np.exp(-total)
    scale, offset = 1.0, 0.0
    for g, k in zip(goal, keep, strict=True):
        scale, offset = scale * k, g + (offset - g) * k
    p = offset / (1.0 - scale)
    shares = np.empty_like(goal)
    for h, (g, k) in enumerate(zip(goal, keep, strict=True)):
        shares[h] = g + (p - g) * np.sqrt(k)
        p = g + (p - g) * k
    return shares


def _join(columns: list[tuple[Ints, _Stays]], n: int) -> _Stays:
    """The draws of several systems, each of some of the clients, as one."""
    width = max(stays[0].start_s.shape[1] for _, stays in columns)
    start_s, end_s = np.full((n, width), np.inf), np.full((n, width), np.inf)
    natural, profile = np.zeros((n, width), dtype=bool), np.empty((n, 24))
    for rows, (sessions, by_law, shape) in columns:
        own = sessions.start_s.shape[1]
        start_s[rows, :own], end_s[rows, :own] = sessions.start_s, sessions.end_s
        natural[rows, :own], profile[rows] = by_law, shape
    return Sessions(start_s, end_s, np.zeros((n, width), dtype=bool)), natural, profile
