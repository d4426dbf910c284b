"""What every core shares: E federations, one round of training, the server's step, snapshots."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints
from ...common.settings import Spec, parse_settings
from ..aggregation import AGGREGATORS, COMPRESSIONS, Aggregator, Arrivals, Compression, Start
from ..training import LocalTraining, LocalUpdates
from .holdings import Task
from .orders import Listener, Messages, TrainingOrders, TrainResult
from .threatened import Threatened

_LOG = logging.getLogger(__name__)

_MASK = 0xFFFFFFFFFFFFFFFF


class RoundEngine(Threatened, ABC):
    """The core: state of E federations of N clients, and the round, whatever the clients' problems are.

    What happens in environment e depends on its own seed, rows and orders only: never on E, on the other
    environments or on the number of threads, bit for bit. It has more than fifteen public members, because it
    is the whole of what a world may ask of training.

    Args:
        num_envs: E.
        num_clients: N.
        num_parameters: P.
        dtype: of the parameters.
        training: settings of local training and the server's step, or a mapping of them.
        aggregator: name, mapping with settings, or an `Aggregator`.
        history: how many earlier models are kept, so that late updates can be trained on the model they
            really started from (`TrainingOrders.staleness`).
        compression: of the updates: name, mapping with settings, a `Compression`, or None.

    Raises:
        ValueError: one line naming the argument, its value and what was expected.
    """

    def __init__(
        self,
        num_envs: int,
        num_clients: int,
        num_parameters: int,
        dtype: DTypeLike,
        training: LocalTraining | Mapping[str, object] | None,
        aggregator: Spec | Aggregator,
        history: int = 0,
        compression: Spec | Compression | None = None,
    ) -> None:
        super().__init__(num_envs, num_clients)
        if history < 0:
            raise ValueError(f"history: {history}, expected a number of rounds, 0 or more")
        if not isinstance(training, LocalTraining):
            training = parse_settings(LocalTraining, training or {}, "training")
        self.training = training
        self.aggregator = AGGREGATORS.make(aggregator)
        self.aggregator.check_training(training)
        self.aggregator.bind(num_envs, num_clients, num_parameters, np.dtype(dtype))
        self.compression = None if compression is None else COMPRESSIONS.make(compression)
        if self.compression is not None:
            self.compression.check(self.aggregator)
            self.compression.bind(num_envs, num_clients, num_parameters, np.dtype(dtype))
        self._params: AnyArray = np.zeros((num_envs, num_parameters), dtype=dtype)
        self._past: AnyArray = np.zeros((history, num_envs, num_parameters), dtype=dtype)
        self._version = np.zeros(num_envs, dtype=np.int64)
        self._seed = np.zeros(num_envs, dtype=np.uint64)
        self.listeners: tuple[Listener, ...] = ()

    @property
    def version(self) -> Ints:
        """`[E]`, how often each server's model has changed; counted where `history` is kept."""
        return self._version.copy()

    @property
    def exchange_share(self) -> float:
        """Share of the model that a round sends to a client that has been sent it all in its session."""
        return 1.0

    @property
    def joining_share(self) -> Floats:
        """Share of the model `[E, N]` that a client has to be sent beside that, once in its session."""
        return np.zeros(self._held.shape)

    @property
    def upload_share(self) -> float:
        """Bytes of one upload over the plain model's: control variates double it, compression cuts it."""
        return self.upload_share_at(0)

    def upload_share_at(self, bits: int) -> float:
        """That share at so many bits per coordinate, where the compression takes them; 0 = its own."""
        share = 1.0 if self.compression is None else self.compression.share(self._params.shape[1], bits)
        return self.aggregator.traffic * share

    @abstractmethod
    def reset(self, env: int, task: Task, seed: int) -> None:
        """Start an environment's federation afresh: a new task and model, nothing remembered.

        Args:
            env: index of the environment.
            task: what its clients train on; everyone holds its own rows.
            seed: non-negative seed of the model and of all draws.
        """

    def end_sessions(self, ended: Bools) -> None:
        """These clients' sessions `[E, N]` have ended, and with them what only their workers remember."""
        if self.compression is not None:
            self.compression.forget(ended)

    def _begin(self, env: int, task: Task, seed: int, params: AnyArray) -> None:
        """What `reset` does in every core."""
        if seed < 0:
            raise ValueError(f"seed: {seed}, expected a non-negative integer")
        self._deal(env, task)
        self._seed[env] = np.uint64(int(seed) & _MASK)
        self._params[env] = params
        self._past[:, env] = params
        self._version[env] = 0
        self._trust(env)
        self.aggregator.reset(env, self._params[env], int(seed))
        if self.compression is not None:
            self.compression.reset(env)

    @abstractmethod
    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """Train the jobs (client `client[j]` of environment `env[j]`) from where `start` says."""

    @abstractmethod
    def evaluate(self, envs: Bools | None = None, part: str = "val") -> tuple[Floats, Floats]:
        """Measure the servers' models.

        Args:
            envs: `[E]`, which environments; None = all. The others get nan.
            part: `"val"` (the server's own set) or `"test"` (for evaluators only).

        Returns:
            Accuracy in [0, 1] and mean loss, each `[E]`.
        """

    def accuracy(self, envs: Bools | None = None, part: str = "val") -> Floats:
        """`[E]`, the first of what `evaluate` returns, for those who want no loss."""
        return self.evaluate(envs, part)[0]

    def pooled_accuracy(self) -> Floats:
        """`[E]`, accuracy on all rows but the test's; on the validation set where there are no others."""
        return self.accuracy()

    @abstractmethod
    def client_accuracy(self, part: str = "test") -> Floats:
        """How well each server's model serves each of its clients, `[E, N]`."""

    @abstractmethod
    def client_losses(
        self, clients: Bools, samples: AnyArray | None = None, round_index: AnyArray | None = None
    ) -> Floats32:
        """Mean loss of the current models on the rows that clients hold (a probe; charge for it).

        Args:
            clients: `[E, N]`, whom to ask.
            samples: int `[E, N]`, on how many of its rows at most; None = on all.
            round_index: int `[E]`, names the draw. None = 0.

        Returns:
            `[E, N]`, nan for those not asked or without rows.
        """

    def run_round(self, orders: TrainingOrders) -> TrainResult:
        """Train the clients whose updates arrived and move the servers' models.

        A client that holds no rows has nothing to learn from and sends no update.

        Raises:
            ValueError: a shape that does not fit, or an aggregator that lacks an argument.
        """
        steps, index = orders.checked_steps(self._held.shape), orders.checked_index(self._held.shape)
        env, client = self._workers(steps > 0)
        start, late = self._start(env, client, orders.staleness)
        named = index[env] - late if index.ndim == 1 else index[env, client]
        updates = self._local(env, client, steps[env, client].astype(np.int64), named, start)
        updates = self._sent(env, client, updates)
        finite = np.isfinite(updates.norm)
        diverged_client = np.full(self.num_envs, -1, dtype=np.int32)
        # Reversed, so that the first client of each environment is the one that stays.
        diverged_client[env[~finite][::-1]] = client[~finite][::-1]
        diverged = diverged_client >= 0
        arrivals = self._arrivals(env, client, orders, updates.delta, late, named)
        if diverged.any():
            closes = None if arrivals.closes is None else arrivals.closes & ~diverged
            arrivals = replace(arrivals.select(~diverged[env]), closes=closes)
        if self.compression is not None:
            bits = orders.checked_bits(self._held.shape)
            arrivals = replace(arrivals, delta=self.compression.sent(arrivals, bits))
        diverged |= self._overheard(arrivals, start, ~diverged[env])
        for e in np.flatnonzero(diverged):
            where = (e, index[e].max(), diverged_client[e])
            _LOG.warning(
                "environment %d, round %d: training diverged (client %d, -1 = in the sum); model kept", *where
            )
        trained = np.zeros(self._held.shape, dtype=np.bool_)
        trained[env, client] = True
        return TrainResult(
            self._spread(env, client, updates.loss),
            self._spread(env, client, updates.norm),
            trained,
            diverged,
            diverged_client,
        )

    def _overheard(self, arrivals: Arrivals, start: Start, sound: Bools) -> Bools:
        """Move the models, and tell who listens what was said; `sound`: the jobs that arrived."""
        if not self.listeners:
            return self._move(arrivals)
        sent_out, before = start.pool[start.origin[sound]], self._params
        broken = self._move(arrivals)
        said = (arrivals.env, arrivals.client, sent_out, arrivals.delta)
        for listener in self.listeners:
            listener.hear(Messages(*said, before, self._params))
        return broken

    def _start(self, env: Ints, client: Ints, staleness: AnyArray | None) -> tuple[Start, Ints]:
        """Where every job starts from, and how many rounds ago it did."""
        if staleness is None:
            return self.aggregator.prepare(env, client, self._params), np.zeros(env.size, dtype=np.int64)
        late = np.asarray(staleness)[env, client].astype(np.int64)
        if late.size and not (late.min() >= 0 and late.max() <= len(self._past)):
            raise ValueError(f"staleness: {late.max()}, expected 0 to history={len(self._past)} rounds")
        if not self.aggregator.accepts_late:
            name = self.aggregator.name
            raise ValueError(f"staleness: given, expected none: aggregator {name!r} cannot use late updates")
        start = self.aggregator.prepare(env, client, self._params)
        pool = np.concatenate([self._params[None], self._past]).reshape(-1, self._params.shape[1])
        return replace(start, pool=pool, origin=late * self.num_envs + env), late

    def _arrivals(
        self, env: Ints, client: Ints, orders: TrainingOrders, delta: AnyArray, late: Ints, named: Ints
    ) -> Arrivals:
        """Collect what the aggregator may look at; `named` are the jobs' rounds."""
        rates, weights = orders.rates, orders.weights
        return Arrivals(
            env=env,
            client=client,
            span=np.searchsorted(env, np.arange(self.num_envs + 1)),
            steps=np.asarray(orders.local_steps)[env, client].astype(np.int64),
            held=self._held[env, client].astype(np.int64),
            target_weight=self._target_weight[env, client],
            rate=None if rates is None else np.asarray(rates)[env, client],
            given=None if weights is None else np.asarray(weights, dtype=np.float64)[env, client],
            staleness=late,
            delta=delta,
            num_clients=self.num_clients,
            training=self.training,
            server_step=orders.checked_server_step(self.num_envs),
            closes=orders.checked_closes(self.num_envs),
            decay=self.training.decay_of(named),
            round_decay=self.training.decay_of(orders.closing_index(self._held.shape)),
        )

    def _move(self, arrivals: Arrivals) -> Bools:
        """Apply the aggregated steps; returns where that would have left the finite numbers."""
        if arrivals.given is not None and not self.aggregator.accepts_weights:
            raise ValueError(
                f"weights: given, expected none: aggregator {self.aggregator.name!r} sets its own "
                "coefficients; use 'by-samples'"
            )
        step = self.aggregator.step(arrivals, self._params)
        step *= arrivals.server_rate(step.dtype)
        step += self._params
        broken: Bools = np.logical_not(np.isfinite(step).all(axis=1))
        if broken.any():
            step[broken] = self._params[broken]
        if len(self._past):
            moved = (step != self._params).any(axis=1)
            self._past[1:, moved] = self._past[:-1, moved]
            self._past[0, moved] = self._params[moved]
            self._version += moved
        self._params = step
        return broken

    def parameters(self) -> AnyArray:
        """`[E, P]`, a copy of the servers' parameters."""
        return self._params.copy()

    def _memories(self) -> dict[str, AnyArray]:
        """See `Snapshots`: tables of aggregator, compression and liars."""
        owners = {"aggregator": self.aggregator.memory}
        if self.compression is not None:
            owners["compression"] = self.compression.memory
        if self.attack is not None:
            owners["attack"] = self.attack.memory
        return {f"{part}.{name}": table for part, own in owners.items() for name, table in own.items()}
