"""The federated core: E server models, N clients each, trained together and exactly reproducible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32, Seeds
from ...common.settings import Spec
from ..aggregation import Aggregator, Attack, Compression, Start
from ..data import ClientRows, Dataset
from ..models import Model, TransformerSpec, inner_model
from ..numerics import draw_rows, uniform_bits
from ..training import LocalJobs, LocalTrainer, LocalTraining, LocalUpdates, make_trainer
from .base import RoundEngine
from .holdings import Task
from .worker_memory import WorkerMemory

# Probes and minibatches never share random numbers.
_PROBE_STREAM = np.uint64(0x9D0BE)


def probe_stream(seed: Seeds) -> Seeds:
    """The seeds by which probes draw their rows, from those of the minibatches."""
    return seed ^ _PROBE_STREAM


class FederatedCore(RoundEngine):
    """Trains E independent federations of N clients on one data set.

    All state is arrays; see `RoundEngine` for what is exact and for the round itself.

    Args:
        dataset: the rows.
        model: the model.
        num_envs: E.
        num_clients: N.
        training: settings of local training and the server's step, or a mapping of them.
        aggregator: name, mapping with settings, or an `Aggregator`.
        trainer: `"auto"`, `"fused"`, `"numpy"`, `"torch"` or a `LocalTrainer`.
        history: how many earlier server models are kept, for late updates.
        compression: `"top-k"`, `"8-bit"` or a mapping; None = plain float32 updates.
    """

    _STATE = (*RoundEngine._STATE, "rows")
    _GROWS = ("rows",)

    def __init__(
        self,
        dataset: Dataset,
        model: Model,
        num_envs: int,
        num_clients: int,
        training: LocalTraining | Mapping[str, object] | None = None,
        aggregator: Spec | Aggregator = "by-samples",
        trainer: Spec | LocalTrainer = "auto",
        history: int = 0,
        compression: Spec | Compression | None = None,
    ) -> None:
        super().__init__(
            num_envs,
            num_clients,
            model.num_parameters,
            np.float32,
            training,
            aggregator,
            history,
            compression,
        )
        self.dataset, self.model = dataset, model
        self.trainer, self._trainer_spec = make_trainer(trainer, dataset, model), trainer
        self._flipped: LocalTrainer | None = None
        self._rows = np.zeros((num_envs, 1), dtype=np.int32)
        self._memory: WorkerMemory | None = None
        if self.training.adamw is not None:
            self._memory = self._make_memory()

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`; the task is a partition, `ClientRows`."""
        if not isinstance(task, ClientRows):
            raise ValueError(f"task: {type(task).__name__}, expected ClientRows")
        self._begin(env, task, seed, self.model.init(max(seed, 0)))
        if self._memory is not None:
            self._memory.reset(env)
        size = task.rows.size
        if size > self._rows.shape[1]:
            grown = np.zeros((self.num_envs, size), dtype=np.int32)
            grown[:, : self._rows.shape[1]] = self._rows
            self._rows = grown
        self._rows[env, :size] = task.rows

    def held_rows(self, env: int, client: int | None = None) -> Ints32:
        """Training rows held now, by one client or, None, by all clients of an environment in their order."""
        begin, held = self._offset[env, :-1], self._held[env].astype(np.int64)
        if client is not None:
            return np.array(self._rows[env, begin[client] : begin[client] + held[client]])
        first = np.cumsum(held) - held
        return np.asarray(self._rows[env, np.repeat(begin - first, held) + np.arange(held.sum())])

    def _local(
        self, env: AnyArray, client: AnyArray, steps: AnyArray, round_index: AnyArray, start: Start
    ) -> LocalUpdates:
        """Draw the minibatches and trains."""
        first = np.concatenate([[0], np.cumsum(steps)])
        rows = np.empty((int(first[-1]), self.training.batch_size), dtype=np.int32)
        begin, held = self._offset[env, client], self._held[env, client].astype(np.int64)
        draw_rows(self._seed[env], round_index, client, first, self._rows, env, begin, held, rows)
        rates = self.training.rate_of(round_index)
        memory = self._memory
        moments = None if memory is None else memory.of(env, client)
        jobs = LocalJobs(start.pool, start.origin, first, rows, start.correction, rates, moments)
        done = self._trained(jobs, env, client)
        if memory is not None:
            if done.moments is None:
                raise ValueError(
                    f"trainer: {self.trainer.name!r} returned no moments, expected one that knows optimiser "
                    f"{self.training.optimiser!r}; use 'auto'"
                )
            memory.keep(env, client, done.moments, np.isfinite(done.norm))
        return done

    def _make_memory(self) -> WorkerMemory:
        """What the clients' optimisers remember."""
        return WorkerMemory(self.num_envs, self.num_clients, self.model.num_parameters)

    def _trained(self, jobs: LocalJobs, env: AnyArray, client: AnyArray) -> LocalUpdates:
        """The jobs done, by liars with flipped labels where there are such."""
        if self._flipped is None:
            return self.trainer.run(jobs, self.training)
        lies = self.liars[env, client]
        honest = self.trainer.run(jobs.select(~lies), self.training)
        return honest.with_others(self._flipped.run(jobs.select(lies), self.training), lies)

    def threaten(self, attack: Spec | Attack) -> None:
        """See `RoundEngine.threaten`; liars whose labels are flipped have a trainer of their own."""
        super().threaten(attack)
        self._flipped = None
        if self.attack is not None and self.attack.flips_labels:
            if not isinstance(self._trainer_spec, str | Mapping):
                raise ValueError(
                    f"attack: {self.attack.name!r}, expected a trainer by name, of which liars get one, too"
                )
            if isinstance(inner_model(self.model), TransformerSpec):
                raise ValueError(
                    f"attack: {self.attack.name!r}, expected another one: a language has no labels apart "
                    "from its rows"
                )
            turned = replace(self.dataset, y_train=self.dataset.num_classes - 1 - self.dataset.y_train)
            self._flipped = make_trainer(self._trainer_spec, turned, self.model)

    def end_sessions(self, ended: Bools) -> None:
        """See `RoundEngine.end_sessions`: the moments of AdamW, and what was not sent."""
        super().end_sessions(ended)
        if self._memory is not None:
            self._memory.forget(ended)

    def _memories(self) -> dict[str, AnyArray]:
        tables = {} if self._memory is None else self._memory.tables
        return super()._memories() | {f"workers.{name}": table for name, table in tables.items()}

    def evaluate(self, envs: Bools | None = None, part: str = "val") -> tuple[Floats, Floats]:
        """See `RoundEngine.evaluate`; the loss is the mean cross-entropy, the accuracy `Dataset.scored`."""
        if part not in ("val", "test"):
            raise ValueError(f"part: {part!r}, expected 'val' or 'test'")
        which = np.arange(self.num_envs) if envs is None else np.flatnonzero(envs)
        accuracy, loss = np.full(self.num_envs, np.nan), np.full(self.num_envs, np.nan)
        if which.size:
            accuracy[which], loss[which] = self._measured(self._params[which], part)
        return accuracy, loss

    def pooled_accuracy(self) -> Floats:
        """See `RoundEngine.pooled_accuracy`: validation and training rows, each row counts alike."""
        parts = ("val", "train")
        sizes = np.array([self.dataset.rows(part)[1].size for part in parts])
        each = np.stack([self._measured(self._params, part)[0] for part in parts])
        return np.asarray(sizes @ each / sizes.sum())

    def _measured(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """What the data set scores, and the mean loss, of each row of `params` on a part."""
        accuracy, loss = self.trainer.evaluate(params, part)
        return self.dataset.scored(accuracy, loss), loss

    def label_mix(self) -> Floats:
        """Label frequencies `[E, N, C]` of the rows each client owns.

        Rows sent by the hub are not the client's; one that owns none stands for those it may be sent.
        """
        data = self.dataset
        each = zip(self._rows, self._offset, self._own, self._target_weight, strict=True)
        return np.stack([ClientRows(*row).label_mix(data.y_train, data.num_classes) for row in each])

    def client_accuracy(self, part: str = "test") -> Floats:
        """Accuracy of each server's model on its clients' own label mixes.

        Returns:
            `[E, N]`: the model's accuracy on the rows of each label, averaged with the client's
            label frequencies (`label_mix`). Labels that the part lacks are left out; a client with no others
            gets nan.
        """
        return by_label_mix(self.trainer.class_accuracy(self._params, part), self.label_mix())

    def client_losses(
        self, clients: Bools, samples: AnyArray | None = None, round_index: AnyArray | None = None
    ) -> Floats32:
        """See `RoundEngine.client_losses`.

        Rows are drawn without replacement, as a function of the environment's seed, the round and the client.
        """
        env, client = self._workers(np.asarray(clients, dtype=bool))
        count = self._held[env, client].astype(np.int64)
        job, position = _within(count)
        if samples is not None:
            wanted = np.minimum(np.asarray(samples)[env, client], count)
            index = np.zeros(self.num_envs) if round_index is None else np.asarray(round_index)
            bits = uniform_bits(probe_stream(self._seed[env[job]]), index[env[job]], client[job], position)
            drawn = np.zeros(job.size, dtype=bool)
            drawn[np.lexsort((bits, job))] = position < wanted[job]  # the rows with the smallest numbers
            job, position, count = job[drawn], position[drawn], wanted
        first = np.concatenate([[0], np.cumsum(count)])
        rows = self._rows[env[job], self._offset[env[job], client[job]] + position]
        loss = self.trainer.losses(self._params, env, first, rows)
        if self._flipped is not None:
            turned = self._flipped.losses(self._params, env, first, rows)
            loss = np.where(self.liars[env, client], turned, loss)
        return self._spread(env, client, loss)


def by_label_mix(each: Floats, mix: Floats) -> Floats:
    """Mean over labels of `each [..., C]` with the weights `mix [..., N, C]`: `[..., N]`.

    Labels with nan are left out and the other weights scaled up; nan where none is left.
    """
    known = np.isfinite(each)
    weight = mix * known[..., None, :]
    right = (weight * np.where(known, each, 0.0)[..., None, :]).sum(axis=-1)
    total = weight.sum(axis=-1)
    return np.asarray(np.divide(right, total, out=np.full_like(right, np.nan), where=total > 0))


def _within(count: Ints) -> tuple[Ints, Ints]:
    """The job of each of `sum(count)` items, and its position within the job."""
    job = np.repeat(np.arange(count.size), count)
    return job, np.arange(job.size) - (np.cumsum(count) - count)[job]
