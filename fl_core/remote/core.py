"""Rounds whose local training happens elsewhere: orders go out, updates come in, the core only aggregates.

The coordinator's half is `RemoteCore`, the node's half `LocalNode`. Both use the draws and trainers of the
simulator, so that the same seed, partition and plans give the same model wherever the clients run. Nothing
here knows how an order travels; `flower` packs orders into Flower's messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.settings import Spec
from ..aggregation import COMPRESSIONS, Aggregator, Compression, Start
from ..data import Dataset
from ..federation import FederatedCore, Task, TrainingOrders, TrainResult, WorkerMemory
from ..models import Model
from ..training import LocalTrainer, LocalTraining, LocalUpdates, Moments
from .carried import Carried
from .orders import LocalUpdate, TrainOrder


class RemoteCore(FederatedCore):
    """The coordinator's half of one federation (E = 1) whose clients train elsewhere.

    Everything but the local training is `FederatedCore`'s: who holds what, the aggregator and its memory, the
    server's step, evaluation, snapshots. Takes the arguments of `FederatedCore`.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: Model,
        num_clients: int,
        training: LocalTraining | Mapping[str, object] | None = None,
        aggregator: Spec | Aggregator = "by-samples",
        trainer: Spec | LocalTrainer = "auto",
        compression: Spec | Compression | None = None,
    ) -> None:
        inner = None if compression is None else COMPRESSIONS.make(compression)
        self._carried = None if inner is None else Carried(inner)
        super().__init__(dataset, model, 1, num_clients, training, aggregator, trainer, 0, self._carried)
        self._updates: Mapping[int, LocalUpdate] = {}
        self._brought: Ints = np.zeros(num_clients, dtype=np.int64)

    def _deal(self, env: int, task: Task) -> None:
        super()._deal(env, task)
        self._dealt = task

    def bring(self, samples: Ints) -> Bools:
        """Say who brings rows of its own, which take the place of those it was dealt.

        Such a client is sent no others, and its share of the objective is by its rows and those that
        everybody else was dealt.

        Args:
            samples: int `[N]`, how many; 0 = it holds what it was dealt.

        Returns:
            Bool `[N]`: whose rows have changed by this.
        """
        changed: Bools = samples != self._brought
        if changed.any():
            own, dealt = samples > 0, self._dealt
            self._brought = samples.copy()
            self._own[0] = np.where(own, samples, dealt.own)
            self._capacity[0] = np.where(own, samples, dealt.capacity)
            self._held[0, changed] = self._own[0, changed]
            rows = np.where(own, samples, dealt.target_weight * max(int(dealt.own.sum()), 1))
            self._target_weight[0] = rows / rows.sum()
        return changed

    def orders(
        self, local_steps: AnyArray, sent: AnyArray, round_index: int, upload_bits: int = 0
    ) -> dict[int, TrainOrder]:
        """The orders of a round at the current model.

        Args:
            local_steps: int `[N]`, 0 = not invited.
            sent: int `[N]`, samples of the hub to send along.
            round_index: index of the round.
            upload_bits: of a coordinate of an update, where the compression takes them; 0 = its own.

        Returns:
            One order for each client with local steps.
        """
        clients = np.flatnonzero(np.asarray(local_steps) > 0)
        start = self.aggregator.prepare(np.zeros(clients.size, dtype=np.int64), clients, self._params)
        orders, carried = {}, self._carried
        for job, client in enumerate(clients.tolist()):
            begin = int(self._offset[0, client]) + int(self._held[0, client])
            rows = self._rows[0, begin : begin + int(sent[client])]
            blank, memory = self._blank_order(client, round_index), self._memory
            orders[client] = replace(
                blank,
                local_steps=int(local_steps[client]),
                params=np.array(start.pool[start.origin[job]], dtype=np.float32),
                sent_x=self.dataset.x_train[rows],
                sent_y=self.dataset.y_train[rows],
                correction=None if start.correction is None else start.correction[job].copy(),
                moment_steps=0 if memory is None else int(memory.tables["steps"][0, client]),
            )
            if carried is not None:
                orders[client] = replace(
                    orders[client],
                    upload_bits=upload_bits if carried.takes_bits else 0,
                    unsent_round=carried.last_round(client),
                    compression=carried.inner,
                )
        return orders

    def probes(self, samples: AnyArray, round_index: int) -> dict[int, TrainOrder]:
        """Questions for the loss at the current model, on `samples [N]` each; 0 = not asked."""
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
        local_steps: AnyArray,
        round_index: int,
        weights: Floats | None = None,
        rates: Floats | None = None,
        server_step: Floats | None = None,
    ) -> TrainResult:
        """Aggregate the updates that arrived in time and move the server's model.

        Args:
            updates: by client.
            local_steps: int `[N]`, as ordered.
            round_index: index of the round.
            weights: `[1, N]`, the plan's own coefficients, or None.
            rates: `[1, N]`, participation rates so far.
            server_step: `[1]`, factor on the server's learning rate, or None.

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
        if self._carried is not None:
            self._carried.round_index = round_index
        try:
            index = np.array([round_index])
            closes = np.ones(1, dtype=bool)
            return self.run_round(
                TrainingOrders(arrived, weights, index, rates, server_step=server_step, closes=closes)
            )
        finally:
            self._updates = {}

    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """The updates that came in, in the order of the jobs."""
        updates = [self._updates[index] for index in client.tolist()]
        delta = np.zeros((len(updates), self._params.shape[1]), dtype=np.float32)
        for job, update in enumerate(updates):
            delta[job] = update.delta
        loss = np.array([update.loss for update in updates], dtype=np.float32)
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        if self._memory is not None:
            seen = np.array([update.moment_steps for update in updates], dtype=np.int64)
            moments = replace(Moments.blank(seen.size, 0), steps=seen)
            self._memory.keep(env, client, moments, np.isfinite(norm))
        return LocalUpdates(delta, loss, norm)

    def _make_memory(self) -> WorkerMemory:
        """The moments stay on the nodes: only the steps that they have seen are known here."""
        return WorkerMemory(self.num_envs, self.num_clients, 0)
