"""Learning-rate decay: every way to train makes the steps of plain SGD written down once more."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from frugalfl.fl_core.aggregation import AGGREGATORS
from frugalfl.fl_core.data import Dataset, partition
from frugalfl.fl_core.federation import FederatedCore, FederatedMixture, TrainingOrders
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticSettings, quadratic_problem
from frugalfl.fl_core.remote import LocalNode, RemoteCore
from frugalfl.fl_core.training import LocalJobs, LocalTraining, make_trainer

N, FEATURES, CLASSES = 3, 4, 3
MODEL = ModelSpec((FEATURES, CLASSES))
TRAINERS = ["fused", "numpy", {"kind": "torch", "mode": "loop"}, {"kind": "torch", "mode": "vmap"}]
EXACT = {"decay": {"learning_rate": 0.5, "learning_rate_decay": 0.5}, "fixed": {"learning_rate": 0.0625}}


def dataset():
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(n, FEATURES)), rng.integers(0, CLASSES, n)) for n in (40, 10, 10)]
    return Dataset("random", *[a for part in parts for a in part], num_classes=CLASSES)


def sgd(data, start, minibatches, rate, settings):
    """Softmax regression by plain SGD in float64."""
    w = start.astype(np.float64)
    for rows in minibatches:
        x, y = data.x_train[rows].astype(np.float64), data.y_train[rows]
        weight, bias = w[: FEATURES * CLASSES].reshape(CLASSES, FEATURES), w[FEATURES * CLASSES :]
        z = np.exp(x @ weight.T + bias)
        back = (z / z.sum(axis=1, keepdims=True) - np.eye(CLASSES)[y]) / len(y)
        gradient = np.concatenate([(back.T @ x).ravel(), back.sum(axis=0)])
        w = w - rate * (gradient + settings.weight_decay * w + settings.prox_mu * (w - start))
    return w - start


@pytest.mark.parametrize("trainer", TRAINERS, ids=str)
def test_each_job_makes_its_own_steps_of_plain_sgd(trainer):
    if isinstance(trainer, dict):
        pytest.importorskip("torch")
    data, rng = dataset(), np.random.default_rng(1)
    settings = LocalTraining(learning_rate=0.4, learning_rate_decay=0.7, weight_decay=0.1, prox_mu=0.3)
    first, index = np.array([0, 4, 4, 9, 12]), np.array([0, 1, 5, 2])
    rows = rng.integers(0, 40, (12, 6)).astype(np.int32)
    start = rng.normal(size=(2, MODEL.num_parameters)).astype(np.float32)
    origin, rates = np.array([1, 0, 0, 1]), settings.rate_of(index)
    assert np.allclose(rates, 0.4 * 0.7**index, rtol=1e-15)
    done = make_trainer(trainer, data, MODEL).run(
        LocalJobs(start, origin, first, rows, learning_rate=rates), settings
    )
    for j in range(4):
        expected = sgd(data, start[origin[j]], rows[first[j] : first[j + 1]], rates[j], settings)
        assert np.allclose(done.delta[j], expected, atol=2e-6)


def make_core(kind, training, aggregator="by-samples", history=0):
    zone, rng = np.zeros(N, dtype=np.int64), np.random.default_rng(3)
    if kind == "quadratic":
        settings = QuadraticSettings(dimension=3, gradient_noise=0.1)
        core = QuadraticCore(settings, 1, N, training, aggregator, history)
        core.reset(0, quadratic_problem(settings, N, zone, 1, rng), 5)
        return core
    core = FederatedCore(dataset(), MODEL, 1, N, training, aggregator, "numpy", history)
    core.reset(0, partition(core.dataset, N, zone, 1, "iid", rng), 5)
    return core


@pytest.mark.parametrize("kind", ["rows", "quadratic"])
def test_a_round_is_that_of_the_decayed_rate(kind):
    cores = [make_core(kind, EXACT[name]) for name in ("decay", "fixed")]
    for core in cores:
        core.run_round(TrainingOrders(np.full((1, N), 4), round_index=np.array([3])))
    assert np.array_equal(cores[0].parameters(), cores[1].parameters())


@pytest.mark.parametrize("kind", ["rows", "quadratic"])
@pytest.mark.parametrize("named_by_client", [False, True])
def test_a_late_update_has_the_rate_of_the_round_in_which_it_was_started(kind, named_by_client):
    """Of round 3, arriving two rounds later; the model did not change in between."""
    late = np.array([[2, 0, 0]])
    index = 5 - late if named_by_client else np.array([5])
    cores = [make_core(kind, EXACT[name], history=2) for name in ("decay", "fixed")]
    for core in cores:
        core.run_round(TrainingOrders(np.array([[4, 0, 0]]), round_index=index, staleness=late))
    assert np.array_equal(cores[0].parameters(), cores[1].parameters())


def test_the_mixture_trains_at_the_rate_of_the_round():
    each = []
    for name in ("decay", "fixed"):
        mixture = FederatedMixture(make_core("rows", EXACT[name]), 0, 2)
        mixture.run_round(np.array([3, 0, 2]), 3)
        each.append(mixture.params)
    assert np.array_equal(*each)


def test_a_node_trains_at_the_rate_of_the_round_of_its_order():
    data, training = dataset(), LocalTraining(**EXACT["decay"])
    core = make_core("rows", training)
    remote = RemoteCore(data, MODEL, N, training, trainer="numpy")
    remote.reset(0, partition(data, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(3)), 5)
    steps, index = np.array([4, 0, 2]), 3
    core.run_round(TrainingOrders(steps[None], round_index=np.array([index])))
    updates = {
        client: LocalNode(data, MODEL, training, "numpy", core.held_rows(0, client)).train(order)[0]
        for client, order in remote.orders(steps, np.zeros(N, dtype=int), index).items()
    }
    remote.apply(updates, steps, index)
    assert np.array_equal(remote.parameters(), core.parameters())


@pytest.mark.parametrize("aggregator", ["mifa", "fedvarp"])
def test_remembered_updates_count_with_the_rate_of_the_present_round(aggregator):
    """Two of one start: client 0 in round 0, clients 1 and 2 in round 1; one step of exact gradients each."""
    training = {"learning_rate": 0.5, "learning_rate_decay": 0.25}
    core = make_core("quadratic", training, aggregator)
    core.settings = core.settings.model_copy(update={"gradient_noise": 0.0})
    alpha, start = core.target_weight[0], core.parameters()[0]
    gradient = lambda w: np.einsum("kij,j->ki", core._hessian[0, :N], w) - core._linear[0, :N]
    old, new = gradient(start), None
    core.run_round(TrainingOrders(np.array([[1, 0, 0]]), round_index=np.array([0])))
    weight = alpha[0] if aggregator == "mifa" else 1.0
    moved = start - 0.5 * weight * old[0]
    assert np.allclose(core.parameters()[0], moved, atol=1e-12)
    new = gradient(moved)
    core.run_round(TrainingOrders(np.array([[0, 1, 1]]), round_index=np.array([1])))
    kept = np.stack([old[0], new[1], new[2]])
    if aggregator == "mifa":
        direction = alpha @ kept
    else:
        direction = alpha[0] * old[0] + alpha[1:] @ new[1:] / alpha[1:].sum()
    assert np.allclose(core.parameters()[0], moved - 0.125 * direction, atol=1e-12)


def test_control_variates_are_gradients_whatever_the_rate():
    core = make_core("quadratic", {"learning_rate": 0.5, "learning_rate_decay": 0.1}, "scaffold")
    core.settings = core.settings.model_copy(update={"gradient_noise": 0.0})
    start = core.parameters()[0]
    core.run_round(TrainingOrders(np.array([[1, 1, 0]]), round_index=np.array([2])))
    gradient = np.einsum("kij,j->ki", core._hessian[0, :N], start) - core._linear[0, :N]
    assert np.allclose(core.aggregator.memory["client"][0, :2], gradient[:2], rtol=1e-9)


@pytest.mark.parametrize("prox_mu", [0.0, 0.4])
def test_fednova_counts_steps_by_their_rates(prox_mu):
    """A late update of a round with twice the rate is as long as twice the steps, and weighs no more."""
    training = {"learning_rate": 0.2, "learning_rate_decay": 0.5, "prox_mu": prox_mu}
    core = make_core("quadratic", training, "fednova", history=1)
    core.settings = core.settings.model_copy(update={"gradient_noise": 0.0})
    start, steps, decay = core.parameters()[0], np.array([3, 2, 0]), np.array([0.5, 1.0])
    hessian, linear = core._hessian[0], core._linear[0]
    delta, length = np.zeros((2, 3)), np.zeros(2)
    for k in range(2):
        w, rate = start.copy(), 0.2 * decay[k]
        for step in range(steps[k]):
            w = w - rate * (hessian[k] @ w - linear[k] + prox_mu * (w - start))
            length[k] += decay[k] * (1 - rate * prox_mu) ** step
        delta[k] = w - start
    omega = core.held[0, :2] / core.held[0, :2].sum()
    expected = (omega @ length) * (omega @ (delta / length[:, None]))
    core.run_round(TrainingOrders(steps[None], round_index=np.array([1]), staleness=np.array([[0, 1, 0]])))
    assert np.allclose(core.parameters()[0] - start, expected, atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("aggregator", sorted(AGGREGATORS.names()))
def test_every_aggregator_survives_a_rate_that_has_vanished_or_refuses_decay(aggregator):
    training = {"learning_rate": 0.1, "learning_rate_decay": 0.01}
    if "f" in AGGREGATORS.options(aggregator).model_fields:
        aggregator = {"kind": aggregator, "f": 0}  # of three clients nobody may lie
    if not AGGREGATORS.make(aggregator).accepts_decay:
        with pytest.raises(ValueError, match=r"learning_rate_decay: 0\.01, expected 1: aggregator"):
            make_core("quadratic", training, aggregator)
        return
    core = make_core("quadratic", training, aggregator)
    for index in (0, 3, 400):
        given = np.full((1, N), 1 / N) if aggregator == "given" else None
        orders = TrainingOrders(np.ones((1, N), dtype=int), given, np.array([index]), np.full((1, N), 0.5))
        assert not core.run_round(orders).diverged.any()
    assert all(np.isfinite(table).all() for table in core.aggregator.memory.values())


@pytest.mark.parametrize("decay", [0.0, 1.1, -0.5])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValidationError, match="learning_rate_decay"):
        LocalTraining(learning_rate_decay=decay)
