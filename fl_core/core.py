"""The federated core: E server models, N clients each, trained together and exactly reproducible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .aggregate import Aggregator, Arrivals, Given, make_aggregator
from .data import Dataset
from .draws import draw_rows
from .models import ModelSpec
from .partition import ClientRows
from .settings import TrainingSettings, parse_settings
from .trainer import LocalJobs, LocalTrainer, LocalUpdates, make_trainer

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


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

    reported_loss: FloatArray
    update_norm: FloatArray
    trained: BoolArray
    diverged: BoolArray
    diverged_client: NDArray[np.int32]


class FederatedCore:
    """Trains E independent federations of N clients on one data set.

    All state is arrays. What happens in environment e depends on its own seed, rows and orders only: never
    on E, on the other environments or on the number of threads, bit for bit.

    Args:
        dataset: The rows.
        model: The model.
        num_envs: E.
        num_clients: N.
        training: Settings of local training and the server's step, or a mapping of them.
        aggregator: Name, mapping with settings, or an `Aggregator`.
        trainer: ``"auto"``, ``"fused"``, ``"numpy"`` or a `LocalTrainer`.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: ModelSpec,
        num_envs: int,
        num_clients: int,
        training: TrainingSettings | Mapping[str, Any] | None = None,
        aggregator: str | Mapping[str, Any] | Aggregator = "by-samples",
        trainer: str | LocalTrainer = "auto",
    ) -> None:
        if num_envs < 1 or num_clients < 1:
            raise ValueError(f"num_envs={num_envs}, num_clients={num_clients}: expected at least 1 of each")
        if not isinstance(training, TrainingSettings):
            training = parse_settings(TrainingSettings, training or {}, "training")
        self.dataset, self.model, self.training = dataset, model, training
        self.num_envs, self.num_clients = num_envs, num_clients
        self.trainer = make_trainer(trainer, dataset, model) if isinstance(trainer, str) else trainer
        self.aggregator = make_aggregator(aggregator)
        self.aggregator.bind(num_envs, num_clients, model.num_parameters)
        self._given = Given()
        self._params = np.zeros((num_envs, model.num_parameters), dtype=np.float32)
        self._rows = np.zeros((num_envs, 1), dtype=np.int32)
        self._offset = np.zeros((num_envs, num_clients + 1), dtype=np.int64)
        self._own = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._held = np.zeros((num_envs, num_clients), dtype=np.int32)
        self._target_weight = np.full((num_envs, num_clients), 1.0 / num_clients)
        self._seed = np.zeros(num_envs, dtype=np.uint64)

    @property
    def capacity(self) -> NDArray[np.int32]:
        """``int32 [E, N]``, rows each client holds once everything has been sent (a fresh copy)."""
        return np.diff(self._offset, axis=1).astype(np.int32)

    @property
    def own(self) -> NDArray[np.int32]:
        """``int32 [E, N]``, rows each client has from the start (a fresh copy)."""
        return self._own.copy()

    @property
    def held(self) -> NDArray[np.int32]:
        """``int32 [E, N]``, rows each client holds now (a fresh copy)."""
        return self._held.copy()

    @property
    def target_weight(self) -> NDArray[np.float64]:
        """``float64 [E, N]``, share alpha_k of each client in the objective (a fresh copy)."""
        return self._target_weight.copy()

    def reset(self, env: int, client_rows: ClientRows, seed: int) -> None:
        """Starts an environment's federation afresh: new rows, new model, nothing remembered.

        Args:
            env: Index of the environment.
            client_rows: Its clients' rows; everyone holds its own rows.
            seed: Non-negative seed of the initial parameters and all minibatches.
        """
        if client_rows.own.size != self.num_clients:
            raise ValueError(f"client_rows: {client_rows.own.size} clients, expected {self.num_clients}")
        if seed < 0:
            raise ValueError(f"seed={seed}: expected a non-negative integer")
        size = client_rows.rows.size
        if size > self._rows.shape[1]:
            grown = np.zeros((self.num_envs, size), dtype=np.int32)
            grown[:, : self._rows.shape[1]] = self._rows
            self._rows = grown
        self._rows[env, :size] = client_rows.rows
        self._offset[env] = client_rows.offset
        self._own[env] = self._held[env] = client_rows.own
        self._target_weight[env] = client_rows.target_weight
        self._seed[env] = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        self._params[env] = self.model.init(seed)
        self.aggregator.reset(env)

    def hold(self, held: NDArray[Any]) -> None:
        """Says how many rows of its sequence each client holds now.

        Args:
            held: ``int [E, N]`` with ``own <= held <= capacity``.

        Raises:
            ValueError: Naming the first client that is out of range.
        """
        held = np.asarray(held)
        if held.shape != self._held.shape:
            raise ValueError(f"held: shape {held.shape}, expected {self._held.shape}")
        bad = (held < self._own) | (held > np.diff(self._offset, axis=1))
        if bad.any():
            e, k = np.argwhere(bad)[0]
            raise ValueError(
                f"held[{e}, {k}]={held[e, k]}: expected between own={self._own[e, k]} and "
                f"capacity={self._offset[e, k + 1] - self._offset[e, k]}"
            )
        self._held[...] = held

    def run_round(
        self,
        local_steps: NDArray[np.int32],
        weights: NDArray[np.float64] | None = None,
        round_index: NDArray[Any] | None = None,
        rates: NDArray[np.float64] | None = None,
    ) -> TrainResult:
        """Trains the clients whose updates arrived and moves the servers' models.

        Whoever has no steps here is not trained at all, so an update that was lost cannot reach a model. A
        client that holds no rows has nothing to learn from and sends no update.

        Args:
            local_steps: ``int32 [E, N]``, steps of the updates that arrived; 0 for everyone else.
            weights: ``float64 [E, N]``, the plan's own aggregation coefficients, used as they are; None = the
                aggregator's.
            round_index: ``int [E]``, index of the round in each episode; names the minibatches. None = 0.
            rates: ``float64 [E, N]``, participation rates so far, for aggregators that need them.

        Returns:
            Losses, update lengths and divergence.

        Raises:
            ValueError: A shape that does not fit, or an aggregator that lacks an argument.
        """
        steps, index = self._checked(local_steps, round_index)
        env, client = np.nonzero((steps > 0) & (self._held > 0))
        updates = self._train(env, client, steps[env, client].astype(np.int64), index)
        finite = np.isfinite(updates.norm)
        diverged_client = np.full(self.num_envs, -1, dtype=np.int32)
        # Reversed, so that the first client of each environment is the one that stays.
        diverged_client[env[~finite][::-1]] = client[~finite][::-1]
        diverged = diverged_client >= 0
        keep = np.flatnonzero(~diverged[env]) if diverged.any() else None
        arrivals = self._arrivals(env, client, steps, updates.delta, weights, rates, keep)
        diverged |= self._move(arrivals)
        return TrainResult(
            self._spread(env, client, updates.loss),
            self._spread(env, client, updates.norm),
            self._spread(env, client, True, False),
            diverged,
            diverged_client,
        )

    def _checked(
        self, local_steps: NDArray[Any], round_index: NDArray[Any] | None
    ) -> tuple[NDArray, NDArray]:
        """Validates the orders of a round."""
        steps = np.asarray(local_steps)
        if steps.shape != self._held.shape or steps.dtype.kind not in "iu":
            raise ValueError(
                f"local_steps: {steps.dtype} {steps.shape}, expected integers {self._held.shape}"
            )
        index = np.zeros(self.num_envs, dtype=np.int64) if round_index is None else np.asarray(round_index)
        if index.shape != (self.num_envs,):
            raise ValueError(f"round_index: shape {index.shape}, expected ({self.num_envs},)")
        return steps, index.astype(np.int64)

    def _train(self, env: NDArray, client: NDArray, steps: NDArray, index: NDArray) -> LocalUpdates:
        """Draws the minibatches and trains."""
        first = np.concatenate([[0], np.cumsum(steps)])
        rows = np.empty((int(first[-1]), self.training.batch_size), dtype=np.int32)
        begin, held = self._offset[env, client], self._held[env, client].astype(np.int64)
        draw_rows(self._seed[env], index[env], client, first, self._rows, env, begin, held, rows)
        return self.trainer.run(LocalJobs(self._params, env, first, rows), self.training)

    def _arrivals(
        self,
        env: NDArray,
        client: NDArray,
        steps: NDArray,
        delta: FloatArray,
        weights: NDArray | None,
        rates: NDArray | None,
        keep: NDArray | None,
    ) -> Arrivals:
        """Collects what the aggregator may look at."""
        if keep is not None:
            env, client, delta = env[keep], client[keep], delta[keep]
        return Arrivals(
            env=env,
            client=client,
            span=np.searchsorted(env, np.arange(self.num_envs + 1)),
            steps=steps[env, client],
            held=self._held[env, client].astype(np.int64),
            target_weight=self._target_weight[env, client],
            rate=None if rates is None else np.asarray(rates)[env, client],
            given=None if weights is None else np.asarray(weights, dtype=np.float64)[env, client],
            delta=delta,
            num_clients=self.num_clients,
            learning_rate=self.training.learning_rate,
        )

    def _move(self, arrivals: Arrivals) -> BoolArray:
        """Applies the aggregated steps; returns where that would have left the finite numbers."""
        aggregator = self.aggregator if arrivals.given is None else self._given
        step = aggregator.step(arrivals)
        step *= np.float32(self.training.server_learning_rate)
        step += self._params
        broken: BoolArray = np.logical_not(np.isfinite(step).all(axis=1))
        if broken.any():
            step[broken] = self._params[broken]
        self._params = step
        return broken

    def _spread(self, env: NDArray, client: NDArray, values: Any, blank: Any = np.nan) -> NDArray[Any]:
        """``[E, N]`` with the jobs' values in place and ``blank`` elsewhere."""
        kind = np.bool_ if isinstance(blank, bool) else np.float32
        out: NDArray[Any] = np.full((self.num_envs, self.num_clients), blank, dtype=kind)
        out[env, client] = values
        return out

    def evaluate(
        self, envs: BoolArray | None = None, part: str = "val"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measures the servers' models.

        Args:
            envs: ``bool [E]``, which environments; None = all. The others get nan.
            part: ``"val"`` (the server's own set) or ``"test"`` (for evaluators only).

        Returns:
            Accuracy in [0, 1] and mean cross-entropy, each ``float64 [E]``.
        """
        if part not in ("val", "test"):
            raise ValueError(f"part={part!r}: expected 'val' or 'test'")
        which = np.arange(self.num_envs) if envs is None else np.flatnonzero(envs)
        accuracy, loss = np.full(self.num_envs, np.nan), np.full(self.num_envs, np.nan)
        if which.size:
            accuracy[which], loss[which] = self.trainer.evaluate(self._params[which], part)
        return accuracy, loss

    def client_losses(self, clients: BoolArray) -> FloatArray:
        """Mean loss of the current models on the rows that clients hold (power-of-choice; charge for it).

        Args:
            clients: ``bool [E, N]``, whom to ask.

        Returns:
            ``float32 [E, N]``, nan for those not asked or without rows.
        """
        env, client = np.nonzero(np.asarray(clients) & (self._held > 0))
        begin, held = self._offset[env, client], self._held[env, client].astype(np.int64)
        first = np.concatenate([[0], np.cumsum(held)])
        within = np.arange(first[-1]) - np.repeat(first[:-1], held)
        rows = self._rows[np.repeat(env, held), np.repeat(begin, held) + within]
        return self._spread(env, client, self.trainer.losses(self._params, env, first, rows))

    def parameters(self) -> FloatArray:
        """``float32 [E, P]``, a copy of the servers' parameters."""
        return self._params.copy()

    _STATE = ("params", "rows", "offset", "own", "held", "target_weight", "seed")

    def state(self) -> dict[str, NDArray[Any]]:
        """An exact snapshot, aggregator's memory included (copies; savable with ``np.savez``)."""
        state = {name: getattr(self, f"_{name}").copy() for name in self._STATE}
        return state | {f"aggregator.{name}": value for name, value in self.aggregator.state().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores a snapshot of a core built alike.

        Raises:
            ValueError: If an array is missing or has the wrong shape.
        """
        for name in self._STATE:
            if name not in state:
                raise ValueError(
                    f"core state: {name!r} is missing; expected a snapshot of FederatedCore.state()"
                )
            mine, given = getattr(self, f"_{name}"), np.asarray(state[name])
            if given.shape != mine.shape and (name != "rows" or given.shape[0] != self.num_envs):
                raise ValueError(f"core state: {name} has shape {given.shape}, expected {mine.shape}")
        for name in self._STATE:
            setattr(self, f"_{name}", np.array(state[name], dtype=getattr(self, f"_{name}").dtype))
        prefix = "aggregator."
        self.aggregator.load_state({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
