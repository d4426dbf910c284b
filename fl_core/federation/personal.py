"""What the clients themselves get: per-client scores, one model per block of hours, kNN personalisation.

The server's validation accuracy says how good one model is on everybody's data together. These options look
at each client's own mix of labels. They change nothing in training; what they would cost in the field is
returned along with the scores, so that whoever uses them can charge it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints32
from ..models import ModelSpec, inner_model
from ..training import NumpyTrainer
from .on_data import FederatedCore, by_label_mix


@dataclass(frozen=True)
class PersonalScores:
    """Scores of every client on its own label mix, and the price of having them."""

    accuracy: Floats  # [N]
    download_bytes: float  # bytes that each client would have to be sent beyond training
    row_passes: Floats  # rows that each client would have to run through the model, beyond training

    def fairness(self) -> dict[str, float]:
        """Mean, spread, worst and tenth-percentile client accuracy."""
        return {
            "mean": float(self.accuracy.mean()),
            "std": float(self.accuracy.std()),
            "min": float(self.accuracy.min()),
            "p10": float(np.percentile(self.accuracy, 10)),
        }


def label_mix(core: FederatedCore, env: int) -> Floats:
    """Label frequencies `[N, C]` of an environment's clients, see `FederatedCore.label_mix`."""
    return np.asarray(core.label_mix()[env])


def class_means(correct: Bools, labels: Ints32, classes: int) -> Floats:
    """Share of correct rows of each class; nan for a class that does not occur."""
    count = np.bincount(labels, minlength=classes)
    right = np.bincount(labels, correct, minlength=classes)
    return np.where(count > 0, right / np.maximum(1, count), np.nan)


def reference_trainer(core: FederatedCore) -> NumpyTrainer:
    """Forward passes for a dense model."""
    model = inner_model(core.model)
    if not isinstance(model, ModelSpec) or model.num_parameters != core.model.num_parameters:
        raise ValueError(
            f"model: {core.model.name!r}, expected a dense one such as 'mlp' for personal scores"
        )
    return NumpyTrainer(core.dataset, model)


def client_scores(
    core: FederatedCore, env: int, params: Floats32 | None = None, part: str = "test"
) -> PersonalScores:
    """Accuracy of one model on each client's label mix.

    Args:
        core: the core.
        env: which environment.
        params: `[P]`; None = the server's current model.
        part: rows to measure on, `"val"` or `"test"`, weighted by each client's label mix.

    Returns:
        The scores; they cost nothing, every participant has the model anyway.
    """
    params = core.parameters()[env] if params is None else params
    each = core.trainer.class_accuracy(params[None], part)[0]
    accuracy = by_label_mix(each, label_mix(core, env))
    return PersonalScores(accuracy, 0.0, np.zeros(accuracy.size))


def pluralistic_scores(
    core: FederatedCore,
    env: int,
    snapshots: Floats32,
    block: Ints,
    part: str = "test",
) -> PersonalScores:
    """Every block of clients uses the model as it was when the block's hours ended.

    Eichner et al., "Semi-Cyclic Stochastic Gradient Descent" (ICML 2019): where availability cycles through
    blocks (time zones, say), one snapshot per block serves each better than the last model serves all.

    Args:
        core: the core.
        env: which environment.
        snapshots: `[B, P]`, one model per block.
        block: int `[N]`, block of each client.
        part: as in `client_scores`.

    Returns:
        The scores; every client must be sent its block's model once more.
    """
    each = np.stack([client_scores(core, env, snapshot, part).accuracy for snapshot in snapshots])
    accuracy = each[block, np.arange(block.size)]
    return PersonalScores(accuracy, float(core.model.bytes), np.zeros(block.size))


def knn_scores(
    core: FederatedCore,
    env: int,
    clients: Ints,
    share: float = 0.5,
    neighbours: int = 10,
    part: str = "test",
) -> PersonalScores:
    """kNN-Per: a client mixes the model's probabilities with the labels of its nearest own rows.

    Marfoq et al., "Personalized Federated Learning through Local Memorization" (ICML 2022):
    `share * kNN + (1 - share) * model`, neighbours weighted by `exp(-distance)` in the last hidden layer.

    Args:
        core: the core.
        env: which environment.
        clients: int `[M]`, which clients to score.
        share: weight of the neighbours, in [0, 1].
        neighbours: how many.
        part: as in `client_scores`.

    Returns:
        Scores of these clients; each must run its held rows through the model once.

    Raises:
        ValueError: if `share` or `neighbours` is out of range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: {share}, expected a number in [0, 1]")
    if neighbours < 1:
        raise ValueError(f"neighbours: {neighbours}, expected at least 1")
    reference, params, data = reference_trainer(core), core.parameters()[env], core.dataset
    x, y = data.rows(part)
    embedded, logits = reference.embed(params, x)
    model = np.exp(logits - logits.max(axis=1, keepdims=True))
    model /= model.sum(axis=1, keepdims=True)
    mix, accuracy, passes = label_mix(core, env), np.empty(clients.size), np.empty(clients.size)
    for i, k in enumerate(clients):
        rows = core.held_rows(env, int(k))
        local = model  # who holds nothing has no neighbours
        if rows.size:
            memory = reference.embed(params, data.x_train[rows])[0]
            local = _neighbour_votes(embedded, memory, data.y_train[rows], data.num_classes, neighbours)
        correct = (share * local + (1 - share) * model).argmax(axis=1) == y
        accuracy[i] = by_label_mix(class_means(correct, y, data.num_classes), mix[k : k + 1])[0]
        passes[i] = rows.size
    return PersonalScores(accuracy, 0.0, passes)


def _neighbour_votes(
    queries: Floats32,
    memory: Floats32,
    labels: Ints32,
    classes: int,
    neighbours: int,
) -> Floats:
    """Label probabilities `[Q, C]` by the nearest rows of memory."""
    distance = np.sqrt(
        np.maximum((queries**2).sum(axis=1)[:, None] + (memory**2).sum(axis=1) - 2 * queries @ memory.T, 0.0)
    )
    count = min(neighbours, labels.size)
    nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(distance, nearest, axis=1)
    weight = np.exp(near.min(axis=1, keepdims=True) - near)
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[nearest]), weight)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))
