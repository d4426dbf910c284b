"""Availability patterns of the literature: chains in slots, clusters, blocks of the day, cycles, sines."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ....common.arrays import Bools, Floats
from ..episode import AvailabilityEpisode, AvailabilityRequest, Sessions
from .base import GENERATORS, Pattern, Positive, Share


@GENERATORS.register("gilbert-elliott")
class GilbertElliott(Pattern):
    """Two-state chain in slots: share pi of the time on, correlation lambda from slot to slot.

    On-runs last 1 / ((1 - lambda)(1 - pi)) slots on average, off-runs 1 / ((1 - lambda) pi). With lambda = 0
    every slot is an independent coin.

    Attributes:
        pi: share available: one number, one per zone (data and availability then go together, since zones
            differ in their data), or one per client.
        correlation: lambda: one number, one per zone or one per client.
        slot_s: length of a slot.
    """

    pi: Share | tuple[Share, ...] = 0.5
    correlation: Share | tuple[Share, ...] = 0.0
    slot_s: Positive = 600.0

    @property
    def cycle_s(self) -> float:
        """See `Pattern.cycle_s`."""
        return self.slot_s

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        pi = per_client(self.pi, request, "pi")
        keep = np.minimum(per_client(self.correlation, request, "correlation"), 0.9999)
        slots = int(np.ceil(request.horizon_s / self.slot_s)) + 1
        states = chain_states(pi, keep, slots, rng)
        relaxation_h = -self.slot_s / np.log(np.clip(keep, 1e-9, 0.9999)) / 3600.0
        climatology = np.repeat(pi[:, None], 24, axis=1)
        return self._episode(sessions_of_slots(states, self.slot_s, rng), climatology, relaxation_h, rng)


@GENERATORS.register("clusters")
class ClusterAvailability(Pattern):
    """A hidden chain per zone times a coin of each client's own.

    Attributes:
        zone_pi: share of time that a zone is on.
        zone_correlation: lambda of the zones' chains; above .45 counts as high in the literature.
        client_pi: share available while the zone is on: one number, one per zone or one per client.
        client_correlation: lambda of the clients' own chains.
        slot_s: length of a slot.
    """

    zone_pi: Share = 0.6
    zone_correlation: Share = 0.9
    client_pi: Share | tuple[Share, ...] = 0.9
    client_correlation: Share = 0.5
    slot_s: Positive = 600.0

    @property
    def cycle_s(self) -> float:
        """See `Pattern.cycle_s`."""
        return self.slot_s

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        zones = request.utc_offset_h.size
        slots = int(np.ceil(request.horizon_s / self.slot_s)) + 1
        both = np.minimum([self.zone_correlation, self.client_correlation], 0.9999)
        zone = chain_states(np.full(zones, self.zone_pi), np.full(zones, both[0]), slots, rng)
        own_pi = per_client(self.client_pi, request, "client_pi")
        own = chain_states(own_pi, np.full(own_pi.size, both[1]), slots, rng)
        sessions = sessions_of_slots(zone[request.zone] & own, self.slot_s, rng)
        relaxation_h = -self.slot_s / np.log(np.clip(both.max(), 1e-9, 0.9999)) / 3600.0
        return self._episode(
            sessions, np.repeat(self.zone_pi * own_pi[:, None], 24, axis=1), relaxation_h, rng
        )


@GENERATORS.register("semi-cyclic")
class SemiCyclicAvailability(Pattern):
    """Blocks of the day: each client is available in its block only (Eichner et al. 2019).

    Attributes:
        blocks: how many blocks the day has; clients belong to them by zone, in turn.
        by_local_time: whether all have the same local hours instead, so that zones follow the sun.
        begin_h: first hour of the first block.
        share: probability that a client shows up in its block of a day.
    """

    blocks: Annotated[int, Field(ge=1, le=24)] = 6
    by_local_time: bool = False
    begin_h: Annotated[float, Field(ge=0, lt=24)] = 0.0
    share: Share = 1.0

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n, long_h = request.zone.size, 24.0 / self.blocks
        now_h = request.start_utc_s / 3600.0
        if self.by_local_time:
            first_h: Floats = (self.begin_h - request.local_offset_h) % 24.0
        else:
            first_h = np.asarray(
                (self.begin_h + long_h * (request.zone % self.blocks)) % 24.0, dtype=np.float64
            )
        days = int(np.ceil(request.horizon_s / 86400.0)) + 2
        start_h = np.floor(now_h / 24.0) * 24.0 - 24.0 + first_h[:, None] + 24.0 * np.arange(days + 1) - now_h
        shows = rng.random(start_h.shape) < self.share
        keep = shows & (start_h + long_h > 0) & (start_h * 3600.0 <= request.horizon_s)
        client, _ = np.nonzero(keep)
        begins = start_h[keep] * 3600.0
        sessions = Sessions.from_flat(client, begins, begins + long_h * 3600.0, n)
        # Share of each UTC hour that the block covers.
        since = (np.arange(24)[None, :] - first_h[:, None]) % 24.0
        covered = np.clip(long_h - since, 0.0, 1.0) + np.clip(since + 1.0 - 24.0, 0.0, None)
        return self._episode(sessions, self.share * np.clip(covered, 0.0, 1.0), 0.01, rng)


@GENERATORS.register("cyclic")
class CyclicAvailability(Pattern):
    """On for a share of every period, with a random phase of each client or group (Wang and Ji 2023; CyCP).

    Attributes:
        period_s: length of a cycle.
        share: share of it that a client is on: one number, one per zone or one per client.
        groups: if given, clients form so many groups with evenly spaced phases; otherwise phases are random.
    """

    period_s: Positive = 86400.0
    share: Share | tuple[Share, ...] = 0.5
    groups: Annotated[int, Field(ge=1)] | None = None

    @property
    def cycle_s(self) -> float:
        """See `Pattern.cycle_s`."""
        return self.period_s

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        n = request.zone.size
        share = per_client(self.share, request, "share")
        phase = rng.random(n)
        if self.groups is not None:
            phase = (np.arange(n) % self.groups) / self.groups + rng.random()
        turns = int(np.ceil(request.horizon_s / self.period_s)) + 2
        start_s = (np.arange(-1, turns)[None, :] - (phase % 1.0)[:, None]) * self.period_s
        end_s = start_s + (share * self.period_s)[:, None]
        keep = (end_s > 0) & (start_s <= request.horizon_s) & (end_s > start_s)
        client, _ = np.nonzero(keep)
        sessions = Sessions.from_flat(client, start_s[keep], end_s[keep], n)
        return self._episode(
            sessions, np.repeat(share[:, None], 24, axis=1), self.period_s / 3600.0 / 4.0, rng
        )


@GENERATORS.register("sine")
class SineAvailability(Pattern):
    """Coins whose bias follows a sine: pi (gamma sin(2 pi t / P) + 1 - gamma) (FedAWE, Xiang et al. 2024).

    Attributes:
        pi: share scale: one number, one per zone or one per client.
        gamma: depth of the wave.
        period_h: P.
        slot_s: length of a slot.
        cut_below: probabilities below this count as zero (their "interleaved" setting uses .1).
        by_local_time: whether each zone's wave follows its own clock.
    """

    pi: Share | tuple[Share, ...] = 0.8
    gamma: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    period_h: Positive = 24.0
    slot_s: Positive = 600.0
    cut_below: Share = 0.0
    by_local_time: bool = True

    @property
    def cycle_s(self) -> float:
        """See `Pattern.cycle_s`."""
        return self.slot_s

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        pi = per_client(self.pi, request, "pi")
        offset_h = request.local_offset_h if self.by_local_time else np.zeros(pi.size)
        slots = int(np.ceil(request.horizon_s / self.slot_s)) + 1
        now_h = request.start_utc_s / 3600.0 + np.arange(slots) * self.slot_s / 3600.0
        chance = self._chance(pi, now_h[None, :] + offset_h[:, None])
        sessions = sessions_of_slots(rng.random(chance.shape) < chance, self.slot_s, rng)
        hours = np.arange(24)[None, :] + 0.5 + offset_h[:, None]
        usual = (
            self._chance(pi, hours)
            if self.period_h == 24.0
            else np.repeat(pi[:, None], 24, 1) * (1 - self.gamma)
        )
        return self._episode(sessions, usual, self.slot_s / 3600.0 / 4.0, rng)

    def _chance(self, pi: Floats, hour: Floats) -> Floats:
        wave = pi[:, None] * (self.gamma * np.sin(2.0 * np.pi * hour / self.period_h) + 1.0 - self.gamma)
        return np.where(wave < self.cut_below, 0.0, wave)


def data_correlated_means(
    label_share: Floats, rng: np.random.Generator, mean: float = 0.4, least: float = 0.02
) -> Floats:
    """Availability that depends on the data: pi_k = <label shares of k, phi>, phi uniform per class.

    Scaled to a mean and cut below, as in FedAU's experiments (Wang and Ji 2023). Pass the result as `pi` of
    `gilbert-elliott` or of another pattern.

    Args:
        label_share: `[N, C]`, rows sum to one.
        rng: the only source of chance.
        mean: the mean share of the clients before cutting.
        least: the least share.

    Returns:
        `[N]`, within `[least, 1]`.
    """
    phi = rng.random(label_share.shape[1])
    pi = label_share @ phi
    return np.clip(pi * mean / max(float(pi.mean()), 1e-12), least, 1.0)


def per_client(value: float | tuple[float, ...], request: AvailabilityRequest, name: str) -> Floats:
    """A setting as `[N]`: one number for all, one per zone, or one per client.

    Raises:
        ValueError: if the number of values is neither that of zones nor that of clients.
    """
    n, zones = request.zone.size, request.utc_offset_h.size
    if isinstance(value, (int, float)):
        return np.full(n, float(value))
    if len(value) == n:
        return np.array(value)
    if len(value) == zones:
        return np.array(value)[request.zone]
    raise ValueError(
        f"availability: {name}: {len(value)} values, expected 1, {zones} (zones) or {n} (clients)"
    )


def chain_states(pi: Floats, keep: Floats, slots: int, rng: np.random.Generator) -> Bools:
    """States `[N, T]` of two-state chains with stationary share `pi` and slot correlation `keep`.

    A slot repeats the one before with probability lambda and is a fresh coin otherwise, which is the chain.
    """
    n = pi.size
    fresh = rng.random((n, slots)) >= keep[:, None]
    fresh[:, 0] = True
    coin = rng.random((n, slots)) < pi[:, None]
    latest = np.maximum.accumulate(np.where(fresh, np.arange(slots), 0), axis=1)
    return np.take_along_axis(coin, latest, axis=1)


def sessions_of_slots(states: Bools, slot_s: float, rng: np.random.Generator) -> Sessions:
    """Runs of slots as sessions, each client's grid moved by a random part of a slot."""
    n, slots = states.shape
    padded = np.zeros((n, slots + 2), dtype=bool)
    padded[:, 1:-1] = states
    client, edge = np.nonzero(padded[:, 1:] != padded[:, :-1])
    moved = np.asarray(rng.random(n))
    begin_s = (edge[0::2] - moved[client[0::2]]) * slot_s
    long_s = (edge[1::2] - edge[0::2]) * slot_s
    alive = begin_s + long_s > 0
    return Sessions.from_flat(client[0::2][alive], begin_s[alive], (begin_s + long_s)[alive], n)
