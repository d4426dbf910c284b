"""AdamW as a local optimiser: all trainers agree, with PyTorch's own too, and workers keep their moments."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.models import ModelSpec, TransformerSpec
from frugalfl.fl_core.training import LocalJobs, LocalTraining, Moments, make_trainer

from .test_transformer import TRAINERS, sentences

SENTENCES = sentences(7, 10)
DIGITS = load_dataset("digits")
MODELS = [(DIGITS, ModelSpec((64, 10))), (DIGITS, ModelSpec((64, 20, 18, 10)))]
MODELS += [(SENTENCES, TransformerSpec(2, 12, 3, 10, 7))]
OPTIMISERS = [
    "adamw",
    {"kind": "adamw", "clip_norm": None, "beta1": 0.8},
    {"kind": "adamw", "clip_norm": 0.01},
]


def remembering_jobs(data, model, steps=(3, 0, 5, 1), batch=6, seed=0):
    rng, count, size = np.random.default_rng(seed), len(steps), model.num_parameters
    first = np.concatenate([[0], np.cumsum(steps)])
    start = (np.stack([model.init(1), model.init(2)]) + 0.1 * rng.normal(size=(2, size))).astype(np.float32)
    correction = 0.1 * rng.normal(size=(count, size)).astype(np.float32)
    kept = Moments(
        0.1 * rng.normal(size=(count, size)).astype(np.float32),
        0.1 * rng.random((count, size)).astype(np.float32),
        np.array([4, 2, 0, 40])[:count],
    )
    rows = rng.integers(0, data.num_rows, (first[-1], batch)).astype(np.int32)
    return LocalJobs(start, np.arange(count) % 2, first, rows, correction, None, kept)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
@pytest.mark.parametrize(("data", "model"), MODELS, ids=["softmax", "mlp", "transformer"])
@pytest.mark.parametrize("spec", TRAINERS, ids=str)
def test_trainers_equal_the_reference(spec, data, model, optimiser):
    jobs = remembering_jobs(data, model)
    training = LocalTraining(learning_rate=0.01, optimiser=optimiser, prox_mu=0.3)
    before = jobs.moments.copy()
    plain = make_trainer("numpy", data, model).run(jobs, training)
    found = make_trainer(spec, data, model).run(jobs, training)
    assert np.abs(found.delta - plain.delta).max() < 2e-5
    assert np.allclose(found.loss, plain.loss, atol=1e-5)
    assert np.allclose(found.moments.first, plain.moments.first, atol=1e-5)
    assert np.allclose(found.moments.second, plain.moments.second, atol=1e-5)
    assert found.moments.steps.tolist() == plain.moments.steps.tolist() == [7, 2, 5, 41]
    assert np.array_equal(jobs.moments.first, before.first) and jobs.moments.steps.tolist() == [4, 2, 0, 40]


def test_it_is_pytorchs_adamw():
    torch = pytest.importorskip("torch")
    from frugalfl.fl_core.models.transformer_module import transformer_module

    model = TransformerSpec(2, 12, 3, 10, 7)
    rows = np.random.default_rng(0).integers(0, 40, (20, 6)).astype(np.int32)
    start, one = model.init(3)[None], np.zeros(1, dtype=np.int64)
    training = LocalTraining(learning_rate=0.01, optimiser={"kind": "adamw", "clip_norm": 0.5})
    done = make_trainer("fused", SENTENCES, model).run(
        LocalJobs(start, one, np.array([0, 20]), rows), training
    )
    module = transformer_module(model, 3)
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    tokens = torch.from_numpy(SENTENCES.x_train).long()
    for batch in rows:
        optimiser.zero_grad()
        picked = tokens[batch]
        logits = module(picked[:, :-1])
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), picked[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        optimiser.step()
    theirs = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy() - start[0]
    assert np.abs(done.delta[0] - theirs).max() < 2e-5


@pytest.mark.parametrize(("data", "model"), MODELS, ids=["softmax", "mlp", "transformer"])
def test_many_steps_at_once_are_the_same_as_one_after_another(data, model):
    """Moments that were handed back go on where they were."""
    trainer, one = make_trainer("fused", data, model), np.zeros(1, dtype=np.int64)
    training = LocalTraining(learning_rate=0.01, optimiser="adamw")
    rows = np.random.default_rng(0).integers(0, data.num_rows, (6, 8)).astype(np.int32)
    start = model.init(0)[None]
    whole = trainer.run(LocalJobs(start, one, np.array([0, 6]), rows), training)
    now, moments = start, None
    for part in (rows[:2], rows[2:]):
        done = trainer.run(LocalJobs(now, one, np.array([0, len(part)]), part, moments=moments), training)
        now, moments = now + done.delta, done.moments
    assert np.allclose(moments.first, whole.moments.first, atol=1e-5)
    assert np.allclose(moments.second, whole.moments.second, atol=1e-5)
    assert np.allclose(now, start + whole.delta, atol=1e-5)
    fresh = trainer.run(LocalJobs(now, one, np.array([0, 6]), rows), training)
    kept = trainer.run(LocalJobs(now, one, np.array([0, 6]), rows, moments=moments), training)
    assert np.abs(fresh.delta - kept.delta).max() > 1e-3


def test_a_job_depends_on_itself_alone():
    data, model = MODELS[2]
    jobs, training = remembering_jobs(data, model), LocalTraining(learning_rate=0.01, optimiser="adamw")
    trainer = make_trainer("fused", data, model)
    together = trainer.run(jobs, training)
    for j in range(4):
        own = slice(jobs.first[j], jobs.first[j + 1])
        alone = trainer.run(
            LocalJobs(
                jobs.start[jobs.origin[j]][None],
                np.zeros(1, dtype=np.int64),
                jobs.first[j : j + 2] - jobs.first[j],
                jobs.rows[own],
                jobs.correction[j : j + 1],
                None,
                jobs.moments.select(slice(j, j + 1)),
            ),
            training,
        )
        assert np.array_equal(alone.delta[0], together.delta[j])
        assert np.array_equal(alone.moments.second[0], together.moments.second[j])


def test_two_weight_decays_are_refused():
    with pytest.raises(
        ValueError, match=r"weight_decay: 0\.01, expected 0 with AdamW.*say optimiser: \{kind"
    ):
        LocalTraining(optimiser="adamw", weight_decay=0.01)
    with pytest.raises(ValueError, match="optimiser: 'adam' is unknown; did you mean 'adamw'"):
        LocalTraining(optimiser="adam")
    assert LocalTraining(optimiser="adamw").model_dump(exclude_unset=True) == {"optimiser": "adamw"}
