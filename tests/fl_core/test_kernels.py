"""Kernels give the same numbers compiled and as plain Python; the fused trainer has a stand-in in NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from frugalfl.common.compiled import SlowKernel, uses_numba
from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.numerics import draws, sums
from frugalfl.fl_core.quadratics import kernels, moving_kernels
from frugalfl.fl_core.training import LocalJobs, LocalTraining, NumpyTrainer
from frugalfl.fl_core.training.dense import trainer as fused_trainer

pytestmark = pytest.mark.skipif(not uses_numba(), reason="kernels run as Python anyway")
RNG = np.random.default_rng(0)
N, D, J = 3, 4, 5
HESSIAN = np.eye(D) * RNG.uniform(0.5, 2, (N + 1, 1, 1)) + 0.05
TABLES = kernels.Tables(HESSIAN[None], RNG.normal(size=(1, N + 1, D)), RNG.normal(size=(1, N + 1)))


def descent(noise):
    jobs = kernels.DescentJobs(
        np.zeros(J, dtype=int), np.array([0, 1, 2, 1, 0]), np.array([3, 0, 1, 2, 4]),
        np.full(J, 9, dtype=np.uint64), np.arange(J), np.full(J, 0.1), RNG.random(J),
        np.array([0, 1, 0, 1, 1]),
        np.linspace(-1, 1, 2 * D).reshape(2, D), np.full((J, D), 0.1),
    )  # fmt: skip
    how = kernels.Descent(0.01, 0.2, noise)
    return 0, J, tuple(jobs), tuple(TABLES), tuple(how), np.zeros((J, D)), np.zeros(J), np.zeros(J)


def draw():
    jobs = draws.DrawJobs(
        np.array([2**63 + 5, 7], dtype=np.uint64), np.array([3, 0]), np.array([1, 2]), np.array([0, 2, 5]),
        np.array([0, 1]), np.array([2, 0]), np.array([4, 6]),
    )  # fmt: skip
    rows = np.arange(14, dtype=np.int32).reshape(2, 7)
    return 0, 2, tuple(jobs), rows, np.zeros((5, 8), dtype=np.int32)


NORMAL, SPECTRUM = RNG.normal(size=(2, D, D)), RNG.uniform(0.5, 2, (2, D))
EXPANDED = (np.empty((N + 1, D, D)), np.empty((N + 1, D)), np.empty(N + 1))
STILL = (RNG.normal(size=(N + 1, D)), RNG.normal(size=N + 1))
FRESH = (
    (np.empty((N + 1, D)), np.empty(N + 1)),
    (np.empty((3, D)), np.empty(3), np.empty(3)),
    (RNG.normal(size=(1, 2, D)), RNG.normal(size=(1, 2))),
)
CASES = {
    "draw_range": (draws.draw_range, draw()),
    "sum_range": (
        sums.sum_range,
        (
            0,
            2,
            np.array([0, 3, 5]),
            RNG.random(5).astype("f4"),
            RNG.random((5, 6)).astype("f4"),
            np.empty((2, 6), "f4"),
        ),
    ),
    "hessians": (kernels.hessians, (NORMAL, SPECTRUM)),
    "value": (kernels.value, (RNG.random(D), HESSIAN[0], RNG.random(D), 0.5)),
    "expand": (kernels.expand, (HESSIAN[:N], RNG.random((N, D)), RNG.random(N), *EXPANDED)),
    "minimiser": (kernels.minimiser, (HESSIAN[0], RNG.random(D))),
    "shifted": (moving_kernels.shifted, (HESSIAN, RNG.random(N), STILL, RNG.random((1, D)), *FRESH[0])),
    "along": (moving_kernels.along, (HESSIAN, RNG.random(N), STILL, RNG.random((2, N, D)), *FRESH[1])),
    "losses_along": (
        moving_kernels.losses_along,
        (np.zeros(2, int), np.array([0, 1]), np.array([1, 0]), RNG.random((2, D)), HESSIAN[None], *FRESH[2]),
    ),
    "descend_range": (kernels.descend_range, descent(0.0)),
    "values": (kernels.values, (np.zeros(2, dtype=int), np.array([1, N]), RNG.random((1, D)), tuple(TABLES))),
}


def filled(call, arguments):
    """What a kernel returns, and what it leaves in its arguments."""
    fresh = [each.copy() if isinstance(each, np.ndarray) else each for each in arguments]
    returned = call(*fresh)
    numbers = [] if returned is None else [np.asarray(returned)]
    return numbers + [each for each in fresh if isinstance(each, np.ndarray)]


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_is_its_python(name):
    kernel, arguments = CASES[name]
    for one, two in zip(filled(kernel, arguments), filled(kernel.python, arguments), strict=True):
        assert np.array_equal(one, two)


def test_noise_is_the_same_to_the_last_digits_of_the_logarithm():
    kernel, noisy = kernels.descend_range, descent(0.5)
    for one, two in zip(filled(kernel, noisy), filled(kernel.python, noisy), strict=True):
        assert np.allclose(one, two, rtol=1e-12)


@pytest.fixture
def without_compiler(monkeypatch):
    fused_trainer.kernels_work.cache_clear()

    def broken(*_):
        raise NotImplementedError("this release knows no vectors\nat all")

    monkeypatch.setattr(fused_trainer.FusedTrainer, "train_kernel", broken)
    yield
    monkeypatch.undo()
    fused_trainer.kernels_work.cache_clear()


def test_a_release_that_breaks_the_fused_kernels_costs_speed_and_a_warning(without_compiler):
    digits, model = load_dataset("digits"), ModelSpec((64, 5, 10))
    fused, plain = fused_trainer.FusedTrainer(digits, model), NumpyTrainer(digits, model)
    params = np.stack([model.init(1), model.init(2)])
    rows = np.arange(24, dtype=np.int32).reshape(3, 8)
    jobs = LocalJobs(params, np.array([1, 0]), np.array([0, 2, 3]), rows)
    with pytest.warns(SlowKernel, match="many times slower: numba: this release knows no vectors$"):
        one = fused.run(jobs, LocalTraining())
    assert np.array_equal(one.delta, plain.run(jobs, LocalTraining()).delta)
    assert np.allclose(fused.evaluate(params, "val"), plain.evaluate(params, "val"))
    assert np.allclose(fused.class_accuracy(params, "val"), plain.class_accuracy(params, "val"))
    marks, flat = np.array([0, 20, 24]), rows.ravel()
    assert np.allclose(
        fused.losses(params, jobs.origin, marks, flat), plain.losses(params, jobs.origin, marks, flat)
    )


def test_the_probe_of_the_compiler_compiles_what_training_uses():
    digits, model = load_dataset("digits"), ModelSpec((64, 5, 10))
    trainer = fused_trainer.FusedTrainer(digits, model)
    assert fused_trainer.kernels_work()
    before = len(fused_trainer.train_range.signatures), len(fused_trainer.score_range.signatures)
    jobs = LocalJobs(
        model.init(1)[None], np.zeros(1, dtype=int), np.array([0, 1]), np.ones((1, 4), dtype=np.int32)
    )
    trainer.run(jobs, LocalTraining())
    trainer.evaluate(jobs.start, "val")
    assert (len(fused_trainer.train_range.signatures), len(fused_trainer.score_range.signatures)) == before


@pytest.mark.parametrize("widths", [(64, 10), (64, 20, 10)])
def test_answers_of_jobs_with_one_model_are_those_of_every_job_alone(widths):
    """A model is unpacked once for neighbours; rows and losses do not notice."""
    digits, model = load_dataset("digits"), ModelSpec(widths)
    fused, plain = fused_trainer.FusedTrainer(digits, model), NumpyTrainer(digits, model)
    params, origin = 3 * np.stack([model.init(1), model.init(2)]), np.array([1, 1, 0, 1, 1, 0])
    first, rows = np.array([0, 5, 6, 6, 90, 91, 100]), RNG.integers(0, 900, 100).astype(np.int32)
    right, loss = fused.answers(params, origin, first, rows)
    for job, (begin, end) in enumerate(pairwise(first)):
        alone = fused.answers(params, origin[job : job + 1], np.array([0, end - begin]), rows[begin:end])
        assert np.array_equal(right[begin:end], alone[0]) and np.array_equal(loss[begin:end], alone[1])
    expected = plain.answers(params, origin, first, rows)
    assert np.array_equal(right, expected[0]) and np.array_equal(
        right, fused.right(params, origin, first, rows)
    )
    assert np.allclose(loss, expected[1], rtol=1e-4, atol=1e-5)
    for strange in (np.nan, np.inf, -np.inf):  # a model that has diverged is right where the first label is
        diverged = fused.right(np.full_like(params, strange), origin, first, rows)
        assert np.array_equal(diverged, fused.answers(np.full_like(params, strange), origin, first, rows)[0])
        assert not diverged[digits.y_train[rows] != 0].any()
    unsure = fused.answers(np.zeros_like(params), origin, first, rows)
    assert (unsure[1] == np.float32(np.log(10.0))).all()
