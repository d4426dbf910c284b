"""Heterogeneous quadratic objectives with an exact optimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats, Ints32
from ...common.settings import Settings, parse_settings
from ...common.sizes import check_values
from .kernels import expand, hessians, minimiser
from .path import OptimumPath


class QuadraticSettings(Settings):
    """Settings of a random heterogeneous quadratic.

    Attributes:
        dimension: length d of the parameter vector.
        convexity: smallest eigenvalue mu of every client's Hessian.
        smoothness: largest eigenvalue L of every client's Hessian.
        zone_spread: how far the zones' minimisers scatter per coordinate.
        client_spread: how far a client's minimiser scatters around its zone's.
        start_distance: distance of the starting point from the optimum.
        rows_per_client: mean number of rows a client owns; sets its weight, and what hub rows dilute.
        size_sigma: spread of a log-normal number of rows.
        gradient_noise: standard deviation of the noise on each coordinate of each local gradient.
        chance: accuracy reported at the starting point.
    """

    dimension: int = Field(default=8, ge=1, le=512)
    convexity: float = Field(default=0.5, gt=0)
    smoothness: float = Field(default=4.0, gt=0)
    zone_spread: float = Field(default=1.0, ge=0)
    client_spread: float = Field(default=0.5, ge=0)
    start_distance: float = Field(default=6.0, gt=0)
    rows_per_client: int = Field(default=100, ge=1)
    size_sigma: float = Field(default=0.0, ge=0)
    gradient_noise: float = Field(default=0.0, ge=0)
    chance: float = Field(default=0.1, gt=0, lt=1)


@dataclass(frozen=True)
class QuadraticProblem:
    """One environment's quadratics; plays the part that `ClientRows` plays for data."""

    hessian: Floats  # [N, d, d] symmetric positive definite
    centre: Floats  # [N, d] minimiser of each client
    target_weight: Floats  # [N] alpha
    own: Ints32  # [N] rows owned
    capacity: Ints32  # [N] rows held once everything has been sent
    start: Floats  # [d] starting point
    path: OptimumPath | None = None  # how the minimisers move away from `centre`; None: they do not

    def at(self, time_s: float) -> QuadraticProblem:
        """The problem as it stands at a moment, with its minimisers there for good."""
        if self.path is None:
            return self
        return replace(self, centre=self.centre + self.path.at(time_s), path=None)

    def optimum(self, weight: Floats | None = None) -> Floats:
        """`argmin_w sum_k weight_k F_k(w)`; with the target weights by default."""
        weight = self.target_weight if weight is None else weight
        mean = np.einsum("k,kij->ij", weight, self.hessian)
        return np.linalg.solve(mean, np.einsum("k,kij,kj->i", weight, self.hessian, self.centre))

    @cached_property
    def expanded(self) -> tuple[Floats, Floats, Floats, Floats]:
        """A, b and c of `1/2 w^T A w - b^T w + c` of all clients and, last, F; and the optimum of F."""
        n, d = self.centre.shape
        tables = np.empty((n + 1, d, d)), np.empty((n + 1, d)), np.empty(n + 1)
        expand(self.hessian, self.centre, self.target_weight, *tables)
        optimum: Floats = minimiser(tables[0][-1], tables[1][-1])
        if not np.isfinite(optimum).all():
            raise ValueError("hessian: the weighted sum is not positive definite, so that F has no minimum")
        return *tables, optimum

    def client_losses(self, w: Floats) -> Floats:
        """`[N]`, every F_k(w)."""
        x = w - self.centre
        return np.asarray(0.5 * np.einsum("ki,kij,kj->k", x, self.hessian, x))

    def loss(self, w: Floats, weight: Floats | None = None) -> float:
        """`sum_k weight_k F_k(w)`; with the target weights by default."""
        return float((self.target_weight if weight is None else weight) @ self.client_losses(w))

    def gap(self, w: Floats) -> float:
        """`F(w) - F*`."""
        return self.loss(w) - self.loss(self.optimum())


def quadratic_problem(
    settings: QuadraticSettings | Mapping[str, object],
    num_clients: int,
    zone: AnyArray,
    num_zones: int,
    rng: np.random.Generator,
    hub_rows_per_client: int = 0,
) -> QuadraticProblem:
    """Draw one environment's quadratics; minimisers are correlated within zones.

    Args:
        settings: sizes and spreads.
        num_clients: N.
        zone: int `[N]`.
        num_zones: Z.
        rng: source of all randomness.
        hub_rows_per_client: most hub rows one client can be sent.

    Returns:
        The problem; the starting point lies `start_distance` from the optimum in a random direction.

    Raises:
        ValueError: bad settings or zones.
    """
    if not isinstance(settings, QuadraticSettings):
        settings = parse_settings(QuadraticSettings, settings, "quadratic")
    if settings.smoothness < settings.convexity:
        raise ValueError(
            f"quadratic: smoothness: {settings.smoothness}, expected at least convexity={settings.convexity}"
        )
    zone = np.asarray(zone, dtype=np.int64)
    if zone.shape != (num_clients,) or zone.min() < 0 or zone.max() >= num_zones:
        raise ValueError(f"zone: expected {num_clients} integers in [0, {num_zones})")
    d = settings.dimension
    what = f"quadratic: dimension: {d} for {num_clients} clients"
    check_values(what, num_clients, d, d, do="take fewer of either")
    spectrum = rng.uniform(settings.convexity, settings.smoothness, (num_clients, d))
    spectrum[:, 0], spectrum[:, -1] = settings.convexity, settings.smoothness
    hessian = hessians(rng.standard_normal((num_clients, d, d)), spectrum)
    centre = settings.zone_spread * rng.standard_normal((num_zones, d))[zone]
    centre = centre + settings.client_spread * rng.standard_normal((num_clients, d))
    size = settings.rows_per_client * np.exp(settings.size_sigma * rng.standard_normal(num_clients))
    own = np.maximum(1, np.rint(size)).astype(np.int32)
    direction = rng.standard_normal(d)
    direction *= settings.start_distance / np.sqrt((direction * direction).sum())
    problem = QuadraticProblem(
        hessian, centre, own / own.sum(), own, own + np.int32(hub_rows_per_client), np.zeros(d)
    )
    problem.start[...] = problem.expanded[3] + direction
    return problem
