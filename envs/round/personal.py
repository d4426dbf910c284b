"""Personalised models: nearest neighbours, a snapshot per block of hours, a mixture, or the global model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...fl_core.federation import (
    FederatedCore,
    FederatedMixture,
    PersonalScores,
    TrainingOrders,
    knn_scores,
    pluralistic_scores,
    reference_trainer,
)
from ..episode import Population, PopulationSource
from ..scenario import Evaluation

FORWARD_SHARE = 1.0 / 3.0
"""A forward pass takes a third of a training step: the backward pass takes twice as long."""


@dataclass(frozen=True)
class ClientScores:
    """How well every client is served in the end, and what personalising cost beyond training."""

    accuracy: Floats  # [E, N] on the test set re-weighted to the client's own label mix
    moved_bytes: Floats  # [E, N] sent to the client
    compute_s: Floats  # [E, N] computed by it
    energy_j: Floats  # [E, N] joules of both
    emissions_g: Floats  # [E, N] grams CO2e of them at the present intensity

    @classmethod
    def free(cls, accuracy: Floats) -> ClientScores:
        """Scores that cost nothing beyond training."""
        return cls(accuracy, *(np.zeros(accuracy.shape) for _ in range(4)))


class PersonalModels:
    """Follows the training of E worlds and scores every client's own way to use it.

    Args:
        settings: which way.
        core: trains and holds the data.

    Raises:
        ValueError: if the model is not dense and has to be.
    """

    def __init__(self, settings: Evaluation, core: FederatedCore):
        self.settings = settings
        self._core = core
        self._blocks = int(settings.setting("blocks"))
        if settings.personal in ("knn", "mixture"):
            reference_trainer(core)
        num_envs, num_clients = core.num_envs, core.num_clients
        followed = self._blocks if settings.personal == "blocks" else 0
        self._seen = np.zeros((num_envs, num_clients, followed), dtype=np.int64)
        self._snapshots = np.zeros((num_envs, followed, core.parameters().shape[1]), dtype=np.float32)
        self._taken = np.zeros((num_envs, followed), dtype=bool)
        self._mixtures: list[FederatedMixture | None] = [None] * num_envs

    def reset(self, env: int, seed: int) -> None:
        """A new episode begins in one environment; call it after the core's reset."""
        self._seen[env] = 0
        self._taken[env] = False
        if self.settings.personal == "mixture":
            components = int(self.settings.setting("components"))
            self._mixtures[env] = FederatedMixture(self._core, env, components, seed)

    def extra_batches(self, held: Ints, batch_size: int) -> Ints:
        """`[E, N]`, batches that a participant runs forward through one model, beyond its local steps."""
        if self.settings.personal != "mixture":
            return np.zeros_like(held)
        return (self.settings.models - 1) * -(-held // batch_size)

    def train(self, orders: TrainingOrders, round_index: Ints) -> None:
        """Train the mixtures on the orders of a step, like the global models; `[E]`, the step's number."""
        if self.settings.personal == "mixture":
            steps = np.asarray(orders.local_steps)
            factors = np.ones(len(steps)) if orders.server_step is None else np.asarray(orders.server_step)
            for env in np.flatnonzero(steps.any(axis=1)).tolist():
                mixture = self._mixtures[env]
                if mixture is not None:
                    mixture.run_round(steps[env], int(round_index[env]), float(factors[env]))

    def end_sessions(self, ended: Bools) -> None:
        """The sessions of these clients `[E, N]` have ended."""
        for env, mixture in enumerate(self._mixtures):
            if mixture is not None:
                mixture.forget(ended[env])

    def note_decision(self, available: Bools, utc_hour: Floats, trained: Bools, going_on: Bools) -> None:
        """Note who is available at a decision, and which models have changed since the last.

        Args:
            available: bool `[E, N]`.
            utc_hour: `[E]`, hour of the day when the step began.
            trained: bool `[E]`, whose model the step changed.
            going_on: bool `[E]`, whose episode was running.
        """
        if self.settings.personal != "blocks":
            return
        block = np.minimum((utc_hour * self._blocks / 24.0).astype(np.int64), self._blocks - 1)
        rows = np.arange(block.size)
        self._seen[rows, :, block] += available & going_on[:, None]
        moved = np.flatnonzero(trained)
        self._snapshots[moved, block[moved]] = self._core.parameters()[moved]
        self._taken[moved, block[moved]] = True

    def score(self, env: int) -> PersonalScores:
        """One environment's clients on the test set, and what the way costs each."""
        kind, core = self.settings.personal, self._core
        if kind == "knn":
            share, neighbours = self.settings.setting("share"), int(self.settings.setting("neighbours"))
            return knn_scores(core, env, np.arange(core.num_clients), share, neighbours)
        if kind == "blocks":
            now = core.parameters()[env]
            models = np.where(self._taken[env][:, None], self._snapshots[env], now)
            return pluralistic_scores(core, env, models, self._seen[env].argmax(axis=1))
        mixture = self._mixtures[env]
        if kind == "mixture" and mixture is not None:
            return mixture.scores()
        raise ValueError(f"personal: {kind!r} in environment {env}, expected one that has been reset")

    def scores(self, population: Population, source: PopulationSource, grams_per_j: Floats) -> ClientScores:
        """All clients, with costs in the workload's terms.

        Args:
            population: the clients' devices.
            source: the workload.
            grams_per_j: `[E, N]`, emissions of a joule at each client now.
        """
        each = [self.score(env) for env in range(len(self._mixtures))]
        models = np.array([score.download_bytes for score in each]) / self._core.model.bytes
        one_bytes, one_s = (x / source.models_trained for x in (source.model_bytes, population.step_s))
        moved = np.broadcast_to(models[:, None] * one_bytes, grams_per_j.shape).copy()
        batches = np.ceil(np.stack([score.row_passes for score in each]) / source.training.batch_size)
        compute_s = batches * one_s * FORWARD_SHARE
        energy_j = moved * population.network_j_per_byte + compute_s * population.compute_watts
        accuracy = np.stack([score.accuracy for score in each])
        return ClientScores(accuracy, moved, compute_s, energy_j, energy_j * grams_per_j)
