"""Rounds whose local training happens elsewhere: orders go out, updates come in, the core only aggregates.

The coordinator's half is `RemoteCore`, the node's half `LocalNode`. Both use the draws and trainers of the
simulator, so that the same seed, partition and plans give the same model wherever the clients run. Nothing
here knows how an order travels; `flower` packs orders into Flower's messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .aggregate import Start
from .core import _PROBE_STREAM, FederatedCore
from .data import Dataset
from .draws import draw_rows, uniform_bits
from .engine import FloatArray, TrainResult
from .models import Model
from .settings import TrainingSettings
from .trainer import LocalJobs, LocalTrainer, LocalUpdates, make_trainer

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class TrainOrder:
    """What one client is asked to do in one round.

    Attributes:
        client: index of the client.
        round_index: index of the round; names the minibatches.
        local_steps: SGD steps to make.
        seed: the federation's stream seed of minibatches.
        base: rows that the coordinator believes the client holds before this order.
        params: ``float32 [P]``, where to start.
        sent_x: ``float32 [S, d]``, samples that come along.
        sent_y: ``int32 [S]``, their labels.
        probe_samples: where there are no local steps, samples on which to report the loss at ``params``.
        correction: ``float32 [P]`` added to every gradient (control variates), or None.
    """

    client: int
    round_index: int
    local_steps: int
    seed: int
    base: int
    params: FloatArray
    sent_x: FloatArray
    sent_y: Labels
    probe_samples: int = 0
    correction: FloatArray | None = None


@dataclass(frozen=True)
class LocalUpdate:
    """What came back from one client.

    Attributes:
        client: index of the client.
        round_index: the round it was ordered in.
        delta: ``float32 [P]``, parameters after the local steps minus the start; empty for a probe.
        loss: mean minibatch loss over the local steps, or the answer to a probe; nan without samples.
        held: rows the client holds now; its word counts, see `LocalNode`.
        compute_s: seconds it really computed.
    """

    client: int
    round_index: int
    delta: FloatArray
    loss: float
    held: int
    compute_s: float


@dataclass(frozen=True)
class Storage:
    """Samples that a node was sent and kept: ``x float32 [S, d]``, ``y int32 [S]``."""

    x: FloatArray
    y: Labels

    @staticmethod
    def empty(num_features: int) -> Storage:
        """Nothing was sent yet."""
        return Storage(np.zeros((0, num_features), np.float32), np.zeros(0, np.int32))

    def first(self, count: int) -> Storage:
        """The first samples that were sent."""
        return Storage(self.x[:count], self.y[:count])

    def plus(self, x: FloatArray, y: Labels) -> Storage:
        """With further samples behind them."""
        return Storage(np.concatenate([self.x, x]), np.concatenate([self.y, y]))


class LocalNode:
    """A client where it really runs: its own samples, those it was sent, and the simulator's trainer.

    Args:
        dataset: the client's own samples are rows of it.
        model: the model.
        training: settings of the local training.
        trainer: name of the trainer or a mapping with its settings.
        own_rows: ``int [n]``, the training rows the client has from the start.
        clock: seconds of a clock that never goes back; measures the training.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: Model,
        training: TrainingSettings,
        trainer: str | Mapping[str, Any],
        own_rows: NDArray[Any],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._dataset, self._model, self._training, self._trainer = dataset, model, training, trainer
        self._own_x, self._own_y = dataset.x_train[own_rows], dataset.y_train[own_rows]
        self._clock = clock

    @property
    def own(self) -> int:
        """Number of the client's own samples."""
        return int(self._own_y.size)

    def train(self, order: TrainOrder, storage: Storage | None = None) -> tuple[LocalUpdate, Storage]:
        """Carries out one order.

        A node and its coordinator may disagree about what the node was sent before: it may have been
        restarted without its memory, or an answer may have been lost. A node that holds more than
        ``order.base`` rows forgets the rest; one that holds fewer goes back to its own samples and takes no
        new ones. Either way the update says how many rows it was trained on.

        Args:
            order: what to do.
            storage: samples sent so far; None = none.

        Returns:
            The update, and the samples to keep for the next order.
        """
        kept = self._store(order, storage or Storage.empty(self._own_x.shape[1]))
        began_s = self._clock()
        held = self.own + int(kept.y.size)
        delta, loss = np.zeros_like(order.params), float("nan")
        if not order.local_steps:
            delta = delta[:0]
            loss = self._probe(order, kept, held) if held else loss
        elif held:
            result = self._run(order, kept, held)
            delta, loss = result.delta[0], float(result.loss[0])
        spent_s = self._clock() - began_s
        return LocalUpdate(order.client, order.round_index, delta, loss, held, spent_s), kept

    def _store(self, order: TrainOrder, storage: Storage) -> Storage:
        wanted = order.base - self.own
        if wanted < 0 or storage.y.size < wanted:
            return storage.first(0)
        return storage.first(wanted).plus(order.sent_x, order.sent_y)

    def _make_trainer(self, kept: Storage) -> LocalTrainer:
        local = replace(
            self._dataset,
            x_train=np.concatenate([self._own_x, kept.x]),
            y_train=np.concatenate([self._own_y, kept.y]),
            natural_client=None,
        )
        return make_trainer(self._trainer, local, self._model)

    def _probe(self, order: TrainOrder, kept: Storage, held: int) -> float:
        """The loss on the samples that `FederatedCore.client_losses` would draw."""
        position = np.arange(held)
        stream = np.uint64(order.seed) ^ _PROBE_STREAM
        bits = uniform_bits(np.array([stream]), order.round_index, order.client, position)
        drawn = np.sort(np.argsort(bits, kind="stable")[: order.probe_samples]).astype(np.int32)
        one, first = np.zeros(1, dtype=np.int64), np.array([0, drawn.size], dtype=np.int64)
        return float(self._make_trainer(kept).losses(order.params[None], one, first, drawn)[0])

    def _run(self, order: TrainOrder, kept: Storage, held: int) -> LocalUpdates:
        first = np.array([0, order.local_steps], dtype=np.int64)
        rows = np.empty((order.local_steps, self._training.batch_size), dtype=np.int32)
        one = np.ones(1, dtype=np.int64)
        sequence = np.arange(held, dtype=np.int32)[None]
        seed = np.array([order.seed], dtype=np.uint64)
        draw_rows(
            seed,
            one * order.round_index,
            one * order.client,
            first,
            sequence,
            0 * one,
            0 * one,
            one * held,
            rows,
        )
        correction = None if order.correction is None else order.correction[None]
        jobs = LocalJobs(order.params[None], 0 * one, first, rows, correction)
        return self._make_trainer(kept).run(jobs, self._training)


class RemoteCore(FederatedCore):
    """The coordinator's half of one federation (E = 1) whose clients train elsewhere.

    Everything but the local training is `FederatedCore`'s: who holds what, the aggregator and its memory, the
    server's step, evaluation, snapshots. Takes the arguments of `FederatedCore`.
    """

    def __init__(self, dataset: Dataset, model: Model, num_clients: int, **options: Any) -> None:
        super().__init__(dataset, model, 1, num_clients, **options)
        self._updates: Mapping[int, LocalUpdate] = {}

    def orders(
        self, local_steps: NDArray[Any], sent: NDArray[Any], round_index: int
    ) -> dict[int, TrainOrder]:
        """The orders of a round at the present model.

        Args:
            local_steps: ``int [N]``, 0 = not invited.
            sent: ``int [N]``, samples of the hub to send along.
            round_index: index of the round.

        Returns:
            One order for each client with local steps.
        """
        clients = np.flatnonzero(np.asarray(local_steps) > 0)
        start = self.aggregator.prepare(np.zeros(clients.size, dtype=np.int64), clients, self._params)
        orders = {}
        for job, client in enumerate(clients.tolist()):
            begin = int(self._offset[0, client]) + int(self._held[0, client])
            rows = self._rows[0, begin : begin + int(sent[client])]
            blank = self._blank_order(client, round_index)
            orders[client] = replace(
                blank,
                local_steps=int(local_steps[client]),
                params=np.array(start.pool[start.origin[job]], dtype=np.float32),
                sent_x=self.dataset.x_train[rows],
                sent_y=self.dataset.y_train[rows],
                correction=None if start.correction is None else start.correction[job].copy(),
            )
        return orders

    def probes(self, samples: NDArray[Any], round_index: int) -> dict[int, TrainOrder]:
        """Questions for the loss at the present model, on ``samples [N]`` each; 0 = not asked."""
        return {
            client: replace(self._blank_order(client, round_index), probe_samples=int(samples[client]))
            for client in np.flatnonzero(np.asarray(samples) > 0).tolist()
        }

    def _blank_order(self, client: int, round_index: int) -> TrainOrder:
        return TrainOrder(
            client=client,
            round_index=round_index,
            local_steps=0,
            seed=int(self._seed[0]),
            base=int(self._held[0, client]),
            params=self._params[0].astype(np.float32),
            sent_x=np.zeros((0, self.dataset.num_features), dtype=np.float32),
            sent_y=np.zeros(0, dtype=np.int32),
        )

    def apply(
        self,
        updates: Mapping[int, LocalUpdate],
        local_steps: NDArray[Any],
        round_index: int,
        weights: NDArray[np.float64] | None = None,
        rates: NDArray[np.float64] | None = None,
    ) -> TrainResult:
        """Aggregates the updates that arrived in time and moves the server's model.

        Args:
            updates: by client.
            local_steps: ``int [N]``, as ordered.
            round_index: index of the round.
            weights: ``float64 [1, N]``, the plan's own coefficients, or None.
            rates: ``float64 [1, N]``, participation rates so far.

        Raises:
            ValueError: an update that does not fit the model or the round.
        """
        for client, update in updates.items():
            if update.delta.shape != self._params[0].shape:
                raise ValueError(
                    f"update of client {client}: {update.delta.size} parameters, "
                    f"expected {self._params.shape[1]}"
                )
            if update.round_index != round_index:
                raise ValueError(
                    f"update of client {client}: of round {update.round_index}, expected {round_index}"
                )
        arrived = np.zeros((1, self.num_clients), dtype=np.int32)
        for client in updates:
            arrived[0, client] = local_steps[client]
        self._updates = updates
        try:
            return self.run_round(arrived, weights, np.array([round_index]), rates)
        finally:
            self._updates = {}

    def _local(
        self, env: NDArray, client: NDArray, steps: NDArray, round_index: NDArray, start: Start
    ) -> LocalUpdates:
        """The updates that came in, in the order of the jobs."""
        updates = [self._updates[index] for index in client.tolist()]
        delta = np.zeros((len(updates), self._params.shape[1]), dtype=np.float32)
        for job, update in enumerate(updates):
            delta[job] = update.delta
        loss = np.array([update.loss for update in updates], dtype=np.float32)
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm)
