"""Preemptible cloud nodes: zones lose and regain capacity together, nodes go in batches."""

from __future__ import annotations

from math import asin, pi, sin
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtri

from ....common.arrays import Floats, Ints
from ....common.ranges import Drawn, drawn
from ....common.sizes import check_values
from ...numerics import autoregression
from ..climatology import remembered_mean
from ..episode import AvailabilityEpisode, AvailabilityRequest, Sessions, check_size
from ..forecasts import DEFAULT_FORECAST, AvailabilityForecastField
from .base import GENERATORS, DrawnShare, Positive, Share

_STEP_H = 1.0 / 6.0


@GENERATORS.register("spot")
class SpotAvailability(Drawn):
    """Spot nodes in Z zones.

    A zone has capacity while a latent stationary Gaussian AR(1) process (10-minute steps) lies above the
    threshold of the zone's own mean. With the correlation that gives the measured transition rates (up .53,
    down .30 per hour), the process also gives the measured autocorrelation of hourly availability
    (1, 2, 6, 12 h: .75, .57, .33, .14; AWS V100, 9 zones, 45 days). Zones of a region share a part of it.
    A node of a zone with capacity is withdrawn in batches: events at which each node goes with probability
    `batch_share`.

    Attributes:
        regions: region of each zone; by default two zones in a row share a region.
        zone_beta: Beta law of the zones' mean availability, SkyPilot traces: (2.3, 1.3).
        transitions_per_h: capacity comings and goings per zone and hour; .39 (9.3 a day) measured.
        correlation_in_region: of the on/off states of two zones of a region; .45 measured.
        correlation_across: of two zones of different regions; .13 measured.
        node_hazard_per_h: withdrawals per node and hour apart from the zone's; .3-.6 in Bamboo's traces.
        batch_share: share of a zone's nodes that such an event takes; 61 % of Bamboo's p3 removals came in
            batches of three or more.
        return_h: mean time until a withdrawn node is replaced while the zone has capacity (assumed).
        announced_share: share of withdrawals with a warning, or a range, drawn per episode.
        notice_s: how long ahead; two minutes on AWS by its documentation.
        observed_days: length of the past from which the coordinator knows each zone's mean.
        forecast: what the coordinator's forecast is made of (see `forecasts`).
    """

    regions: tuple[int, ...] | None = None
    zone_beta: tuple[Positive, Positive] = (2.3, 1.3)
    transitions_per_h: Annotated[float, Field(gt=0, lt=3)] = 0.39
    correlation_in_region: Share = 0.45
    correlation_across: Share = 0.13
    node_hazard_per_h: Annotated[float, Field(ge=0, le=60)] = 0.3
    batch_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    return_h: Positive = 0.5
    announced_share: DrawnShare = 1.0
    notice_s: Annotated[float, Field(ge=0)] = 120.0
    observed_days: Positive = 14.0
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    @model_validator(mode="after")
    def _prepare(self) -> SpotAvailability:
        if self.correlation_across > self.correlation_in_region:
            raise ValueError("expected correlation_across to be at most correlation_in_region")
        # Signs of two Gaussians of correlation r agree to 2/pi asin(r) (Sheppard 1899).
        self._latent_region = sin(pi / 2.0 * self.correlation_in_region)
        self._latent_across = sin(pi / 2.0 * self.correlation_across)
        # A crossing of the median happens in a step with probability acos(phi) / pi.
        self._phi = float(np.cos(pi * min(self.transitions_per_h * _STEP_H, 0.49)))
        one_hour = 2.0 / pi * asin(self._phi**6)
        self._relaxation_h = -1.0 / np.log(max(one_hour, 1e-3))
        return self

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        zones = request.utc_offset_h.size
        horizon_h = request.horizon_s / 3600.0
        mean = np.clip(rng.beta(*self.zone_beta, zones), 0.02, 0.98)
        capacity = self._capacity(mean, horizon_h, rng)
        nodes = self._withdraw(capacity, request, rng)
        warned = drawn(self.announced_share, rng)
        nodes.announced[:] = np.isfinite(nodes.start_s) & (rng.random(nodes.start_s.shape) < warned)
        looks = self.observed_days * 24.0 / (2.0 * self._relaxation_h)
        seen = remembered_mean(mean, self.zone_beta, looks, rng)
        # A node is out for a share of the time that its zone has capacity.
        kept = 1.0 / (1.0 + self.node_hazard_per_h * self.return_h)
        share = (seen * kept)[request.zone]
        n = request.zone.size
        # Own withdrawals make a node forget its state faster than its zone does.
        forget_per_h = 1.0 / self._relaxation_h + self.node_hazard_per_h
        return AvailabilityEpisode(
            sessions=nodes,
            climatology=np.repeat(share[:, None], 24, axis=1).astype(np.float32),
            relaxation_s=np.full(n, 3600.0 / forget_per_h),
            announce_notice_s=self.notice_s,
            forecast=self.forecast,
            seed=int(rng.integers(2**62)),
            announced_share=warned,
        )

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Any number of nodes and any horizon will do."""
        check_size(num_clients, horizon_s)

    def _capacity(self, mean: Floats, horizon_h: float, rng: np.random.Generator) -> Sessions:
        """When each zone has capacity, from twelve hours before the episode on."""
        zones = mean.size
        regions = np.arange(zones) // 2 if self.regions is None else np.resize(self.regions, zones)
        _, region = np.unique(regions, return_inverse=True)
        count = int(region.max()) + 1
        before_h = 12.0
        steps = int(np.ceil((horizon_h + before_h) / _STEP_H)) + 2
        shocks = rng.standard_normal((1 + count + zones, steps))
        across, within = self._latent_across, self._latent_region
        mixed = (
            np.sqrt(across) * shocks[:1]
            + np.sqrt(within - across) * shocks[1 : 1 + count][region]
            + np.sqrt(1.0 - within) * shocks[1 + count :]
        )
        level = autoregression(np.full(zones, self._phi), mixed) + ndtri(mean)[:, None]
        on = level > 0
        # A crossing is placed within its step where the straight line between the two values is zero.
        zone, step = np.nonzero(on[:, 1:] != on[:, :-1])
        low, high = level[zone, step], level[zone, step + 1]
        time_s = ((step + low / (low - high)) * _STEP_H - before_h) * 3600.0
        return _from_changes(
            zone,
            time_s,
            np.where(on[zone, step + 1], 1, -1),
            on[:, 0].astype(np.int64),
            1,
            -before_h * 3600.0,
            (horizon_h + 1.0) * 3600.0,
        )

    def _withdraw(
        self, capacity: Sessions, request: AvailabilityRequest, rng: np.random.Generator
    ) -> Sessions:
        """Sessions of the nodes: their zone has capacity and they are not withdrawn themselves."""
        n, zones = request.zone.size, capacity.num_clients
        first_s, last_s = -12.0 * 3600.0, request.horizon_s + 3600.0
        rate_per_s = self.node_hazard_per_h / self.batch_share / 3600.0
        usual = rate_per_s * (last_s - first_s)
        what = f"availability: withdrawals of {n} nodes within {request.horizon_s:g} s"
        check_values(what, usual, zones, n, do="take fewer withdrawals per hour, or larger batches")
        events = rng.poisson(usual, zones)
        event_zone = np.repeat(np.arange(zones), events)
        event_s = first_s + (last_s - first_s) * rng.random(event_zone.size)
        hit = (rng.random((event_zone.size, n)) < self.batch_share) & (event_zone[:, None] == request.zone)
        event, node = np.nonzero(hit)
        away_s = 3600.0 * self.return_h * rng.standard_exponential(event.size)
        # Levels: +1 while the zone has capacity, -1 while withdrawn; a node runs at level one.
        real = np.isfinite(capacity.start_s)[request.zone]
        owner, _ = np.nonzero(real)
        begin, finish = capacity.start_s[request.zone][real], capacity.end_s[request.zone][real]
        client = np.concatenate([owner, owner, node, node])
        time_s = np.concatenate([begin, finish, event_s[event], event_s[event] + away_s])
        change = np.repeat([1, -1, -1, 1], [owner.size, owner.size, node.size, node.size])
        sessions = _from_changes(client, time_s, change, np.zeros(n, dtype=np.int64), 1, first_s, np.inf)
        return _within(sessions, request.horizon_s)


def _from_changes(
    client: Ints,
    time_s: Floats,
    change: Ints,
    level: Ints,
    need: int,
    first_s: float,
    last_s: float,
) -> Sessions:
    """Sessions during which a client's level, changed at the given times, is at least `need`."""
    n = level.size
    client = np.concatenate([np.arange(n), client])
    time_s = np.concatenate([np.full(n, first_s), time_s])
    change = np.concatenate([level, change])
    order = np.lexsort((time_s, client))
    client, time_s = client[order], time_s[order]
    total = np.cumsum(change[order])
    begins = np.flatnonzero(np.concatenate([[True], client[1:] != client[:-1]]))
    base = (total - change[order])[begins]
    now = total - np.repeat(base, np.diff(np.append(begins, client.size)))
    until = np.append(time_s[1:], last_s)
    until[np.append(client[1:] != client[:-1], True)] = last_s
    on = (now >= need) & (until > time_s)
    return Sessions.from_flat(client[on], time_s[on], until[on], n)


def _within(sessions: Sessions, horizon_s: float) -> Sessions:
    """Leave out sessions that have ended by t = 0 or begin after the horizon."""
    client, slot = np.nonzero(
        np.isfinite(sessions.start_s) & (sessions.end_s > 0.0) & (sessions.start_s <= horizon_s)
    )
    start_s, end_s = sessions.start_s[client, slot], sessions.end_s[client, slot]
    return Sessions.from_flat(client, start_s, end_s, sessions.num_clients)
