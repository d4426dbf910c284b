"""Data transfer from the hub: by a threshold on costs, or by the marginal value of mixing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Floats, Ints32
from ....common.units import BYTES_PER_GB, JOULES_PER_KWH
from ....envs.contract import Situation
from ..base import Rule, knob


def sample_points(situation: Situation) -> Floats:
    """Accuracy points `[E, N]` that moving one sample to a client costs: bytes, joules and seconds."""
    size = situation.terms.sample_bytes[:, None]
    joules = size * situation.clients.network_j_per_byte
    kilograms = joules / JOULES_PER_KWH * situation.client_carbon / 1e3
    hours = size / situation.clients.down_bytes_per_s / 3600.0
    return (
        situation.terms.price_per_gb[:, None] * size / BYTES_PER_GB
        + situation.terms.price_per_kg[:, None] * kilograms
        + situation.terms.price_per_hour[:, None] * hours
    )


def threshold_samples(cost: Floats, held: Floats, worth: float, convex: bool) -> Floats:
    """Samples `[E, N]` worth moving, at `cost` points each.

    Source: Tu et al., "Network-Aware Optimization of Distributed Learning for Fog Computing", INFOCOM 2020.
    With a constant cost f of discarding a sample the optimum is a threshold: move everything where the link
    costs less than f, nothing elsewhere. With the error worth / sqrt(G) of G samples held it is where the
    marginal worth / (2 G^1.5) meets the cost.

    Args:
        cost: `[E, N]`, points per sample moved.
        held: `[E, N]`, samples there already.
        worth: points, per sample (linear) or at one sample (convex).
        convex: the error falls with what is held.

    Returns:
        Not negative; infinity where there is no end to it.
    """
    if not convex:
        return np.where(cost < worth, np.inf, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        goal = (worth / (2.0 * cost)) ** (2.0 / 3.0)
    return np.maximum(goal - held, 0.0)


def marginal_samples(cost: Floats, own: Floats, mixed: Floats, price: Floats) -> Floats:
    """More samples `[E, N]` until the saving of one no longer pays.

    A share theta of data from the union turns a client's gradient at the optimum into (1 - theta) times it,
    so its price of variance and correlation falls to price (1 - theta)^2 = price (own / (own + x))^2. The
    marginal saving 2 price own^2 / (own + x)^3 meets the cost at x = (2 price own^2 / cost)^(1/3) - own.

    Args:
        cost: `[E, N]`, points per sample moved.
        own: `[E, N]`, samples of the client's own.
        mixed: `[E, N]`, samples moved to it before.
        price: `[E, N]`, points that its skew costs without any.

    Returns:
        Not negative; infinity where moving is free and saves.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        goal = np.cbrt(2.0 * price * own**2 / cost) - own
    return np.where(price * own > 0, np.maximum(goal - mixed, 0.0), 0.0)


@dataclass(kw_only=True)
class TransferThreshold(Rule):
    """Cost-aware data transfer: sends hub data while a sample is worth more than its link (Tu et al. 2020).

    Random m participants; each is sent data from the hub while a sample is worth more than its link costs.
    Paper: Tu, Ruan, Wang, Wagle, Brinton & Joe-Wong, "Network-Aware Optimization of Distributed Learning for
    Fog Computing", INFOCOM 2020. Here data moves from the hub only, and processing it costs nothing extra
    (the local steps are what they are), so the rule is: move to j if c_ij < f.
    Needs: bandwidths, network energy, carbon now, prices, samples held, storage.
    Aggregation: the world's aggregator, by the data then held.
    Defaults: the error that falls with the square root of what is held; m = 10, 10 local steps.
    `transfer_samples` plays no part.
    """

    name: ClassVar[str] = "transfer-threshold"

    worth: float = knob(
        0.5,
        "points: f per sample (linear), or the error at one sample (convex)",
        low=1e-4,
        high=100.0,
        log=True,
    )
    error: str = knob("convex", "does the error fall with what is held", choices=("linear", "convex"))

    def transfers(self, situation: Situation) -> Ints32:
        """What the threshold allows, at least something to those who hold nothing."""
        held = situation.clients.samples_held.astype(np.float64)
        wanted = threshold_samples(sample_points(situation), held, self.worth, self.error == "convex")
        return _ordered(super().transfers(situation), wanted, situation)


@dataclass(kw_only=True)
class TransferMarginal(Rule):
    """Marginal data transfer: sends hub data where it most lowers the price of rare, correlated availability.

    Random m participants; data goes where it most lowers the price of rare and correlated availability.
    Source: the small-step variance of unbiased federated averaging under Markovian availability (Rodio et
    al. 2023), price_k = (1 - pi)/pi (1 + lambda)/(1 - lambda) |grad F_k|^2 alpha_k^2, falls to
    (1 - theta)^2 of it when a share theta of the client's data is drawn from the union. pi is the share of
    decisions at which a client was seen (with one pseudo-count of each), lambda what the forecast at
    its first lead says: P(on | on) = pi + (1 - pi) lambda; |grad F_k| the length of its last update (the
    mean of the others while unknown). Prices are relative to their mean; `worth` turns them into points.
    Paper: none; derived.
    Needs: sightings, availability forecast, update lengths, bandwidths, prices, storage.
    Aggregation: the world's aggregator.
    Defaults: a mean client's skew costs 0.05 points; m = 10, 10 local steps. `transfer_samples`
    plays no part.
    """

    name: ClassVar[str] = "transfer-marginal"

    worth: float = knob(0.05, "points that the skew of a mean client costs", low=1e-3, high=100.0, log=True)

    def transfers(self, situation: Situation) -> Ints32:
        """Up to where the next sample no longer pays."""
        own = (situation.clients.samples_held - situation.clients.samples_sent).astype(np.float64)
        mixed = situation.clients.samples_sent.astype(np.float64)
        price = self.worth * skew_price(situation)
        wanted = marginal_samples(sample_points(situation), own, mixed, price)
        return _ordered(super().transfers(situation), wanted, situation)


def skew_price(situation: Situation) -> Floats:
    """Price `[E, N]` of each client's skew, over the mean of its environment."""
    pi = (situation.clients.sightings + 1.0) / (situation.run.looks[:, None] + 2.0)
    if situation.clients.forecast_leads_s.size:
        stays = np.where(situation.clients.available, situation.clients.available_forecast[:, :, 0], pi)
        correlation = np.clip((stays - pi) / np.maximum(1.0 - pi, 1e-9), 0.0, 0.95)
    else:
        correlation = np.zeros(pi.shape)
    known = np.isfinite(situation.clients.last_norm)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    norm = np.where(known, situation.clients.last_norm, 0.0)
    mean = norm.sum(axis=1, keepdims=True) / count
    length = np.where(known, norm, np.where(mean > 0, mean, 1.0))
    rare = (1.0 - pi) / pi * (1.0 + correlation) / (1.0 - correlation)
    price = rare * length**2 * situation.clients.target_weight**2
    found: Floats = price / np.maximum(price.mean(axis=1, keepdims=True), 1e-300)
    return found


def _ordered(least: Ints32, wanted: Floats, situation: Situation) -> Ints32:
    """Whole samples within storage, never fewer than `least` where the client holds nothing."""
    bare = np.where(situation.clients.samples_held == 0, least, 0)
    room = situation.clients.storage_left
    return np.clip(np.maximum(np.minimum(np.floor(wanted), room), bare), 0, room).astype(np.int32)
