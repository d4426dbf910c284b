"""Battery for backends of local training."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray
from ...common.settings import Spec
from ..data import Dataset, load_dataset
from ..models import Model, ModelSpec
from ..training import LocalJobs, LocalTrainer, LocalTraining, Moments, NumpyTrainer, make_trainer
from .expect import check_array, described, expect, same


def check_trainer(
    spec: Spec | LocalTrainer, dataset: Dataset | None = None, model: Model | None = None, exact: bool = True
) -> None:
    """Check a backend of local training: job by job, and against the plain reference if the model is dense.

    Args:
        spec: what to check.
        dataset: on which rows; None = the digits.
        model: of what; None = a small multi-layer perceptron.
        exact: whether a job must give the same bits alone and among others; else 1e-5 is close enough.

    Raises:
        AssertionError: one line.
    """
    what, data = f"trainer {described(spec)}", dataset or load_dataset("digits")
    net = model or ModelSpec((data.num_features, 9, data.num_classes))
    trainer, settings = make_trainer(spec, data, net), LocalTraining(prox_mu=0.1, weight_decay=0.01)
    jobs = _jobs(data, net)
    kept = copy.deepcopy(jobs)
    done = trainer.run(jobs, settings)
    for name in ("start", "rows", "correction"):
        expect(same(getattr(jobs, name), getattr(kept, name)), f"{what}: changed {name}, expected a copy")
    check_array(done.delta, np.empty((3, net.num_parameters), dtype=np.float32), f"{what}: delta")
    expect(not done.delta[1].any(), f"{what}: moved without local steps, expected the start")
    length = np.linalg.norm(done.delta.astype(np.float64), axis=1)
    expect(bool(np.allclose(done.norm, length, rtol=1e-4)), f"{what}: norm: expected the length of delta")
    alone = trainer.run(
        LocalJobs(
            jobs.start, jobs.origin[2:], jobs.first[2:] - 2, jobs.rows[2:], np.ones_like(done.delta[2:])
        ),
        settings,
    )
    close = 0.0 if exact else 1e-5
    expect(
        bool(np.abs(alone.delta[0] - done.delta[2]).max() <= close),
        f"{what}: a job alone: another update than among others, expected the same",
    )
    broken = trainer.run(replace(jobs, start=np.full_like(jobs.start, np.nan)), settings)
    expect(not np.isfinite(broken.norm[0]), f"{what}: norm: finite after divergence, expected nan or inf")
    if isinstance(net, ModelSpec):
        _compare(trainer, NumpyTrainer(data, net), jobs, settings, what)
    _check_moments(trainer, jobs, what, close)
    rates = np.array([0.5, 1.0, 2.0]) * settings.learning_rate
    each = trainer.run(replace(jobs, learning_rate=rates), settings)
    for job in (0, 2):
        slow = settings.model_copy(update={"learning_rate": rates[job]})
        off = each.delta[job] - trainer.run(jobs, slow).delta[job]
        expect(bool(np.abs(off).max() <= close), f"{what}: learning_rate: expected each job's own rate")


def _check_moments(trainer: LocalTrainer, jobs: LocalJobs, what: str, close: float) -> None:
    """AdamW: moments come back, count their steps, and matter to the next round."""
    settings = LocalTraining(optimiser="adamw", learning_rate=0.01)
    first = trainer.run(jobs, settings).moments
    expect(first is not None, f"{what}: moments: None with optimiser 'adamw', expected those of each job")
    assert first is not None
    expect(
        first.steps.tolist() == [2, 0, 3], f"{what}: moments: {first.steps}, expected the steps of each job"
    )
    kept = first.copy()
    again = trainer.run(replace(jobs, moments=first), settings)
    expect(same(first.second, kept.second), f"{what}: changed the moments it was given, expected new ones")
    assert again.moments is not None
    expect(again.moments.steps.tolist() == [4, 0, 6], f"{what}: moments: expected to go on from those given")
    blank = trainer.run(replace(jobs, moments=Moments.blank(3, jobs.start.shape[1])), settings)
    expect(
        bool(np.abs(blank.delta - again.delta).max() > close),
        f"{what}: moments: the same update with and without, expected another",
    )


def _compare(
    trainer: LocalTrainer, plain: LocalTrainer, jobs: LocalJobs, settings: LocalTraining, what: str
) -> None:
    """The same numbers as the reference."""
    one, two = trainer.run(jobs, settings), plain.run(jobs, settings)
    marks, rows = np.array([0, 5, 9, 12]), np.arange(12, dtype=np.int32)
    answers = [
        ("run", one.delta, two.delta),
        ("run: loss", one.loss, two.loss),
        (
            "losses",
            trainer.losses(jobs.start, jobs.origin, marks, rows),
            plain.losses(jobs.start, jobs.origin, marks, rows),
        ),
    ]
    for part in ("val", "test"):
        answers.append((f"evaluate {part}", *_both(trainer, plain, "evaluate", jobs.start, part)))
        answers.append((f"class_accuracy {part}", *_both(trainer, plain, "class_accuracy", jobs.start, part)))
    for name, mine, reference in answers:
        agree = np.allclose(mine, reference, rtol=1e-3, atol=1e-4, equal_nan=True)
        expect(agree, f"{what}: {name}: other numbers than the trainer 'numpy', expected the same")


def _both(
    trainer: LocalTrainer, plain: LocalTrainer, method: str, params: AnyArray, part: str
) -> tuple[AnyArray, AnyArray]:
    return np.asarray(getattr(trainer, method)(params, part)), np.asarray(
        getattr(plain, method)(params, part)
    )


def _jobs(data: Dataset, model: Model) -> LocalJobs:
    """Three jobs from two starts, of 2, 0 and 3 steps, with corrections."""
    rng = np.random.default_rng(1)
    start = np.stack([model.init(1), model.init(2)])
    rows = rng.integers(0, data.num_rows, (5, 8)).astype(np.int32)
    correction = np.ones((3, model.num_parameters), dtype=np.float32)
    return LocalJobs(start, np.array([1, 0, 0]), np.array([0, 2, 2, 5]), rows, correction)
