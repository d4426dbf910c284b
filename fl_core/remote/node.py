"""A node that trains: the same minibatches and steps as the simulated client."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Floats, Floats32
from ...common.settings import Spec
from ..aggregation import COMPRESSIONS, Compression, Parcel
from ..data import Dataset
from ..federation import probe_stream
from ..models import Model
from ..numerics import draw_rows, uniform_bits
from ..training import LocalJobs, LocalTrainer, LocalTraining, LocalUpdates, Moments, make_trainer
from .orders import LocalUpdate, Storage, TrainOrder, Unsent


class LocalNode:
    """A client where it really runs: its own samples, those it was sent, and the simulator's trainer.

    Args:
        dataset: the client's own samples are rows of it.
        model: the model.
        training: settings of the local training.
        trainer: name of the trainer or a mapping with its settings.
        own_rows: int `[n]`, the training rows the client has from the start.
        compression: of its updates; None = they travel as they are.
        clock: seconds of a clock that never goes back; measures the training.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: Model,
        training: LocalTraining,
        trainer: Spec,
        own_rows: AnyArray,
        compression: Spec | Compression | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._dataset, self._model, self._training, self._trainer = dataset, model, training, trainer
        self._own_x, self._own_y = dataset.x_train[own_rows], dataset.y_train[own_rows]
        self._own_times = None if dataset.times is None else dataset.times_of("train")[own_rows]
        self._clock = clock
        self._compression = None if compression is None else COMPRESSIONS.make(compression)

    @property
    def own(self) -> int:
        """Number of the client's own samples."""
        return int(self._own_y.size)

    def pace_s(self, steps: int = 4) -> float:
        """Seconds that one local step takes here, by a few of them; what they come to is thrown away."""
        few = slice(0, self._training.batch_size if not self.own else 0)
        order = TrainOrder(
            client=0,
            round_index=0,
            local_steps=1,
            seed=0,
            base=self.own,
            params=self._model.init(0),
            sent_x=self._dataset.x_train[few],
            sent_y=self._dataset.y_train[few],
        )
        self.train(order)  # the first one compiles
        return self.train(replace(order, local_steps=steps))[0].compute_s / steps

    def train(self, order: TrainOrder, storage: Storage | None = None) -> tuple[LocalUpdate, Storage]:
        """Carry out one order.

        A node and its coordinator may disagree about what the node was sent before: it may have been
        restarted without its memory, or an answer may have been lost. A node that holds more than
        `order.base` rows forgets the rest; one that holds fewer goes back to its own samples and takes no
        new ones. Either way the update says how many rows it was trained on. Its optimiser goes on from the
        moments that have seen `order.moment_steps` steps: those of its last update, or, if that update came
        too late to count, of the one before; a node that has them no longer begins with none. So does what it
        did not send of its compressed update of `order.unsent_round`, and is to add to this one.

        Args:
            order: what to do.
            storage: what it kept so far; None = nothing.

        Returns:
            The update, and what to keep for the next order.
        """
        kept = self._store(order, storage or Storage.empty(self._own_x.shape[1]))
        began_s = self._clock()
        held = self.own + int(kept.y.size)
        delta, loss, seen = np.zeros_like(order.params), float("nan"), 0
        parcel: Parcel = ()
        if not order.local_steps:
            delta = delta[:0]
            loss = self._probe(order, kept, held) if held else loss
        elif held:
            before = self._moments(order, kept)
            result = self._run(order, kept, held, before)
            delta, loss = result.delta[0], float(result.loss[0])
            if before is not None and result.moments is not None:
                kept = replace(kept, moments=(before, result.moments))
                seen = int(result.moments.steps[0])
        if order.local_steps and self._compression is not None:
            delta, parcel, kept = self._packed(self._compression, order, delta, kept)
        spent_s = self._clock() - began_s
        update = LocalUpdate(order.client, order.round_index, delta, loss, held, spent_s, seen, parcel)
        return update, kept

    def _packed(
        self, compression: Compression, order: TrainOrder, delta: Floats32, kept: Storage
    ) -> tuple[Floats32, Parcel, Storage]:
        """The update as it will be decoded and as it travels, and what is kept with what was not sent."""
        before = [each for each in kept.unsent if each.round_index == order.unsent_round]
        whole = delta + before[0].rest if before and before[0].rest.size == delta.size else delta
        parcel = compression.encode(whole, order.upload_bits)
        sent = compression.decode(parcel, delta.size, order.upload_bits)
        if compression.feeds_back:
            kept = replace(kept, unsent=(Unsent(order.round_index, whole - sent), *before))
        return sent, parcel, kept

    def _moments(self, order: TrainOrder, kept: Storage) -> Moments | None:
        """What the optimiser goes on from; None with plain SGD."""
        if self._training.adamw is None:
            return None
        for moments in kept.moments:
            if int(moments.steps[0]) == order.moment_steps and moments.first.shape[1] == order.params.size:
                return moments
        return Moments.blank(1, order.params.size)

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
            times=self._times_with(kept),
        )
        return make_trainer(self._trainer, local, self._model)

    def _times_with(self, kept: Storage) -> tuple[Floats, Floats, Floats] | None:
        if self._own_times is None:
            return None
        if kept.y.size:
            raise ValueError("samples: sent, expected none: times do not travel; use hub: {share: 0}")
        return self._own_times, self._dataset.times_of("val"), self._dataset.times_of("test")

    def _probe(self, order: TrainOrder, kept: Storage, held: int) -> float:
        """The loss on the samples that `FederatedCore.client_losses` would draw."""
        position = np.arange(held)
        stream = probe_stream(np.array([order.seed], dtype=np.uint64))
        bits = uniform_bits(stream, order.round_index, order.client, position)
        drawn = np.sort(np.argsort(bits, kind="stable")[: order.probe_samples]).astype(np.int32)
        one, first = np.zeros(1, dtype=np.int64), np.array([0, drawn.size], dtype=np.int64)
        return float(self._make_trainer(kept).losses(order.params[None], one, first, drawn)[0])

    def _run(self, order: TrainOrder, kept: Storage, held: int, moments: Moments | None) -> LocalUpdates:
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
        rates = self._training.rate_of(one * order.round_index)
        jobs = LocalJobs(order.params[None], 0 * one, first, rows, correction, rates, moments)
        return self._make_trainer(kept).run(jobs, self._training)
