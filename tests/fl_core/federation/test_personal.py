"""Scores of each client on its own label mix."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import (
    FederatedCore,
    TrainingOrders,
    client_scores,
    knn_scores,
    label_mix,
    pluralistic_scores,
)
from frugalfl.fl_core.models import make_model

DIGITS, N = load_dataset("digits"), 12
BLOCK = np.arange(N) % 2


def make_core(spec, seed=0):
    core = FederatedCore(DIGITS, make_model("mlp", DIGITS), 1, N, {"learning_rate": 0.1})
    core.reset(0, partition(DIGITS, N, BLOCK, 2, spec, np.random.default_rng(seed)), seed)
    return core


def train(core, who, rounds, first=0):
    for r in range(rounds):
        core.run_round(TrainingOrders((10 * who[None]).astype(np.int32), None, np.array([first + r])))


def test_label_mix_counts_the_rows_a_client_owns():
    core = make_core({"kind": "dirichlet", "alpha": 0.3})
    mix = label_mix(core, 0)
    assert np.allclose(mix.sum(axis=1), 1)
    rows = core.held_rows(0, 3)
    assert np.allclose(mix[3], np.bincount(DIGITS.y_train[rows], minlength=10) / rows.size)
    assert np.array_equal(core.held_rows(0), np.concatenate([core.held_rows(0, k) for k in range(N)]))


def test_identical_clients_all_get_the_servers_accuracy():
    core = make_core("iid")
    train(core, np.ones(N, dtype=bool), 20)
    scores = client_scores(core, 0)
    assert scores.accuracy == pytest.approx(core.evaluate(part="test")[0][0], abs=0.02)
    assert scores.fairness()["std"] < 0.02


def test_one_snapshot_per_block_serves_blocks_better_than_the_last_model():
    """Blocks train in turns, as day and night do."""
    core = make_core({"kind": "zone", "zone_alpha": 0.1, "client_alpha": 5.0}, seed=1)
    snapshots = []
    for cycle in range(6):
        for block in (0, 1):
            train(core, block == BLOCK, 8, 16 * cycle + 8 * block)
            if cycle == 5:
                snapshots.append(core.parameters()[0])
    plural = pluralistic_scores(core, 0, np.stack(snapshots), BLOCK)
    last = client_scores(core, 0)
    assert plural.accuracy[BLOCK == 0].mean() > last.accuracy[BLOCK == 0].mean() + 0.02
    assert np.allclose(plural.accuracy[BLOCK == 1], last.accuracy[BLOCK == 1])
    assert plural.download_bytes == core.model.bytes


def test_neighbours_help_a_client_with_few_labels():
    core = make_core({"kind": "dirichlet", "alpha": 0.1}, seed=2)
    train(core, np.ones(N, dtype=bool), 4)
    clients = np.arange(N)
    alone, mixed = (knn_scores(core, 0, clients, share=share) for share in (0.0, 0.7))
    assert np.allclose(alone.accuracy, client_scores(core, 0).accuracy)
    assert mixed.accuracy.mean() > alone.accuracy.mean() + 0.05
    assert np.array_equal(mixed.row_passes, core.held[0])
    with pytest.raises(ValueError, match=r"share: 2"):
        knn_scores(core, 0, clients, share=2.0)


def test_neighbours_need_layers_we_know():
    core = FederatedCore(DIGITS, make_model({"kind": "cnn", "kernel": 2}, DIGITS), 1, N)
    core.reset(0, partition(DIGITS, N, BLOCK, 2, "iid", np.random.default_rng(0)), 0)
    assert client_scores(core, 0).accuracy.shape == (N,)
    with pytest.raises(ValueError, match="expected a dense one"):
        knn_scores(core, 0, np.arange(N))
