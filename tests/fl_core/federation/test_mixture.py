"""FedEM-style mixtures: what they learn, what they cost, and what they reduce to."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import ClientRows, Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, FederatedMixture, TrainingOrders
from frugalfl.fl_core.models import make_model

DIGITS, N = load_dataset("digits"), 8


def two_populations():
    """The digits, and the digits with every label moved by five; half of the clients hold each."""
    d = DIGITS
    x, y = np.concatenate([d.x_train] * 2), np.concatenate([d.y_train, (d.y_train + 5) % 10])
    data = Dataset("two", x, y, d.x_val, d.y_val, d.x_test, d.y_test, 10)
    rows = np.random.default_rng(0).permutation(d.num_rows).astype(np.int32)
    rows = np.concatenate([rows[: N // 2 * 130], rows[: N // 2 * 130] + np.int32(d.num_rows)])
    offset = 130 * np.arange(N + 1, dtype=np.int64)
    return data, ClientRows(rows, offset, np.full(N, 130, dtype=np.int32), np.full(N, 1 / N))


def core_of(data, dealt, **training):
    core = FederatedCore(data, make_model("softmax", data), 1, N, {"learning_rate": 0.3, **training})
    core.reset(0, dealt, 0)
    return core


def moved_accuracy(mixture, client):
    labels = (DIGITS.y_test + 5 * (client >= N // 2)) % 10
    return (mixture.probabilities(client, DIGITS.x_test).argmax(axis=1) == labels).mean()


def test_components_separate_what_one_model_cannot_learn():
    data, dealt = two_populations()
    reached = {}
    for components in (1, 2):
        mixture = FederatedMixture(core_of(data, dealt), 0, components, seed=1)
        rounds = [mixture.run_round(np.full(N, 10), r) for r in range(40)]
        assert np.nanmean(rounds[-1].loss) < np.nanmean(rounds[0].loss)
        reached[components] = np.mean([moved_accuracy(mixture, k) for k in range(N)])
    assert reached[1] < 0.6
    assert reached[2] > 0.85
    main = mixture.weights.argmax(axis=1)
    assert len(set(main[: N // 2])) == len(set(main[N // 2 :])) == 1
    assert main[0] != main[-1]
    scores = mixture.scores()
    assert scores.accuracy[: N // 2].min() > 0.8
    assert np.allclose(mixture.weights.sum(axis=1), 1)


def test_one_component_is_fedavg_by_samples():
    """With one row per client there is but one minibatch, so both must take the same step."""
    rows = np.arange(N, dtype=np.int32)
    dealt = ClientRows(rows, np.arange(N + 1), np.ones(N, dtype=np.int32), np.full(N, 1 / N))
    core = core_of(DIGITS, dealt)
    mixture = FederatedMixture(core, 0, 1)
    mixture.params[0] = core.parameters()[0]
    steps = np.array([3, 0, 1, 2, 0, 3, 3, 5])
    mixture.run_round(steps)
    core.run_round(TrainingOrders(steps[None].astype(np.int32)))
    assert np.abs(mixture.params[0] - core.parameters()[0]).max() < 1e-6


def test_costs_grow_with_the_components():
    dealt = partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
    core, steps = core_of(DIGITS, dealt), np.array([4, 0, 0, 2, 0, 0, 0, 0])
    before = core.parameters()
    mixture = FederatedMixture(core, 0, 3)
    done = mixture.run_round(steps)
    assert np.array_equal(done.trained, steps > 0)
    assert np.array_equal(done.down_bytes, np.where(steps > 0, 3 * core.model.bytes, 0))
    assert np.array_equal(done.up_bytes, done.down_bytes)
    assert np.array_equal(done.local_steps, 3 * steps)
    assert np.array_equal(done.row_passes, np.where(steps > 0, 3 * core.held[0], 0))
    scores = mixture.scores("val")
    assert scores.download_bytes == 3 * core.model.bytes
    assert np.array_equal(scores.row_passes, 3 * core.held[0])
    assert np.array_equal(core.parameters(), before)


def test_rounds_are_reproducible_and_nobody_is_no_round():
    dealt = partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
    one, two = (FederatedMixture(core_of(DIGITS, dealt), 0, 2, seed=4) for _ in range(2))
    for mixture in (one, two):
        mixture.run_round(np.full(N, 2), 7)
    assert np.array_equal(one.params, two.params)
    before = one.params.copy()
    assert not one.run_round(np.zeros(N, dtype=int)).trained.any()
    assert np.array_equal(one.params, before)


def test_diverged_clients_are_left_out():
    dealt = partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
    mixture = FederatedMixture(core_of(DIGITS, dealt, learning_rate=1e12, weight_decay=1e9), 0, 2)
    done = mixture.run_round(np.full(N, 8))
    assert not done.trained.any()
    assert np.isfinite(mixture.params).all()


def test_mistakes_are_named():
    dealt = partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
    with pytest.raises(ValueError, match="num_components: 0"):
        FederatedMixture(core_of(DIGITS, dealt), 0, 0)


def test_workers_remember_their_gradients_until_their_sessions_end():
    data, dealt = two_populations()
    everyone, nobody = np.ones(N, dtype=bool), np.zeros(N, dtype=bool)
    learned = {}
    for name, gone in (("kept", nobody), ("forgotten", everyone)):
        core = core_of(data, dealt, optimiser="adamw", learning_rate=0.01)
        mixture = FederatedMixture(core, 0, 2, seed=1)
        learned[name] = []
        for r in range(2):
            mixture.run_round(np.full(N, 4), r)
            learned[name].append(mixture.params.copy())
            mixture.forget(gone)
    assert np.array_equal(learned["kept"][0], learned["forgotten"][0])
    assert not np.allclose(learned["kept"][1], learned["forgotten"][1], atol=1e-4)


def test_whoever_leaves_takes_along_its_own_moments_alone():
    data, dealt = two_populations()
    ways = {}
    for leaver in (None, 0, 5):
        mixture = FederatedMixture(core_of(data, dealt, optimiser="adamw", learning_rate=0.01), 0, 2, seed=1)
        mixture.run_round(np.full(N, 4), 0)
        mixture.forget(np.arange(N) == (-1 if leaver is None else leaver))
        mixture.run_round(4 * (np.arange(N) == 5), 1)  # nobody else trains
        ways[leaver] = mixture.params
    assert np.array_equal(ways[None], ways[0]) and not np.array_equal(ways[None], ways[5])
