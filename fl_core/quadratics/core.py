"""Federated learning on quadratics: the same rounds with an exact optimum, for theory and for speed.

Client k minimises `F_k(w) = 1/2 (w - c_k)^T A_k (w - c_k)`, the federation `F = sum_k alpha_k F_k`. Local
training is gradient descent carried out step by step in double precision. A client that was sent rows from
the hub trains on the mixture `(1 - theta) F_k + theta F` with theta the share of those rows in what it
holds: hub rows are a random sample of everybody's data.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32
from ...common.settings import Spec, parse_settings
from ..aggregation import Aggregator, Attack, Compression, Start
from ..federation import RoundEngine, Task
from ..numerics import run_ranges
from ..training import LocalTraining, LocalUpdates
from .kernels import Descent, DescentJobs, Tables, descend_range, value, values
from .problem import QuadraticProblem, QuadraticSettings

# Multiply-adds worth a thread.
_WORTH_A_THREAD = 500_000


class QuadraticCore(RoundEngine):
    """`FederatedCore`'s interface over quadratics.

    Args:
        settings: settings of the problems (used for noise, chance level and dimension).
        num_envs: E.
        num_clients: N.
        training: as for `FederatedCore`; `batch_size` has no meaning here.
        aggregator: as for `FederatedCore`.
        history: as for `FederatedCore`.
        compression: as for `FederatedCore`.
    """

    _STATE: tuple[str, ...] = (
        *RoundEngine._STATE,
        "hessian",
        "linear",
        "constant",
        "best",
        "start_gap",
    )
    _follows = False  # problems whose minimisers move

    def __init__(
        self,
        settings: QuadraticSettings | Mapping[str, object],
        num_envs: int,
        num_clients: int,
        training: LocalTraining | Mapping[str, object] | None = None,
        aggregator: Spec | Aggregator = "by-samples",
        history: int = 0,
        compression: Spec | Compression | None = None,
    ) -> None:
        if not isinstance(settings, QuadraticSettings):
            settings = parse_settings(QuadraticSettings, settings, "quadratic")
        d = settings.dimension
        super().__init__(num_envs, num_clients, d, np.float64, training, aggregator, history, compression)
        if self.training.adamw is not None:
            raise ValueError(
                f"optimiser: {self.training.optimiser!r}, expected 'sgd' in a world of quadratics"
            )
        self.settings = settings
        self._hessian = np.zeros((num_envs, num_clients + 1, d, d))
        self._linear = np.zeros((num_envs, num_clients + 1, d))
        self._constant = np.zeros((num_envs, num_clients + 1))
        self._best = np.zeros(num_envs)
        self._start_gap = np.ones(num_envs)

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`; the task is a `QuadraticProblem`, the seed that of the gradient noise."""
        if not isinstance(task, QuadraticProblem):
            raise ValueError(f"task: {type(task).__name__}, expected a QuadraticProblem")
        if task.path is not None and not self._follows:
            raise ValueError("task: path: given, expected none; MovingQuadraticCore follows one")
        self._begin(env, task, seed, task.start)
        hessian, linear, constant, optimum = task.expanded
        self._hessian[env], self._linear[env], self._constant[env] = hessian, linear, constant
        federation = hessian[-1], linear[-1], constant[-1]
        self._best[env] = value(optimum, *federation)
        self._start_gap[env] = max(value(task.start, *federation) - self._best[env], 1e-12)

    def threaten(self, attack: Spec | Attack) -> None:
        """See `RoundEngine.threaten`."""
        super().threaten(attack)
        if self.attack is not None and self.attack.flips_labels:
            raise ValueError(f"attack: {self.attack.name!r}, expected another one: quadratics have no labels")

    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """Exact local updates."""
        count, d = env.size, self.settings.dimension
        delta, loss, norm = np.empty((count, d)), np.empty(count), np.empty(count)
        held = self._held[env, client]
        theta = (held - self._own[env, client]) / np.maximum(1, held)
        correction = np.empty((0, d)) if start.correction is None else start.correction
        rates = self.training.rate_of(round_index)
        jobs = DescentJobs(
            env,
            client,
            steps,
            self._seed[env],
            round_index,
            rates,
            theta,
            start.origin,
            start.pool,
            correction,
        )
        how = Descent(self.training.weight_decay, self.training.prox_mu, self.settings.gradient_noise)
        given = tuple(jobs), tuple(self._tables), tuple(how)
        if count:
            work = np.concatenate([[0], np.cumsum((steps + 1) * d * d)])
            run_ranges(
                lambda begin, end: descend_range(begin, end, *given, delta, loss, norm),
                work,
                _WORTH_A_THREAD,
            )
        return LocalUpdates(delta, loss.astype(np.float32), norm.astype(np.float32))

    @property
    def _tables(self) -> Tables:
        return Tables(self._hessian, self._linear, self._constant)

    def evaluate(self, envs: Bools | None = None, part: str = "val") -> tuple[Floats, Floats]:
        """Measure the servers' models; validation and test are the same exact objective here.

        Args:
            envs: bool `[E]`, which environments; None = all. The others get nan.
            part: `"val"` or `"test"`.

        Returns:
            `accuracy = 1 / (1 + (1 / chance - 1) gap / gap_0)` with `gap = F - F*`: the chance level at
            the start, 1 at the optimum, monotone between; and the loss F. Each `[E]`.
        """
        if part not in ("val", "test"):
            raise ValueError(f"part: {part!r}, expected 'val' or 'test'")
        which = np.arange(self.num_envs) if envs is None else np.flatnonzero(envs)
        accuracy, loss = np.full(self.num_envs, np.nan), np.full(self.num_envs, np.nan)
        federation = np.full(which.size, self.num_clients)
        loss[which] = self._value(which, federation)
        accuracy[which] = self._accuracy(which, loss[which] - self._best[which])
        return accuracy, loss

    def _accuracy(self, env: AnyArray, gap: Floats) -> Floats:
        """The accuracy of gaps `[J]`, in the yardstick of environments `[J]`."""
        share = np.maximum(gap, 0.0) / self._start_gap[env]
        return np.asarray(1.0 / (1.0 + (1.0 / self.settings.chance - 1.0) * share))

    def gap(self) -> Floats:
        """`[E]`, F(w) - F*."""
        return np.asarray(self.evaluate()[1] - self._best)

    def _value(self, env: AnyArray, client: AnyArray) -> Floats:
        each: Floats = values(env, client, self._params, tuple(self._tables))
        return each

    def client_accuracy(self, part: str = "test") -> Floats:
        """How well each server's model serves each client.

        Returns:
            `[E, N]`, the formula of `evaluate` with the client's own loss: its gap is F_k(w), since
            its best loss is 0, measured in the federation's gap at the start, one yardstick for all.
        """
        if part not in ("val", "test"):
            raise ValueError(f"part: {part!r}, expected 'val' or 'test'")
        env, client = np.divmod(np.arange(self.num_envs * self.num_clients), self.num_clients)
        return self._accuracy(env, self._value(env, client)).reshape(self._held.shape)

    def client_losses(
        self, clients: Bools, samples: AnyArray | None = None, round_index: AnyArray | None = None
    ) -> Floats32:
        """See `RoundEngine.client_losses`: F_k of the current models, every answer exact."""
        env, client = self._workers(np.asarray(clients, dtype=bool))
        return self._spread(env, client, self._value(env, client))
