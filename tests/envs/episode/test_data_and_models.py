"""Other data sets, partitions, models and aggregators through the environment's keywords."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

ENV = "frugalfl/Volunteers-v0"


def write_mnist(root):
    folder, rng = root / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for prefix, count in (("train", 120), ("t10k", 30)):
        images, labels = rng.integers(0, 256, (count, 28, 28)), np.arange(count) % 10
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def play(rounds=3, **changes):
    """Parameters before and after a few rounds in which everybody there is invited."""
    env = gym.make(ENV, **changes).unwrapped
    env.reset(seed=2)
    world = env.agent_view.world
    before = world.parameters()
    action = np.zeros(env.action_space.shape, dtype=np.int64)
    action[2 : 2 + world.scenario.clients] = 1
    for _ in range(rounds):
        *_, info = env.step(action)
    return before, world.parameters(), info


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "mlp"},
        {"model": {"kind": "mlp", "hidden": [32, 16]}},
        {"dataset": {"kind": "synthetic", "alpha": 1, "beta": 1, "num_clients": 24}, "partition": "natural"},
        {"partition": "iid"},
        {"partition": {"kind": "dirichlet", "alpha": 0.3}},
        {"partition": {"kind": "shards", "per_client": 2}},
        {"aggregator": "uniform"},
        {"aggregator": "unbiased"},
        {"aggregator": "scaffold"},
        {"aggregator": "fedadam"},
        {"training": {"prox_mu": 0.1, "server_learning_rate": 0.5}},
        {"trainer": "numpy"},
        {"hub": {"share": 0.0, "rows_per_client": 0}},
        {"quadratic": {"dimension": 4}},
    ],
    ids=str,
)
def test_every_ingredient_trains(changes):
    if changes.get("partition") == "natural":
        changes = {**changes, "hub": {"share": 0.0, "rows_per_client": 0}}
    before, after, info = play(**changes)
    assert np.isfinite(after).all() and (before != after).any()
    assert 0 <= info["accuracy"] <= 1


@pytest.mark.parametrize("model", ["softmax", "cnn"])
def test_image_files_on_disk_train(tmp_path, model):
    if model == "cnn":
        pytest.importorskip("torch")
    write_mnist(tmp_path)
    before, after, _ = play(1, dataset={"kind": "mnist", "root": str(tmp_path)}, model=model, clients=4)
    assert (before != after).any()


def test_actual_workload_charges_the_trained_model():
    nominal = gym.make(ENV).unwrapped.agent_view.world.source
    actual = gym.make(ENV, workload={"model_bytes": "actual", "sample_bytes": "actual"})
    source = actual.unwrapped.agent_view.world.source
    assert source.model_bytes == 4 * (64 * 10 + 10) < nominal.model_bytes
    actual.reset(seed=0)
    terms = actual.unwrapped.agent_view.situation.terms
    assert terms.sample_bytes.tolist() == [64 * 4]


def test_the_trainers_agree():
    (_, fused, _), (_, plain, _) = play(trainer="fused"), play(trainer="numpy")
    np.testing.assert_allclose(fused, plain, atol=1e-5)
