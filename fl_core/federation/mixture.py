"""FedEM: every client predicts with its own mixture of M models that all clients train together.

Marfoq et al., "Federated Multi-Task Learning under a Mixture of Distributions" (NeurIPS 2021). A client's
rows come from an unknown mixture of M distributions: its weights pi_k are its own, the components theta_m
everybody's. One federation of a core lends its rows, its model's shape and its trainer; its own server model
is not touched. Whoever uses a mixture pays M times the bytes and M times the local steps, and one more pass
of M models over the rows: every call says how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ..training import LocalJobs, softmax_loss
from .on_data import FederatedCore, by_label_mix
from .personal import PersonalScores, class_means, label_mix, reference_trainer
from .worker_memory import WorkerMemory


@dataclass(frozen=True)
class MixtureRound:
    """What one round came to and cost."""

    trained: Bools  # [N] whose updates were used; a client whose training diverged is left out
    loss: Floats  # [N] mean loss of the mixture on the client's rows before the round; nan if idle
    down_bytes: Floats  # [N] M models for each participant
    up_bytes: Floats  # [N] likewise
    local_steps: Ints  # [N] M times the steps ordered
    row_passes: Floats  # [N] rows run forward through a model by the E-step: M times those held


class FederatedMixture:
    """M components and every client's mixture weights over one federation of a core.

    Args:
        core: lends rows, model, trainer and training settings; the model must be dense.
        env: which of its environments.
        num_components: M; 3 in the paper.
        seed: of the first components and weights and of all minibatches. Clients begin with random weights:
            components that start alike, as those of softmax regression do, would otherwise stay alike.

    Attributes:
        params: `[M, P]`.
        weights: `[N, M]`, each row sums to 1.

    Raises:
        ValueError: if M is below 1 or the model is not dense.
    """

    def __init__(self, core: FederatedCore, env: int, num_components: int = 3, seed: int = 0) -> None:
        if num_components < 1:
            raise ValueError(f"num_components: {num_components}, expected at least 1")
        self._core, self._env, self._seed = core, env, seed
        self._forward = reference_trainer(core)
        self.params = np.stack([core.model.init(seed + m) for m in range(num_components)])
        rng = np.random.default_rng([seed, 0])
        self.weights = rng.dirichlet(np.ones(num_components), core.num_clients)
        self._memory: WorkerMemory | None = None  # of each component at each client
        if core.training.adamw is not None:
            self._memory = WorkerMemory(num_components, core.num_clients, core.model.num_parameters)

    def forget(self, gone: Bools) -> None:
        """The sessions of these clients `[N]` have ended, and with them what their optimisers remember."""
        if self._memory is not None:
            self._memory.forget(np.broadcast_to(gone, (len(self.params), gone.size)))

    def run_round(
        self, local_steps: AnyArray, round_index: int = 0, server_step: float = 1.0
    ) -> MixtureRound:
        """One round: E-step and M-step of the participants, then the server's average of each component.

        The M-step is plain local SGD on minibatches drawn in proportion to the responsibilities q; the
        server weighs client k's component m with `sum_i q_kim`, the number of rows it stands for.

        Args:
            local_steps: int `[N]`, steps of each component; 0 = not taking part.
            round_index: names the minibatches and the learning rate.
            server_step: factor on the server's learning rate.

        Returns:
            Who trained, and the costs.
        """
        core, held = self._core, self._core.held[self._env]
        steps = np.where(held > 0, np.asarray(local_steps), 0).astype(np.int64)
        busy, components = np.flatnonzero(steps), len(self.params)
        batches, stands = [], np.zeros((busy.size, components))
        loss = np.full(core.num_clients, np.nan)
        for i, k in enumerate(busy.tolist()):
            rows = core.held_rows(self._env, k)
            self.weights[k], q, loss[k] = self._expect(k, rows, 1)
            stands[i] = q.sum(axis=0)
            rng = np.random.default_rng([self._seed, 1, round_index, k])
            batches += [self._draw(rows, q[:, m], int(steps[k]), rng) for m in range(components)]
        trained = np.zeros(core.num_clients, dtype=bool)
        if busy.size:
            trained[busy] = self._maximise(busy, batches, stands, round_index, server_step)
        sent = np.where(steps > 0, float(components * core.model.bytes), 0.0)
        passes = np.where(steps > 0, components * held, 0).astype(np.float64)
        return MixtureRound(trained, loss, sent, sent.copy(), components * steps, passes)

    def probabilities(self, client: int, x: Floats32) -> Floats:
        """A client's predictions `[n, C]`: its mixture of the components' probabilities."""
        logits = [self._forward.embed(theta, x)[1].astype(np.float64) for theta in self.params]
        each = [np.exp(z - z.max(axis=1, keepdims=True)) for z in logits]
        mixed = sum(
            w * p / p.sum(axis=1, keepdims=True) for w, p in zip(self.weights[client], each, strict=True)
        )
        return np.asarray(mixed)

    def scores(self, part: str = "test", iterations: int = 10) -> PersonalScores:
        """Accuracy of each client's mixture on its own label mix.

        Every client, those that never took part as well, first fits its weights to its rows.

        Args:
            part: as in `personal.client_scores`.
            iterations: of EM on the weights; the components' losses are computed once.

        Returns:
            The scores; every client is sent M models and runs its rows through each.
        """
        core, data = self._core, self._core.dataset
        x, y = data.rows(part)
        mix, accuracy = label_mix(core, self._env), np.zeros(core.num_clients)
        for k in range(core.num_clients):
            rows = core.held_rows(self._env, k)
            if rows.size:
                self.weights[k] = self._expect(k, rows, iterations)[0]
            correct = self.probabilities(k, x).argmax(axis=1) == y
            accuracy[k] = by_label_mix(class_means(correct, y, mix.shape[1]), mix[k : k + 1])[0]
        passes = len(self.params) * core.held[self._env].astype(np.float64)
        return PersonalScores(accuracy, float(len(self.params) * core.model.bytes), passes)

    def _expect(self, k: int, rows: Ints32, iterations: int) -> tuple[Floats, Floats, float]:
        """E-step: new weights `[M]`, responsibilities `[n, M]`, mean loss of the mixture before it.

        `q_im ~ pi_m exp(-loss_m(i))` and `pi_m = mean_i q_im`.
        """
        x, y = self._core.dataset.x_train[rows], self._core.dataset.y_train[rows]
        loss = np.stack(
            [softmax_loss(self._forward.embed(theta, x)[1], y)[0] for theta in self.params], axis=1
        )
        low = loss.min(axis=1, keepdims=True)
        likelihood = np.exp(low - loss.astype(np.float64))
        before = float(np.mean(low[:, 0] - np.log(np.maximum(likelihood @ self.weights[k], 1e-300))))
        weights = self.weights[k]
        for _ in range(iterations):
            q = likelihood * np.maximum(weights, 1e-12)
            q /= q.sum(axis=1, keepdims=True)
            weights = q.mean(axis=0)
        return weights, q, before

    def _draw(self, rows: Ints32, q: Floats, steps: int, rng: np.random.Generator) -> Ints32:
        """Minibatches `[steps, B]` of rows drawn in proportion to q."""
        marks = np.cumsum(q)
        uniform = rng.random((steps, self._core.training.batch_size)) * marks[-1]
        return np.asarray(rows[np.minimum(np.searchsorted(marks, uniform, side="right"), rows.size - 1)])

    def _maximise(
        self, busy: Ints, batches: list[Ints32], stands: Floats, round_index: int, server_step: float
    ) -> Bools:
        """M-step of all participants in one batch of jobs; returns whose updates were finite."""
        core, (clients, components) = self._core, stands.shape
        first = np.concatenate([[0], np.cumsum([len(each) for each in batches])])
        origin, client = np.tile(np.arange(components), clients), np.repeat(busy, components)
        moments = None if self._memory is None else self._memory.of(origin, client)
        rates = core.training.rate_of(np.full(origin.size, round_index))
        rows = np.ascontiguousarray(np.concatenate(batches))
        jobs = LocalJobs(self.params, origin, first, rows, learning_rate=rates, moments=moments)
        updates = core.trainer.run(jobs, core.training)
        if self._memory is not None and updates.moments is not None:
            self._memory.keep(origin, client, updates.moments, np.isfinite(updates.norm))
        good = np.asarray(np.isfinite(updates.norm).reshape(clients, components).all(axis=1))
        share = stands * good[:, None]
        share /= np.maximum(share.sum(axis=0), 1e-300)
        delta = np.where(good[:, None, None], updates.delta.reshape(clients, components, -1), 0)
        step = np.einsum("km,kmp->mp", share, delta) * (core.training.server_learning_rate * server_step)
        self.params = (self.params + step).astype(np.float32)
        return good
