"""Cox's model: the likelihood by its definition, the gradient by differences, the index by counting pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.remote import LocalNode, Storage, TrainOrder
from frugalfl.fl_core.testing import check_trainer
from frugalfl.fl_core.training import LocalJobs, LocalTraining, make_trainer
from frugalfl.fl_core.training.cox_trainer import concordance, partial_likelihood

DATA = load_dataset({"kind": "synthetic-hospitals", "survival": True})
MODEL = make_model("cox", DATA)


def by_definition(risk, time, event):
    total = 0.0
    for i in np.flatnonzero(event):
        total -= risk[i] - np.log(np.exp(risk[time >= time[i]]).sum())
    return total / len(risk)


def random_rows(seed, count=25, different=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=count), rng.integers(1, different, count) * 1.0, rng.random(count) < 0.6


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), different=st.sampled_from([2, 8, 10_000]))
def test_the_likelihood_is_breslows_and_its_gradient_exact(seed, different):
    risk, time, event = random_rows(seed, 25, different)
    loss, gradient = partial_likelihood(risk, time, event)
    assert loss == pytest.approx(by_definition(risk, time, event), abs=1e-10)
    step = 1e-5
    for k in range(risk.size):
        up, down = (by_definition(risk + s * step * (np.arange(25) == k), time, event) for s in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / (2 * step), abs=1e-8)
    assert gradient.sum() == pytest.approx(0, abs=1e-12)  # an intercept changes nothing


def test_scores_far_apart_neither_vanish_nor_overflow():
    loss, gradient = partial_likelihood(
        np.array([-2000.0, 2000.0]), np.array([1.0, 2.0]), np.array([True, True])
    )
    assert loss == 2000 and gradient.tolist() == pytest.approx([-0.5, 0.5])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_index_counts_comparable_pairs(seed):
    risk, time, event = random_rows(seed)
    risk = np.round(risk)  # ties
    pairs = right = 0.0
    for i in range(len(risk)):
        for j in range(len(risk)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                pairs += 1
                right += 1.0 if risk[i] > risk[j] else 0.5 * (risk[i] == risk[j])
    total, good = concordance(risk, time, event)
    assert total.sum() == 2 * pairs and good.sum() == 2 * right  # each pair has two rows


def test_the_trainer_follows_the_gradient_of_its_rows():
    check_trainer("cox", DATA, MODEL)
    trainer, rng = make_trainer("auto", DATA, MODEL), np.random.default_rng(0)
    assert trainer.name == "cox"
    start, rows = rng.normal(0, 0.1, MODEL.num_parameters).astype(np.float32), rng.integers(0, 400, (1, 16))
    jobs = LocalJobs(start[None], np.zeros(1, dtype=int), np.array([0, 1]), rows.astype(np.int32))
    done = trainer.run(jobs, LocalTraining(learning_rate=0.5, weight_decay=0.0))

    def loss(params):
        x, time = DATA.x_train[rows[0]].astype(np.float64), DATA.times_of("train")[rows[0]]
        return by_definition(x @ params, time, DATA.y_train[rows[0]] == 1)

    wanted = [
        (loss(start + 1e-5 * unit) - loss(start - 1e-5 * unit)) / 2e-5
        for unit in np.eye(MODEL.num_parameters)
    ]
    np.testing.assert_allclose(done.delta[0], -0.5 * np.array(wanted), atol=1e-6)
    assert done.loss[0] == pytest.approx(loss(start), rel=1e-5)


def test_four_hospitals_learn_who_dies_earlier():
    core = FederatedCore(DATA, MODEL, 1, 4, {"learning_rate": 0.1, "batch_size": 16})
    core.reset(0, partition(DATA, 4, np.zeros(4), 1, "natural", np.random.default_rng(0)), 0)
    before, loss = core.evaluate(part="test")
    assert before[0] == 0.5
    for index in range(15):
        core.run_round(TrainingOrders(np.full((1, 4), 20), round_index=np.array([index])))
    after, less = core.evaluate(part="test")
    assert after[0] > 0.65 and less[0] < loss[0]
    assert np.isfinite(core.client_accuracy()).all()
    assert np.isfinite(core.client_losses(np.ones((1, 4), dtype=bool))).all()


def test_a_real_node_takes_the_simulated_clients_steps():
    settings = LocalTraining(learning_rate=0.1, batch_size=16)
    dealt = partition(DATA, 4, np.zeros(4), 1, "natural", np.random.default_rng(0))
    core = FederatedCore(DATA, MODEL, 1, 4, settings)
    core.reset(0, dealt, 5)
    core.run_round(TrainingOrders(np.array([[0, 7, 0, 0]]), round_index=np.array([3])))
    own = dealt.rows[dealt.offset[1] : dealt.offset[2]]
    node = LocalNode(DATA, MODEL, settings, "auto", own)
    start, nothing = np.zeros(MODEL.num_parameters, dtype=np.float32), Storage.empty(DATA.num_features)
    order = TrainOrder(1, 3, 7, 5, own.size, start, nothing.x, nothing.y)
    np.testing.assert_allclose(node.train(order)[0].delta, core.parameters()[0], atol=1e-7)
    sent = replace(order, sent_x=DATA.x_train[:2], sent_y=DATA.y_train[:2])
    with pytest.raises(ValueError, match="times do not travel"):
        node.train(sent)


@pytest.mark.parametrize("trainer", ["fused", "numpy", "torch"])
def test_other_trainers_refuse_it(trainer):
    with pytest.raises(ValueError, match="expected one that can train model 'cox'"):
        make_trainer(trainer, DATA, MODEL)


def test_data_without_times_are_refused():
    with pytest.raises(ValueError, match="'digits' has no times"):
        make_model("cox", load_dataset("digits"))
    with pytest.raises(ValueError, match="trainer: 'cox', expected one that can train model 'softmax'"):
        make_trainer("cox", DATA, make_model("softmax", DATA))
