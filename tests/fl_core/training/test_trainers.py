"""Backends agree with the numpy reference, and the reference with finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import Dataset
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.training import LocalJobs, LocalTraining, NumpyTrainer, make_trainer


def dataset(features, classes, rows=50, seed=0):
    rng = np.random.default_rng(seed)
    parts = [(rng.normal(size=(n, features)), rng.integers(0, classes, n)) for n in (rows, 33, 7)]
    return Dataset("random", *[a for part in parts for a in part], num_classes=classes)


def random_jobs(rng, model, rows, batch, count=5, corrected=False):
    steps = rng.integers(0, 6, count)
    first = np.concatenate([[0], np.cumsum(steps)])
    start = (rng.normal(size=(3, model.num_parameters)) * 0.3).astype(np.float32)
    correction = (
        rng.normal(size=(count, model.num_parameters)).astype(np.float32) * 0.1 if corrected else None
    )
    minibatches = rng.integers(0, rows, (first[-1], batch)).astype(np.int32)
    return LocalJobs(start, rng.integers(0, 3, count), first, minibatches, correction)


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 37), min_size=1, max_size=4),
    classes=st.integers(2, 35),
    batch=st.integers(1, 40),
    prox_mu=st.sampled_from([0.0, 0.5]),
    weight_decay=st.sampled_from([0.0, 0.1]),
    corrected=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_fused_equals_numpy_on_the_same_minibatches(
    widths, classes, batch, prox_mu, weight_decay, corrected, seed
):
    rng = np.random.default_rng(seed)
    data, model = dataset(widths[0], classes), ModelSpec((*widths, classes))
    jobs = random_jobs(rng, model, data.num_rows, batch, corrected=corrected)
    training = LocalTraining(learning_rate=0.05, batch_size=batch, weight_decay=weight_decay, prox_mu=prox_mu)
    fused = make_trainer("fused", data, model).run(jobs, training)
    plain = NumpyTrainer(data, model).run(jobs, training)
    assert np.abs(fused.delta - plain.delta).max() < 1e-5
    assert np.allclose(fused.loss, plain.loss, atol=1e-4, rtol=1e-5)
    assert np.allclose(fused.norm, plain.norm, atol=1e-5)


@pytest.mark.parametrize("widths", [(6, 3), (6, 5, 3)])
def test_reference_gradient_equals_finite_differences(widths):
    data, model = dataset(6, 3), ModelSpec(widths)
    rng = np.random.default_rng(0)
    params = rng.normal(size=model.num_parameters).astype(np.float64)
    trainer = NumpyTrainer(data, model)
    x, y = data.x_train.astype(np.float64), data.y_train
    _, gradient = trainer.gradient(params, x, y)
    for p in rng.choice(params.size, 8, replace=False):
        up, down = params.copy(), params.copy()
        up[p] += 1e-6
        down[p] -= 1e-6
        slope = (trainer.gradient(up, x, y)[0] - trainer.gradient(down, x, y)[0]) / 2e-6
        assert gradient[p] == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize("widths", [(9, 4), (9, 20, 4), (9, 20, 18, 40)])
def test_scores_agree(widths):
    data, model = dataset(9, widths[-1]), ModelSpec(widths)
    params = np.random.default_rng(1).normal(size=(3, model.num_parameters)).astype(np.float32)
    fused, plain = make_trainer("fused", data, model), NumpyTrainer(data, model)
    for part in ("val", "test"):
        for one, two in zip(fused.evaluate(params, part), plain.evaluate(params, part), strict=True):
            assert np.allclose(one, two, atol=1e-5)
    first, rows = np.array([0, 1, 50, 90]), np.arange(90, dtype=np.int32) % 50
    origin = np.array([2, 0, 2])
    assert np.allclose(
        fused.losses(params, origin, first, rows), plain.losses(params, origin, first, rows), atol=1e-5
    )


def test_ties_are_no_free_accuracy():
    """All-zero logits predict class 0, as numpy's argmax does."""
    data, model = dataset(5, 4), ModelSpec((5, 4))
    accuracy, loss = make_trainer("fused", data, model).evaluate(np.zeros((1, 24), dtype=np.float32), "val")
    assert accuracy[0] == np.mean(data.y_val == 0)
    assert loss[0] == pytest.approx(np.log(4))


@pytest.mark.parametrize("trainer", ["fused", "numpy"])
def test_a_job_depends_on_itself_alone(trainer):
    data, model = dataset(8, 5), ModelSpec((8, 16, 5))
    rng = np.random.default_rng(3)
    jobs, training = random_jobs(rng, model, 50, 8, count=9, corrected=True), LocalTraining(batch_size=8)
    backend = make_trainer(trainer, data, model)
    together = backend.run(jobs, training)
    for j in range(9):
        alone = LocalJobs(
            jobs.start[jobs.origin[j]][None],
            np.array([0]),
            jobs.first[j : j + 2] - jobs.first[j],
            jobs.rows[jobs.first[j] : jobs.first[j + 1]],
            jobs.correction[j : j + 1],
        )
        single = backend.run(alone, training)
        assert np.array_equal(single.delta[0], together.delta[j])
        assert np.array_equal(single.loss[0], together.loss[j])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_divergence_shows_in_the_norm(bad):
    data, model = dataset(8, 5), ModelSpec((8, 5))
    jobs = random_jobs(np.random.default_rng(0), model, 50, 8, count=4)
    jobs.start[1, 3] = bad
    for trainer in ("fused", "numpy"):
        norm = make_trainer(trainer, data, model).run(jobs, LocalTraining(batch_size=8)).norm
        touched = (jobs.origin == 1) & (np.diff(jobs.first) > 0)
        assert not np.isfinite(norm[touched]).any()
        assert np.isfinite(norm[jobs.origin != 1]).all()


def test_unknown_backend_is_named():
    with pytest.raises(ValueError, match="trainer: 'fussed' is unknown; did you mean 'fused'"):
        make_trainer("fussed", dataset(2, 2), ModelSpec((2, 2)))
