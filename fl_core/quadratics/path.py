"""How the optimum of a federation moves: a random walk, or jumps, of everybody or of one client at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ..data.streams import Drift, DriftEpisode

WALK_EVERY_S = 1800.0
"""A random walk stands still for so long between two of its steps."""
_STEP, _DISTANCE = 0.5, 2.0
"""Of a walk and of jumps, if the settings do not say."""


@dataclass(frozen=True)
class OptimumPath:
    """Where the clients' minimisers are, piecewise constant over the clock."""

    times_s: Floats  # [T] from when on; the first is 0, they grow
    offset: Floats  # [T, M, d] from where they were at the beginning; M = 1: of all, M = N: of each client

    def at(self, time_s: float) -> Floats:
        """`[M, d]`, the offsets at a moment; on the instant of a change those after it."""
        return np.asarray(self.offset[np.searchsorted(self.times_s, time_s, side="right") - 1])

    @property
    def length(self) -> float:
        """How far the minimisers go in all, on average over the clients; the V of dynamic regret."""
        steps = np.sqrt((np.diff(self.offset, axis=0) ** 2).sum(axis=2))
        return float(steps.sum(axis=0).mean())

    def episode(self, num_clients: int) -> DriftEpisode:
        """The same way as changes of each client's concept; concepts are the places of the path."""
        moved = (np.diff(self.offset, axis=0) != 0).any(axis=2)  # [T - 1, M]
        moved = np.broadcast_to(moved, (len(moved), num_clients))
        most = int(moved.sum(axis=0).max(initial=0))
        times_s, concept = np.full((num_clients, most), np.inf), np.zeros((num_clients, most + 1), int)
        for k in range(num_clients):
            places = np.flatnonzero(moved[:, k])
            times_s[k, : places.size] = self.times_s[1:][places]
            concept[k, 1 : places.size + 1] = places + 1
            concept[k, places.size + 1 :] = concept[k, places.size]
        return DriftEpisode(times_s, concept)


def drawn_path(
    settings: Drift, dimension: int, zone: Ints, num_zones: int, horizon_s: float, rng: np.random.Generator
) -> OptimumPath:
    """The path of one episode.

    Args:
        settings: `walk` or `jumps`, with whose they are; `none` stands still.
        dimension: d.
        zone: int `[N]`, of each client.
        num_zones: Z.
        horizon_s: until when.
        rng: source of all randomness.
    """
    if settings.kind == "walk":
        return walk(dimension, horizon_s, _STEP if settings.step is None else settings.step, rng)
    if settings.kind == "jumps":
        distance = _DISTANCE if settings.distance is None else settings.distance
        groups = {"all": None, "zone": num_zones, "client": zone.size}[settings.scope]
        path = jumps(dimension, horizon_s, settings.mean_h, distance, rng, groups)
        return OptimumPath(path.times_s, path.offset[:, zone]) if settings.scope == "zone" else path
    if settings.kind == "none":
        return OptimumPath(np.zeros(1), np.zeros((1, 1, dimension)))
    raise ValueError(f"drift: kind: {settings.kind}, expected none, walk or jumps in a world of quadratics")


def square_per_h(settings: Drift) -> float:
    """Mean square of the way that the minimisers go in an hour."""
    if settings.kind == "walk":
        return float((_STEP if settings.step is None else settings.step) ** 2)
    if settings.kind == "jumps":
        return float((_DISTANCE if settings.distance is None else settings.distance) ** 2 / settings.mean_h)
    return 0.0


def walk(dimension: int, horizon_s: float, step: float, rng: np.random.Generator) -> OptimumPath:
    """A random walk of all clients together: Gaussian steps, every `WALK_EVERY_S`.

    Args:
        dimension: d.
        horizon_s: how far ahead it is drawn.
        step: root mean square of the distance walked in an hour; after h hours it is sqrt(h) times that.
        rng: source of all randomness.
    """
    count = int(np.ceil(horizon_s / WALK_EVERY_S))
    spread = step * np.sqrt(WALK_EVERY_S / SECONDS_PER_HOUR / dimension)
    steps = spread * rng.standard_normal((count, 1, dimension))
    offset = np.concatenate([np.zeros((1, 1, dimension)), np.cumsum(steps, axis=0)])
    return OptimumPath(WALK_EVERY_S * np.arange(count + 1, dtype=np.float64), offset)


def jumps(
    dimension: int,
    horizon_s: float,
    mean_h: float,
    distance: float,
    rng: np.random.Generator,
    clients: int | None = None,
) -> OptimumPath:
    """Jumps of the same length in random directions, at the times of a Poisson process.

    Args:
        dimension: d.
        horizon_s: how far ahead they are drawn.
        mean_h: hours between two jumps, on average.
        distance: length of a jump.
        rng: source of all randomness.
        clients: how many jump at times of their own, each with that mean; None: all together.
    """
    count = 1 if clients is None else clients
    when = [_poisson_times(horizon_s, mean_h * SECONDS_PER_HOUR, rng) for _ in range(count)]
    direction = [rng.standard_normal((each.size, dimension)) for each in when]
    times_s = np.concatenate([[0.0], np.sort(np.concatenate(when))])
    offset = np.zeros((times_s.size, count, dimension))
    for k, (each, way) in enumerate(zip(when, direction, strict=True)):
        way = distance * way / np.sqrt((way**2).sum(axis=1, keepdims=True))
        for moment, jump in zip(each, way, strict=True):
            offset[times_s >= moment, k] += jump
    return OptimumPath(times_s, offset)


def _poisson_times(horizon_s: float, mean_s: float, rng: np.random.Generator) -> Floats:
    times: list[float] = []
    moment = rng.exponential(mean_s)
    while moment < horizon_s:
        times.append(moment)
        moment += rng.exponential(mean_s)
    return np.array(times)
