"""Low-rank factors: gradients against finite differences and projections, trainers against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.data import Dataset
from frugalfl.fl_core.models import (
    FineTuned,
    Lora,
    ModelSpec,
    TransformerSpec,
    frozen_share,
    travelling_share,
)
from frugalfl.fl_core.training import LocalJobs, LocalTraining, make_trainer

TRANSFORMER = TransformerSpec(2, 12, 3, 5, 7)
DENSE = ModelSpec((6, 9, 7))
SGD = LocalTraining(learning_rate=0.1, batch_size=6)
ADAMW = LocalTraining(learning_rate=0.02, batch_size=6, optimiser="adamw")
PULLED = LocalTraining(learning_rate=0.05, batch_size=6, prox_mu=0.4, weight_decay=0.1)
LORAS = {
    "default": Lora(rank=3),
    "whole": Lora(rank=2, alpha=1.0, whole=("head",)),
    "one": Lora(rank=1, matrices=("blocks.0.attend", "down")),
    "fixed": Lora(rank=3, fixed_a=True),
}


def rows_of(model, seed=0):
    """Tokens; for a dense model, features with labels."""
    rng, parts = np.random.default_rng(seed), []
    for n in (40, 13, 7):
        tokens = rng.integers(0, 7, (n, 6))
        x = tokens if isinstance(model, TransformerSpec) else rng.normal(size=(n, 6))
        parts += [x.astype(np.float32), tokens[:, -1].astype(np.int32)]
    return Dataset("rows", *parts, num_classes=7)


def tuned(model, lora, seed=0):
    """A base of random weights and a vector some way from where it begins."""
    rng = np.random.default_rng(seed)
    base = (model.init(1) + 0.1 * rng.normal(size=model.num_parameters)).astype(np.float32)
    made = FineTuned(model, base, lora.view(model))
    values = made.init(2) + 0.2 * rng.normal(size=made.num_parameters)
    return made, values.astype(np.float32)


def jobs_of(model, values, corrected=False, steps=(3, 0, 2, 1), batch=6):
    rng, count = np.random.default_rng(3), len(steps)
    first = np.concatenate([[0], np.cumsum(steps)])
    rows = rng.integers(0, 40, (first[-1], batch)).astype(np.int32)
    correction = 0.1 * rng.normal(size=(count, model.num_parameters)).astype(np.float32)
    start = np.stack([values, 0.9 * values])
    return LocalJobs(start, np.arange(count) % 2, first, rows, correction if corrected else None)


@pytest.mark.parametrize("name", LORAS)
def test_gradients_are_exact(name):
    """Finite differences in float64, along every direction that counts."""
    made, values = tuned(TRANSFORMER, LORAS[name])
    data, params = rows_of(TRANSFORMER), values.astype(np.float64)
    inner = make_trainer("numpy", data, TRANSFORMER)
    x, y = data.x_train[:6], data.y_train[:6]

    def loss(at):
        return inner.gradient(made.expanded(at), x, y)[0]

    gradient = made.projected(params, inner.gradient(made.expanded(params), x, y)[1])
    rng = np.random.default_rng(1)
    for p in rng.choice(np.flatnonzero(np.abs(gradient) > 1e-3), 40, replace=False):
        step = np.zeros_like(params)
        step[p] = 1e-5
        assert gradient[p] == pytest.approx((loss(params + step) - loss(params - step)) / 2e-5, rel=1e-4)
    along = rng.choice([-1e-6, 1e-6], params.size)
    assert gradient @ along == pytest.approx((loss(params + along) - loss(params - along)) / 2, rel=1e-4)


@pytest.mark.parametrize("training", [SGD, ADAMW, PULLED], ids=["sgd", "adamw", "pulled"])
@pytest.mark.parametrize(
    "spec", ["fused", {"kind": "torch", "mode": "loop"}, {"kind": "torch", "mode": "vmap"}]
)
@pytest.mark.parametrize("model", [TRANSFORMER, DENSE], ids=["transformer", "dense"])
def test_trainers_agree(model, spec, training):
    lora = Lora(rank=3, whole=("head",) if model is TRANSFORMER else ("bias",))
    made, values = tuned(model, lora)
    data, jobs = rows_of(model), jobs_of(made, values, corrected=training is PULLED)
    trainer, plain = make_trainer(spec, data, made), make_trainer("numpy", data, made)
    found, expected = trainer.run(jobs, training), plain.run(jobs, training)
    assert found.delta.shape == (4, made.num_parameters)
    assert np.abs(found.delta - expected.delta).max() < 2e-5
    assert np.allclose(found.loss, expected.loss, atol=1e-4)
    assert np.allclose(found.norm, np.linalg.norm(found.delta, axis=1), atol=1e-5)
    if training is ADAMW:
        assert found.moments.first.shape == (4, made.num_parameters)
        assert np.allclose(found.moments.second, expected.moments.second, atol=1e-6)
        assert found.moments.steps.tolist() == [3, 0, 2, 1]
    for part in ("val", "test"):
        for method in ("evaluate", "class_accuracy"):
            one, two = (np.array(getattr(t, method)(jobs.start, part)) for t in (trainer, plain))
            assert np.allclose(one, two, atol=1e-5, equal_nan=True)
    marks, rows = np.array([0, 5, 9]), np.arange(9, dtype=np.int32)
    each = [t.losses(jobs.start, np.array([1, 0]), marks, rows) for t in (trainer, plain)]
    assert np.allclose(*each, atol=1e-5)


@pytest.mark.parametrize("model", [TRANSFORMER, DENSE], ids=["transformer", "dense"])
def test_fixed_factors_stay_and_trainers_agree_about_the_others(model):
    made, values = tuned(model, Lora(rank=3, fixed_a=True))
    data, jobs = rows_of(model), jobs_of(made, values)
    found = [make_trainer(spec, data, made).run(jobs, ADAMW) for spec in ("fused", "torch", "numpy")]
    assert np.abs(found[0].delta - found[2].delta).max() < 1e-5
    assert np.abs(found[1].delta - found[2].delta).max() < 1e-5
    assert np.array_equal(made.init(0), made.init(9)) and not made.init(0).any()


@pytest.mark.parametrize("spec", ["fused", "torch"])
def test_a_job_is_what_it_is_alone(spec):
    made, values = tuned(TRANSFORMER, Lora(rank=3))
    trainer, jobs = make_trainer(spec, rows_of(TRANSFORMER), made), jobs_of(made, values)
    together = trainer.run(jobs, ADAMW)
    for j in range(4):
        alone = trainer.run(jobs.select(np.arange(4) == j), ADAMW)
        assert np.array_equal(alone.delta[0], together.delta[j])


@pytest.mark.parametrize("spec", ["fused", "numpy", "torch"])
def test_a_step_on_b_is_the_projected_gradient_of_the_whole_model(spec):
    """With A fixed, one SGD step moves W by `-rate scale^2 G A^T A`: the full step, projected."""
    made, values = tuned(TRANSFORMER, Lora(rank=3, alpha=1.5, fixed_a=True))
    data, rows = rows_of(TRANSFORMER), np.arange(6, dtype=np.int32)[None]
    one = np.zeros(1, dtype=np.int64)
    full = made.expanded(values)
    whole = make_trainer(spec, data, TRANSFORMER).run(LocalJobs(full[None], one, np.arange(2), rows), SGD)
    part = make_trainer(spec, data, made).run(LocalJobs(values[None], one, np.arange(2), rows), SGD)
    moved = made.expanded(values + part.delta[0]) - full
    for k, (at, out, wide) in enumerate(zip(made.view.at, made.view.rows, made.view.columns, strict=True)):
        a = made.view.factors(made.view.values(values), k)[1]
        step = whole.delta[0][at : at + out * wide].reshape(out, wide)
        expected = 0.5**2 * step @ a.T @ a
        assert np.allclose(moved[at : at + out * wide].reshape(out, wide), expected, atol=1e-6)


def test_everything_whole_is_the_model_itself_but_for_the_factors():
    """Tensors that are trained whole go exactly the way they go in full training, while B A stands still."""
    names = tuple(place.name for place in DENSE.places() if place.name != "layers.1.weight")
    lora = Lora(rank=1, alpha=1e-9, matrices=("layers.1.weight",), whole=names)
    made, _ = tuned(DENSE, lora)
    values, data = made.init(0), rows_of(DENSE)
    full = made.expanded(values)
    assert np.array_equal(full, made.base)
    jobs = jobs_of(made, values, steps=(1,))
    part = make_trainer("fused", data, made).run(jobs, SGD).delta[0]
    plain = LocalJobs(full[None], jobs.origin, jobs.first, jobs.rows)
    whole = make_trainer("fused", data, DENSE).run(plain, SGD).delta[0]
    assert np.allclose(part[: made.view.whole.size], whole[made.view.whole], atol=1e-7)


@pytest.mark.parametrize("spec", ["fused", "numpy"])
def test_full_rank_with_a_rotation_for_a_is_full_training(spec):
    """W = B A beside a base of zeros, A fixed and orthogonal: SGD goes, step by step, the same way."""
    first = DENSE.places()[0]
    others = tuple(place.name for place in DENSE.places() if place != first)
    lora = Lora(rank=6, alpha=6.0, matrices=(first.name,), whole=others, fixed_a=True)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0].astype(np.float32)
    base = DENSE.init(1)
    base[:54] = 0
    made = FineTuned(DENSE, base, replace(lora.view(DENSE), fixed=rotation.ravel()))
    values, data = made.init(0), rows_of(DENSE)
    jobs = jobs_of(made, values, steps=(20,))
    moved = make_trainer(spec, data, made).run(jobs, SGD).delta[0]
    plain = LocalJobs(base[None], jobs.origin, jobs.first, jobs.rows)
    expected = base + make_trainer(spec, data, DENSE).run(plain, SGD).delta[0]
    assert np.abs(expected - base).max() > 0.1
    assert np.allclose(made.expanded(values + moved), expected, atol=2e-5)


def test_shares_follow_what_is_trained():
    made, _ = tuned(TRANSFORMER, Lora(rank=2, matrices=("attend",), whole=("head",)))
    factors = 2 * 2 * (36 + 12)
    assert made.num_parameters == factors + 7 * 12
    assert made.bytes == 4 * made.num_parameters
    assert travelling_share(made) == made.num_parameters / TRANSFORMER.num_parameters
    assert frozen_share(made) == 1 - 84 / TRANSFORMER.num_parameters
    fixed, _ = tuned(TRANSFORMER, Lora(rank=2, matrices=("attend",), fixed_a=True))
    assert fixed.num_parameters == 2 * 2 * 36
    assert (travelling_share(TRANSFORMER), frozen_share(TRANSFORMER)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"matrices": ("atend",)}, "trainable: matrices: 'atend' is unknown; did you mean 'attend'"),
        ({"whole": ("blocks.0.join",)}, "trainable: whole: blocks.0.join is among the matrices as well"),
        ({"rank": 13}, "trainable: rank: 13, expected at most 12, the smaller side of blocks.0.attend"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(lora, message):
    with pytest.raises(ValueError, match=message):
        Lora(**lora).view(TRANSFORMER)


def test_vectors_have_no_factors_and_cox_no_layers():
    with pytest.raises(ValueError, match="expected no vector; name it in whole"):
        Lora(rank=1, matrices=("bias",)).view(DENSE)
    cox = type("Cox", (), {"name": "cox"})()
    with pytest.raises(ValueError, match="expected a model that is made of layers"):
        Lora().view(cox)


def test_trainers_that_do_not_know_factors_are_refused():
    made, _ = tuned(DENSE, Lora(rank=1))
    own = make_trainer("numpy", rows_of(DENSE), DENSE)
    for spec in (own, "cox"):
        with pytest.raises(ValueError, match="expected one that trains low-rank factors"):
            make_trainer(spec, rows_of(DENSE), made)
    everything = FineTuned(DENSE, DENSE.init(0))
    assert make_trainer("fused", rows_of(DENSE), everything).name == "fused"
