"""Federated learning on quadratics: the same rounds with an exact optimum, for theory and for speed.

Client k minimises ``F_k(w) = 1/2 (w - c_k)^T A_k (w - c_k)``, the federation ``F = sum_k alpha_k F_k``. Local
training is gradient descent carried out step by step in double precision. A client that was sent rows from
the hub trains on the mixture ``(1 - theta) F_k + theta F`` with theta the share of those rows in what it
holds: hub rows are a random sample of everybody's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from .aggregate import Aggregator, Start
from .draws import normal_pair
from .engine import BoolArray, RoundEngine
from .quadratic_kernels import expand, hessians, minimiser, multiply, value
from .settings import Settings, TrainingSettings, parse_settings
from .threads import run_ranges
from .trainer import LocalUpdates

FloatArray = NDArray[np.float64]


class QuadraticSettings(Settings):
    """Settings of a random heterogeneous quadratic.

    Attributes:
        dimension: Length d of the parameter vector.
        convexity: Smallest eigenvalue mu of every client's Hessian.
        smoothness: Largest eigenvalue L of every client's Hessian.
        zone_spread: How far the zones' minimisers scatter per coordinate.
        client_spread: How far a client's minimiser scatters around its zone's.
        start_distance: Distance of the starting point from the optimum.
        rows_per_client: Mean number of rows a client owns; sets its weight, and what hub rows dilute.
        size_sigma: Spread of a log-normal number of rows.
        gradient_noise: Standard deviation of the noise on each coordinate of each local gradient.
        chance: Accuracy reported at the starting point.
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
    """One environment's quadratics; plays the part that `ClientRows` plays for data.

    Attributes:
        hessian: ``float64 [N, d, d]``, symmetric positive definite.
        centre: ``float64 [N, d]``, minimiser of each client.
        target_weight: ``float64 [N]``, alpha.
        own: ``int32 [N]``, rows owned.
        capacity: ``int32 [N]``, rows held once everything has been sent.
        start: ``float64 [d]``, starting point.
    """

    hessian: FloatArray
    centre: FloatArray
    target_weight: FloatArray
    own: NDArray[np.int32]
    capacity: NDArray[np.int32]
    start: FloatArray

    def optimum(self, weight: FloatArray | None = None) -> FloatArray:
        """``argmin_w sum_k weight_k F_k(w)``; with the target weights by default."""
        weight = self.target_weight if weight is None else weight
        mean = np.einsum("k,kij->ij", weight, self.hessian)
        return np.linalg.solve(mean, np.einsum("k,kij,kj->i", weight, self.hessian, self.centre))

    @cached_property
    def expanded(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """A, b and c of ``1/2 w^T A w - b^T w + c`` of all clients and, last, F; and the optimum of F."""
        n, d = self.centre.shape
        tables = np.empty((n + 1, d, d)), np.empty((n + 1, d)), np.empty(n + 1)
        expand(self.hessian, self.centre, self.target_weight, *tables)
        optimum: FloatArray = minimiser(tables[0][-1], tables[1][-1])
        if not np.isfinite(optimum).all():
            raise ValueError("hessian: the weighted sum is not positive definite, so that F has no minimum")
        return *tables, optimum

    def client_losses(self, w: FloatArray) -> FloatArray:
        """``float64 [N]``, every F_k(w)."""
        x = w - self.centre
        return 0.5 * np.einsum("ki,kij,kj->k", x, self.hessian, x)

    def loss(self, w: FloatArray, weight: FloatArray | None = None) -> float:
        """``sum_k weight_k F_k(w)``; with the target weights by default."""
        return float((self.target_weight if weight is None else weight) @ self.client_losses(w))

    def gap(self, w: FloatArray) -> float:
        """``F(w) - F*``."""
        return self.loss(w) - self.loss(self.optimum())


def quadratic_problem(
    settings: QuadraticSettings | Mapping[str, Any],
    num_clients: int,
    zone: NDArray[Any],
    num_zones: int,
    rng: np.random.Generator,
    hub_rows_per_client: int = 0,
) -> QuadraticProblem:
    """Draws one environment's quadratics; minimisers are correlated within zones.

    Args:
        settings: Sizes and spreads.
        num_clients: N.
        zone: ``int [N]``.
        num_zones: Z.
        rng: Source of all randomness.
        hub_rows_per_client: Most hub rows one client can be sent.

    Returns:
        The problem; the starting point lies ``start_distance`` from the optimum in a random direction.

    Raises:
        ValueError: Bad settings or zones.
    """
    if not isinstance(settings, QuadraticSettings):
        settings = parse_settings(QuadraticSettings, settings, "quadratic")
    if settings.smoothness < settings.convexity:
        raise ValueError(f"quadratic: smoothness={settings.smoothness}: expected >= {settings.convexity}")
    zone = np.asarray(zone, dtype=np.int64)
    if zone.shape != (num_clients,) or zone.min() < 0 or zone.max() >= num_zones:
        raise ValueError(f"zone: expected {num_clients} integers in [0, {num_zones})")
    d = settings.dimension
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


@njit(cache=True, nogil=True, error_model="numpy")
def _descend_range(  # type: ignore[no-untyped-def]
    begin, end, env, client, steps, seed, round_index, theta, hessian, linear, constant, pool, origin,
    correction, rate, decay, mu, noise, delta, losses, norms,
):  # fmt: skip
    """Local gradient descent of the jobs ``begin:end``."""
    d, last = pool.shape[1], hessian.shape[1] - 1  # the last "client" is the federation's mean
    a, b = np.empty((d, d)), np.empty(d)  # a: column by column
    x, gradient, product = np.empty(d), np.empty(d), np.empty(d)
    for j in range(begin, end):
        e, k, t = env[j], client[j], theta[j]
        for i in range(d):
            b[i] = (1 - t) * linear[e, k, i] + t * linear[e, last, i]
            x[i] = pool[origin[j], i]
            for m in range(d):
                a[m, i] = (1 - t) * hessian[e, k, i, m] + t * hessian[e, last, i, m]
        offset = (1 - t) * constant[e, k] + t * constant[e, last]
        loss = 0.0
        for s in range(steps[j]):
            value = 0.0
            multiply(a, x, product)
            for i in range(d):
                value += x[i] * (0.5 * product[i] - b[i])
                gradient[i] = product[i] - b[i] + decay * x[i] + mu * (x[i] - pool[origin[j], i])
                if correction.shape[0] > 0:
                    gradient[i] += correction[j, i]
            loss += value + offset
            if noise > 0:
                for i in range(0, d, 2):
                    one, two = normal_pair(seed[j], round_index[j], k, s, i)
                    gradient[i] += noise * one
                    if i + 1 < d:
                        gradient[i + 1] += noise * two
            for i in range(d):
                x[i] -= rate * gradient[i]
        square = 0.0
        for i in range(d):
            delta[j, i] = x[i] - pool[origin[j], i]
            square += delta[j, i] * delta[j, i]
        losses[j] = loss / max(1, steps[j])
        norms[j] = np.sqrt(square)


@njit(cache=True, nogil=True)
def _values(env, client, params, hessian, linear, constant):  # type: ignore[no-untyped-def]
    """F_k of the jobs' clients (client N = the federation) at their server's model."""
    out = np.empty(env.size)
    for j in range(env.size):
        e, k = env[j], client[j]
        out[j] = value(params[e], hessian[e, k], linear[e, k], constant[e, k])
    return out


class QuadraticCore(RoundEngine):
    """`FederatedCore`'s interface over quadratics.

    Args:
        settings: Settings of the problems (used for noise, chance level and dimension).
        num_envs: E.
        num_clients: N.
        training: As for `FederatedCore`; ``batch_size`` has no meaning here.
        aggregator: As for `FederatedCore`.
        history: As for `FederatedCore`.
        compression: As for `FederatedCore`.
    """

    _STATE = (*RoundEngine._STATE, "hessian", "linear", "constant", "best", "start_gap")

    def __init__(
        self,
        settings: QuadraticSettings | Mapping[str, Any],
        num_envs: int,
        num_clients: int,
        training: TrainingSettings | Mapping[str, Any] | None = None,
        aggregator: str | Mapping[str, Any] | Aggregator = "by-samples",
        history: int = 0,
        compression: str | Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(settings, QuadraticSettings):
            settings = parse_settings(QuadraticSettings, settings, "quadratic")
        d = settings.dimension
        super().__init__(num_envs, num_clients, d, np.float64, training, aggregator, history, compression)
        self.settings = settings
        self._hessian = np.zeros((num_envs, num_clients + 1, d, d))
        self._linear = np.zeros((num_envs, num_clients + 1, d))
        self._constant = np.zeros((num_envs, num_clients + 1))
        self._best = np.zeros(num_envs)
        self._start_gap = np.ones(num_envs)

    def reset(self, env: int, problem: QuadraticProblem, seed: int) -> None:
        """Starts an environment afresh on a problem.

        Args:
            env: Index of the environment.
            problem: Its quadratics.
            seed: Non-negative seed of the gradient noise.
        """
        offset = np.concatenate([[0], np.cumsum(problem.capacity, dtype=np.int64)])
        self._begin(env, problem.own, offset, problem.target_weight, seed, problem.start)
        hessian, linear, constant, optimum = problem.expanded
        self._hessian[env], self._linear[env], self._constant[env] = hessian, linear, constant
        federation = hessian[-1], linear[-1], constant[-1]
        self._best[env] = value(optimum, *federation)
        self._start_gap[env] = max(value(problem.start, *federation) - self._best[env], 1e-12)

    def _local(
        self, env: NDArray, client: NDArray, steps: NDArray, round_index: NDArray, start: Start
    ) -> LocalUpdates:
        """Exact local updates."""
        count, d = env.size, self.settings.dimension
        delta, loss, norm = np.empty((count, d)), np.empty(count), np.empty(count)
        held = self._held[env, client]
        theta = (held - self._own[env, client]) / np.maximum(1, held)
        correction = np.empty((0, d)) if start.correction is None else start.correction
        t = self.training
        args = (
            env, client, steps, self._seed[env], round_index, theta, self._hessian, self._linear,
            self._constant, start.pool, start.origin, correction, t.learning_rate, t.weight_decay, t.prox_mu,
            self.settings.gradient_noise, delta, loss, norm,
        )  # fmt: skip
        if count:
            work = np.concatenate([[0], np.cumsum((steps + 1) * d * d)])
            run_ranges(lambda begin, end: _descend_range(begin, end, *args), work, 500_000)
        return LocalUpdates(delta, loss.astype(np.float32), norm.astype(np.float32))

    def evaluate(self, envs: BoolArray | None = None, part: str = "val") -> tuple[FloatArray, FloatArray]:
        """Measures the servers' models; validation and test are the same exact objective here.

        Args:
            envs: ``bool [E]``, which environments; None = all. The others get nan.
            part: ``"val"`` or ``"test"``.

        Returns:
            ``accuracy = 1 / (1 + (1 / chance - 1) gap / gap_0)`` with ``gap = F - F*``: the chance level at
            the start, 1 at the optimum, monotone between; and the loss F. Each ``float64 [E]``.
        """
        if part not in ("val", "test"):
            raise ValueError(f"part={part!r}: expected 'val' or 'test'")
        which = np.arange(self.num_envs) if envs is None else np.flatnonzero(envs)
        accuracy, loss = np.full(self.num_envs, np.nan), np.full(self.num_envs, np.nan)
        federation = np.full(which.size, self.num_clients)
        loss[which] = self._value(which, federation)
        gap = np.maximum(loss[which] - self._best[which], 0.0) / self._start_gap[which]
        accuracy[which] = 1.0 / (1.0 + (1.0 / self.settings.chance - 1.0) * gap)
        return accuracy, loss

    def gap(self) -> FloatArray:
        """``float64 [E]``, F(w) - F*."""
        return self.evaluate()[1] - self._best

    def _value(self, env: NDArray, client: NDArray) -> FloatArray:
        return _values(env, client, self._params, self._hessian, self._linear, self._constant)

    def client_accuracy(self, part: str = "test") -> FloatArray:
        """How well each server's model serves each client.

        Returns:
            ``float64 [E, N]``, the formula of `evaluate` with the client's own loss: its gap is F_k(w), since
            its best loss is 0, measured in the federation's gap at the start, one yardstick for all.
        """
        if part not in ("val", "test"):
            raise ValueError(f"part={part!r}: expected 'val' or 'test'")
        env, client = np.divmod(np.arange(self.num_envs * self.num_clients), self.num_clients)
        gap = np.maximum(self._value(env, client), 0.0).reshape(self._held.shape) / self._start_gap[:, None]
        return np.asarray(1.0 / (1.0 + (1.0 / self.settings.chance - 1.0) * gap))

    def client_losses(
        self,
        clients: BoolArray,
        samples: NDArray[Any] | None = None,
        round_index: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """``float32 [E, N]``, F_k of the current models; nan for those not asked.

        ``samples`` and ``round_index`` are those of `FederatedCore`; here every answer is exact.
        """
        env, client = self._workers(np.asarray(clients, dtype=bool))
        return self._spread(env, client, self._value(env, client))
