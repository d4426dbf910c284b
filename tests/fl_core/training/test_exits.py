"""Models with early exits: exact gradients, and every backend trains and answers alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.models import Exit, ModelSpec, make_model
from frugalfl.fl_core.testing import check_trainer
from frugalfl.fl_core.training import LocalJobs, LocalTraining, NumpyTrainer, make_trainer

from .test_trainers import dataset, random_jobs

NETS = {
    "on the inputs": ModelSpec((6, 5, 3), exits=(Exit(0, 0.3),)),
    "on a hidden layer": ModelSpec((6, 5, 4, 3), exits=(Exit(1, 0.5),)),
    "on the last but one": ModelSpec((6, 5, 4, 3), exits=(Exit(2, 0.5),)),
    "several": ModelSpec((6, 5, 4, 3), exits=(Exit(0, 0.2), Exit(1, 0.3), Exit(2, 0.1))),
}
every_net = pytest.mark.parametrize("model", NETS.values(), ids=NETS)


@every_net
def test_reference_gradient_equals_finite_differences(model):
    data = dataset(6, 3)
    rng = np.random.default_rng(0)
    params = rng.normal(size=model.num_parameters)
    trainer = NumpyTrainer(data, model)
    x, y = data.x_train.astype(np.float64), data.y_train
    _, gradient = trainer.gradient(params, x, y)
    for p in range(params.size):
        up, down = params.copy(), params.copy()
        up[p] += 1e-6
        down[p] -= 1e-6
        slope = (trainer.gradient(up, x, y)[0] - trainer.gradient(down, x, y)[0]) / 2e-6
        assert gradient[p] == pytest.approx(slope, abs=1e-6)


@every_net
def test_the_loss_is_the_weighted_sum_of_the_heads(model):
    data = dataset(6, 3)
    params = np.random.default_rng(1).normal(size=model.num_parameters)
    x, y = data.x_train.astype(np.float64), data.y_train
    loss, _ = NumpyTrainer(data, model).gradient(params, x, y)

    def alone(head, hidden):
        stack = [*model.layers(params)[:hidden], head]
        flat = np.concatenate([part.ravel() for layer in stack for part in layer])
        net = ModelSpec((*model.widths[: hidden + 1], 3))
        return NumpyTrainer(data, net).gradient(flat, x, y)[0]

    last = model.layers(params)[-1]
    expected = model.last_share * alone(last, len(model.widths) - 2)
    for (after, share), head in zip(model.exits, model.heads(params), strict=True):
        expected += share * alone(head, after)
    assert loss == pytest.approx(expected, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 37), min_size=1, max_size=4),
    classes=st.integers(2, 35),
    batch=st.integers(1, 20),
    corrected=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_fused_equals_numpy_on_the_same_minibatches(widths, classes, batch, corrected, seed):
    rng = np.random.default_rng(seed)
    depths = np.flatnonzero(rng.random(len(widths)) < 0.6).tolist()
    exits = tuple(Exit(after, 0.9 / (1 + len(depths))) for after in depths)
    data, model = dataset(widths[0], classes), ModelSpec((*widths, classes), exits=exits)
    jobs = random_jobs(rng, model, data.num_rows, batch, corrected=corrected)
    training = LocalTraining(learning_rate=0.02, batch_size=batch, prox_mu=0.1)
    fused = make_trainer("fused", data, model).run(jobs, training)
    plain = NumpyTrainer(data, model).run(jobs, training)
    assert np.abs(fused.delta - plain.delta).max() < 1e-5
    assert np.allclose(fused.loss, plain.loss, atol=1e-4, rtol=1e-4)


@every_net
def test_adamw_remembers_the_gradients_of_all_heads(model):
    data = dataset(6, 3)
    jobs = random_jobs(np.random.default_rng(5), model, data.num_rows, 40, corrected=True)
    training = LocalTraining(learning_rate=1e-3, batch_size=40, optimiser="adamw")
    one = make_trainer("fused", data, model).run(jobs, training).moments
    two = NumpyTrainer(data, model).run(jobs, training).moments
    assert np.allclose(one.first, two.first, atol=1e-4)
    assert np.allclose(one.second, two.second, atol=1e-5)


@every_net
@pytest.mark.parametrize("backend", ["fused", {"kind": "torch", "mode": "loop"}, "vmap"])
def test_both_heads_answer_alike(model, backend):
    if backend != "fused":
        pytest.importorskip("torch")
        backend = {"kind": "torch", "mode": "vmap"} if backend == "vmap" else backend
    data = dataset(6, 3)
    params = np.random.default_rng(2).normal(size=(2, model.num_parameters)).astype(np.float32)
    one, two = make_trainer(backend, data, model), NumpyTrainer(data, model)
    first, rows = np.array([0, 0, 30, 70]), (np.arange(70, dtype=np.int32) * 7) % 50
    asked = (params, np.array([0, 1, 0]), first, rows)
    for mine, reference in (
        (one.answers(*asked), two.answers(*asked)),
        (one.early_answers(*asked), two.early_answers(*asked)),
    ):
        assert np.array_equal(mine[0], reference[0])
        assert np.allclose(mine[1], reference[1], atol=1e-4)
    assert np.array_equal(one.right(*asked), one.answers(*asked)[0])
    confidence = one.early_answers(*asked)[2]
    assert np.allclose(confidence, two.early_answers(*asked)[2], atol=1e-5)
    assert confidence.min() >= 1 / 3 - 1e-6 and confidence.max() <= 1 + 1e-6
    for mine, reference in zip(one.evaluate(params, "val"), two.evaluate(params, "val"), strict=True):
        assert np.allclose(mine, reference, atol=1e-4)  # of the last head


@pytest.mark.parametrize("mode", ["loop", "vmap"])
def test_pytorch_trains_what_the_batched_core_trains(mode):
    pytest.importorskip("torch")
    data = load_dataset("digits")
    model = make_model("exits", data)
    rng = np.random.default_rng(0)
    jobs = random_jobs(rng, model, data.num_rows, 16)
    training = LocalTraining(learning_rate=0.1, batch_size=16)
    backend = make_trainer({"kind": "torch", "mode": mode}, data, model)
    one, two = backend.run(jobs, training), make_trainer("fused", data, model).run(jobs, training)
    assert np.abs(one.delta - two.delta).max() < 1e-5
    assert np.allclose(one.loss, two.loss, atol=1e-5)


def test_the_battery_of_trainers_passes():
    data = load_dataset("digits")
    check_trainer("fused", data, make_model("exits", data))


def test_both_heads_learn():
    data = load_dataset("digits")
    model = make_model({"kind": "exits", "shares": [0.7]}, data)
    rows = np.random.default_rng(0).integers(0, data.num_rows, (400, 32)).astype(np.int32)
    start = model.init(1)[None]
    jobs = LocalJobs(start, np.zeros(1, dtype=np.int64), np.array([0, 400]), rows)
    trainer = make_trainer("auto", data, model)
    params = start + trainer.run(jobs, LocalTraining(learning_rate=0.1, batch_size=32)).delta
    every = np.arange(data.y_val.size, dtype=np.int32)
    asked = (params, np.zeros(1, dtype=np.int64), np.array([0, every.size]), every, "val")
    early, last = trainer.early_answers(*asked)[0].mean(), trainer.answers(*asked)[0].mean()
    assert early > 0.8 and last > 0.85


def test_what_the_first_exit_needs_of_the_model():
    assert ModelSpec((6, 5, 3)).early_share == 1.0
    model = ModelSpec((6, 5, 4, 3), exits=(Exit(1, 0.5),))
    assert model.num_parameters == 35 + 24 + 15 + 18
    assert model.early_share == (35 + 18) / model.num_parameters
    assert ModelSpec((6, 5, 3), exits=(Exit(0, 0.5),)).early_share == 21 / (35 + 18 + 21)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": [8], "after": [2]}, "exits: after"),
        ({"after": [1, 1], "shares": [0.2, 0.2]}, "exits: after"),
        ({"shares": [1.0]}, "exits: shares"),
        ({"after": [0, 1]}, "shares: (0.5,), expected one for each"),
    ],
)
def test_heads_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError) as caught:
        make_model({"kind": "exits", **given}, load_dataset("digits"))
    assert message in str(caught.value) and "\n" not in str(caught.value)
