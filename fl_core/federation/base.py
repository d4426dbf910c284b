"""What every core shares: who holds what, one round of training for E environments, snapshots."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ...common.settings import parse_settings
from ..aggregation import AGGREGATORS, Aggregator, Arrivals, Start, make_compression
from ..training import LocalUpdates, TrainingSettings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What the server learns from one round, per environment and client.

    Attributes:
        reported_loss: ``float32 [E, N]``, mean training loss over the local steps; nan where not trained.
        update_norm: ``float32 [E, N]``, length of the client's update; nan where not trained.
        trained: ``bool [E, N]``.
        diverged: ``bool [E]``, the round gave no finite model; the model was left as it was.
        diverged_client: ``int32 [E]``, first client whose update was not finite, -1 if none.
    """

    reported_loss: Floats32
    update_norm: Floats32
    trained: Bools
    diverged: Bools
    diverged_client: Ints32


class RoundEngine(ABC):
    """State of E federations of N clients, and the round, whatever the clients' local problems are.

    What happens in environment e depends on its own seed, rows and orders only: never on E, on the other
    environments or on the number of threads, bit for bit.

    Args:
        num_envs: E.
        num_clients: N.
        num_parameters: P.
        dtype: Of the parameters.
        training: Settings of local training and the server's step, or a mapping of them.
        aggregator: Name, mapping with settings, or an `Aggregator`.
        history: How many earlier models are kept, so that late updates can be trained on the model they
            really started from (see ``staleness`` of `run_round`).
        compression: Name or mapping of a `Compression` of the updates, or None.
    """

    def __init__(
        self,
        num_envs: int,
        num_clients: int,
        num_parameters: int,
        dtype: Any,
        training: TrainingSettings | Mapping[str, Any] | None,
        aggregator: str | Mapping[str, Any] | Aggregator,
        history: int = 0,
        compression: str | Mapping[str, Any] | None = None,
    ) -> None:
        if num_envs < 1 or num_clients < 1:
            raise ValueError(f"num_envs={num_envs}, num_clients={num_clients}: expected at least 1 of each")
        if history < 0:
            raise ValueError(f"history={history}: expected a number of rounds, 0 or more")
        if not isinstance(training, TrainingSettings):
            training = parse_settings(TrainingSettings, training or {}, "training")
        self.training = training
        self.num_envs, self.num_clients = num_envs, num_clients
        self.aggregator = AGGREGATORS.make(aggregator)
        self.aggregator.bind(num_envs, num_clients, num_parameters, np.dtype(dtype))
        self.compression = None if compression is None else make_compression(compression)
        if self.compression is not None:
            if not self.aggregator.accepts_compression:
                raise ValueError(
                    f"compression={self.compression.name!r}: {self.aggregator.name!r} needs exact updates"
                )
            self.compression.bind(num_envs, num_clients, num_parameters, np.dtype(dtype))
        self._params = np.zeros((num_envs, num_parameters), dtype=dtype)
        self._past = np.zeros((history, num_envs, num_parameters), dtype=dtype)
        self._version = np.zeros(num_envs, dtype=np.int64)
        self._offset = np.zeros((num_envs, num_clients + 1), dtype=np.int64)
        # The differences of the offsets, asked for several times a step.
        self._capacity = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._own = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._held = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._target_weight = np.full((num_envs, num_clients), 1.0 / num_clients)
        self._seed = np.zeros(num_envs, dtype=np.uint64)

    @property
    def capacity(self) -> Ints32:
        """``int32 [E, N]``, rows each client holds once everything has been sent (a fresh copy)."""
        return self._capacity.copy()

    @property
    def own(self) -> Ints32:
        """``int32 [E, N]``, rows each client has from the start (a fresh copy)."""
        return self._own.copy()

    @property
    def held(self) -> Ints32:
        """``int32 [E, N]``, rows each client holds now (a fresh copy)."""
        return self._held.copy()

    @property
    def target_weight(self) -> Floats:
        """``float64 [E, N]``, share alpha_k of each client in the objective (a fresh copy)."""
        return self._target_weight.copy()

    @property
    def version(self) -> Ints:
        """``int64 [E]``, how often each server's model has changed; counted where ``history`` is kept."""
        return self._version.copy()

    @property
    def upload_share(self) -> float:
        """Bytes of one upload over the plain model's: control variates double it, compression cuts it."""
        plain = 4 * self._params.shape[1]
        sent = plain if self.compression is None else self.compression.upload_bytes(self._params.shape[1])
        return self.aggregator.traffic * sent / plain

    def _begin(
        self, env: int, own: AnyArray, offset: AnyArray, target_weight: AnyArray, seed: int, params: AnyArray
    ) -> None:
        """Starts one environment afresh; everyone holds its own rows, nothing is remembered."""
        if own.size != self.num_clients:
            raise ValueError(f"client_rows: {own.size} clients, expected {self.num_clients}")
        if seed < 0:
            raise ValueError(f"seed={seed}: expected a non-negative integer")
        self._offset[env] = offset
        self._capacity[env] = offset[1:] - offset[:-1]
        self._own[env] = self._held[env] = own
        self._target_weight[env] = target_weight
        self._seed[env] = np.uint64(int(seed) & 0xFFFFFFFFFFFFFFFF)
        self._params[env] = params
        self._past[:, env] = params
        self._version[env] = 0
        self.aggregator.reset(env, self._params[env], int(seed))
        if self.compression is not None:
            self.compression.reset(env)

    @abstractmethod
    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """Trains the jobs (client ``client[j]`` of environment ``env[j]``) from where `start` says."""

    def hold(self, held: AnyArray) -> None:
        """Says how many rows of its sequence each client holds now.

        Args:
            held: ``int [E, N]`` with ``own <= held <= capacity``.

        Raises:
            ValueError: Naming the first client that is out of range.
        """
        held = np.asarray(held)
        if held.shape != self._held.shape:
            raise ValueError(f"held: shape {held.shape}, expected {self._held.shape}")
        bad = (held < self._own) | (held > self._capacity)
        if bad.any():
            e, k = np.argwhere(bad)[0]
            raise ValueError(
                f"held[{e}, {k}]={held[e, k]}: expected between own={self._own[e, k]} and "
                f"capacity={self._offset[e, k + 1] - self._offset[e, k]}"
            )
        self._held[...] = held

    def run_round(
        self,
        local_steps: AnyArray,
        weights: Floats | None = None,
        round_index: AnyArray | None = None,
        rates: Floats | None = None,
        staleness: AnyArray | None = None,
    ) -> TrainResult:
        """Trains the clients whose updates arrived and moves the servers' models.

        Whoever has no steps here is not trained at all, so an update that was lost cannot reach a model. A
        client that holds no rows has nothing to learn from and sends no update.

        Args:
            local_steps: ``int32 [E, N]``, steps of the updates that arrived; 0 for everyone else.
            weights: ``float64 [E, N]``, the plan's own aggregation coefficients, used as they are; None = the
                aggregator's.
            round_index: ``int [E]``, index of the round in each episode; names the minibatches, less the
                staleness. Or ``int [E, N]``, the index that names each client's as it is. None = 0.
            rates: ``float64 [E, N]``, participation rates so far, for aggregators that need them.
            staleness: ``int [E, N]``, how often the model has changed since the update that arrives now was
                started; it is then trained on the model as it was. None = all fresh.

        Returns:
            Losses, update lengths and divergence.

        Raises:
            ValueError: A shape that does not fit, or an aggregator that lacks an argument.
        """
        steps, index = self._checked(local_steps, round_index)
        env, client = self._workers(steps > 0)
        start, late = self._start(env, client, staleness)
        named = index[env] - late if index.ndim == 1 else index[env, client]
        updates = self._local(env, client, steps[env, client].astype(np.int64), named, start)
        finite = np.isfinite(updates.norm)
        diverged_client = np.full(self.num_envs, -1, dtype=np.int32)
        # Reversed, so that the first client of each environment is the one that stays.
        diverged_client[env[~finite][::-1]] = client[~finite][::-1]
        diverged = diverged_client >= 0
        arrivals = self._arrivals(env, client, steps, updates.delta, weights, rates, late)
        if diverged.any():
            arrivals = arrivals.select(~diverged[env])
        if self.compression is not None:
            sent = self.compression.send(arrivals.env, arrivals.client, arrivals.delta)
            arrivals = replace(arrivals, delta=sent)
        diverged |= self._move(arrivals)
        for e in np.flatnonzero(diverged):
            _LOG.warning(
                "environment %d, round %d: training diverged (client %d, -1 = in the sum); model kept",
                e,
                index[e].max(),
                diverged_client[e],
            )
        return TrainResult(
            self._spread(env, client, updates.loss),
            self._spread(env, client, updates.norm),
            self._spread(env, client, True, False),
            diverged,
            diverged_client,
        )

    def _workers(self, asked: Bools) -> tuple[Ints, Ints]:
        """Environments and clients asked for that hold any rows."""
        env, client = np.nonzero(asked)
        holds = self._held[env, client] > 0
        return env[holds], client[holds]

    def _checked(self, local_steps: AnyArray, round_index: AnyArray | None) -> tuple[AnyArray, AnyArray]:
        """Validates the orders of a round."""
        steps = np.asarray(local_steps)
        if steps.shape != self._held.shape or steps.dtype.kind not in "iu":
            raise ValueError(
                f"local_steps: {steps.dtype} {steps.shape}, expected integers {self._held.shape}"
            )
        index = np.zeros(self.num_envs, dtype=np.int64) if round_index is None else np.asarray(round_index)
        if index.shape not in ((self.num_envs,), self._held.shape):
            raise ValueError(
                f"round_index: shape {index.shape}, expected ({self.num_envs},) or {self._held.shape}"
            )
        return steps, index.astype(np.int64)

    def _start(self, env: AnyArray, client: AnyArray, staleness: AnyArray | None) -> tuple[Start, Ints]:
        """Where every job starts from, and how many rounds ago it did."""
        if staleness is None:
            return self.aggregator.prepare(env, client, self._params), np.zeros(env.size, dtype=np.int64)
        late = np.asarray(staleness)[env, client].astype(np.int64)
        if late.size and not (late.min() >= 0 and late.max() <= len(self._past)):
            raise ValueError(f"staleness={late.max()}: expected 0 to history={len(self._past)} rounds")
        if not self.aggregator.accepts_late:
            raise ValueError(f"staleness: aggregator {self.aggregator.name!r} cannot use late updates")
        start = self.aggregator.prepare(env, client, self._params)
        pool = np.concatenate([self._params[None], self._past]).reshape(-1, self._params.shape[1])
        return replace(start, pool=pool, origin=late * self.num_envs + env), late

    def _arrivals(
        self,
        env: AnyArray,
        client: AnyArray,
        steps: AnyArray,
        delta: AnyArray,
        weights: AnyArray | None,
        rates: AnyArray | None,
        late: AnyArray,
    ) -> Arrivals:
        """Collects what the aggregator may look at."""
        return Arrivals(
            env=env,
            client=client,
            span=np.searchsorted(env, np.arange(self.num_envs + 1)),
            steps=steps[env, client].astype(np.int64),
            held=self._held[env, client].astype(np.int64),
            target_weight=self._target_weight[env, client],
            rate=None if rates is None else np.asarray(rates)[env, client],
            given=None if weights is None else np.asarray(weights, dtype=np.float64)[env, client],
            staleness=late,
            delta=delta,
            num_clients=self.num_clients,
            training=self.training,
        )

    def _move(self, arrivals: Arrivals) -> Bools:
        """Applies the aggregated steps; returns where that would have left the finite numbers."""
        if arrivals.given is not None and not self.aggregator.accepts_weights:
            raise ValueError(
                f"weights: aggregator {self.aggregator.name!r} sets its own coefficients; use 'by-samples'"
            )
        step = self.aggregator.step(arrivals, self._params)
        step *= step.dtype.type(self.training.server_learning_rate)
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

    def _spread(self, env: AnyArray, client: AnyArray, values: Any, blank: Any = np.nan) -> AnyArray:
        """``[E, N]`` with the jobs' values in place and ``blank`` elsewhere."""
        kind = np.bool_ if isinstance(blank, bool) else np.float32
        out: AnyArray = np.full((self.num_envs, self.num_clients), blank, dtype=kind)
        out[env, client] = values
        return out

    def parameters(self) -> AnyArray:
        """``[E, P]``, a copy of the servers' parameters."""
        return self._params.copy()

    _STATE: tuple[str, ...] = ("params", "past", "version", "offset", "own", "held", "target_weight", "seed")

    def state(self) -> dict[str, AnyArray]:
        """An exact snapshot, aggregator's memory included (copies; savable with ``np.savez``)."""
        state = {name: getattr(self, f"_{name}").copy() for name in self._STATE}
        return state | {f"{part}.{name}": table.copy() for part, name, table in self._memories()}

    def _memories(self) -> list[tuple[str, str, AnyArray]]:
        """Tables of aggregator and compression."""
        owners = {"aggregator": self.aggregator.memory}
        if self.compression is not None:
            owners["compression"] = self.compression.memory
        return [(part, name, table) for part, memory in owners.items() for name, table in memory.items()]

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Restores a snapshot of a core built alike.

        Raises:
            ValueError: If an array is missing or has the wrong shape.
        """
        for name in self._STATE:
            if name not in state:
                raise ValueError(f"core state: {name!r} is missing; expected a snapshot of state()")
            mine, given = getattr(self, f"_{name}"), np.asarray(state[name])
            if given.shape != mine.shape and (name != "rows" or given.shape[0] != self.num_envs):
                raise ValueError(f"core state: {name} has shape {given.shape}, expected {mine.shape}")
        for part, name, table in self._memories():
            if np.shape(state.get(f"{part}.{name}", 0.0)) != table.shape:
                raise ValueError(f"core state: {part}.{name} is missing or not of shape {table.shape}")
        for name in self._STATE:
            setattr(self, f"_{name}", np.array(state[name], dtype=getattr(self, f"_{name}").dtype))
        self._capacity = np.diff(self._offset, axis=1).astype(np.int32)
        for part, name, table in self._memories():
            table[...] = state[f"{part}.{name}"]
