"""Tiny transformers: the reference against finite differences, the fused kernel and PyTorch against it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import Dataset, load_dataset
from frugalfl.fl_core.models import ModelSpec, TransformerSpec, make_model
from frugalfl.fl_core.testing import check_trainer
from frugalfl.fl_core.training import LocalJobs, LocalTraining, NumpyTrainer, make_trainer
from frugalfl.fl_core.training.transformer import TransformerReference

TRAINERS = ["fused", {"kind": "torch", "mode": "loop"}, {"kind": "torch", "mode": "vmap"}]


def sentences(vocabulary, context, rows=40, seed=0):
    """Random tokens; a row has one more than the model reads, its label is the last."""
    rng, parts = np.random.default_rng(seed), []
    for n in (rows, 23, 7):
        tokens = rng.integers(0, vocabulary, (n, context + 1))
        parts += [tokens.astype(np.float32), tokens[:, -1].astype(np.int32)]
    return Dataset("sentences", *parts, num_classes=vocabulary)


def jobs_of(model, rows, batch, corrected=False, seed=0, steps=(3, 0, 2, 1)):
    rng, count = np.random.default_rng(seed), len(steps)
    first = np.concatenate([[0], np.cumsum(steps)])
    start = np.stack([model.init(1), model.init(2)]).astype(np.float32)
    start += 0.1 * rng.normal(size=start.shape).astype(np.float32)
    correction = rng.normal(size=(count, model.num_parameters)).astype(np.float32) * 0.1
    minibatches = rng.integers(0, rows, (first[-1], batch)).astype(np.int32)
    return LocalJobs(start, np.arange(count) % 2, first, minibatches, correction if corrected else None)


def test_parameters_are_counted_as_published():
    """The sizes of the world's prototypes."""
    sizes = [(1, 16, 2, 8), (1, 32, 2, 16), (2, 32, 2, 32), (4, 64, 4, 64)]
    counts = [TransformerSpec(*size, vocabulary=16).num_parameters for size in sizes]
    assert counts == [3712, 13_824, 26_624, 202_752]


@pytest.mark.parametrize("size", [(1, 16, 2, 8, 16), (2, 12, 3, 5, 7)])
def test_reference_gradient_equals_finite_differences(size):
    model = TransformerSpec(*size)
    data, rng = sentences(model.vocabulary, model.context), np.random.default_rng(0)
    trainer, params = TransformerReference(data, model), rng.normal(size=model.num_parameters) * 0.3
    x, y = data.x_train[:6], data.y_train[:6]
    gradient = trainer.gradient(params, x, y)[1]
    # Along random directions, so that every parameter has its part and no slope is near zero.
    for _ in range(8):
        along = rng.choice([-1.0, 1.0], params.size) * np.sign(gradient + 1e-30) ** rng.integers(0, 2)
        ends = [trainer.gradient(params + side * 1e-6 * along, x, y)[0] for side in (1, -1)]
        assert gradient @ along == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-6)
    for p in rng.choice(np.flatnonzero(np.abs(gradient) > 1e-3), 40, replace=False):
        step = np.zeros_like(params)
        step[p] = 1e-5
        ends = [trainer.gradient(params + side * step, x, y)[0] for side in (1, -1)]
        assert gradient[p] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4)


def test_a_later_token_changes_no_earlier_logit():
    model = TransformerSpec(2, 16, 2, 8, 11)
    data = sentences(11, 8)
    trainer, params = TransformerReference(data, model), model.init(3)
    read = data.x_train[:1, :-1].astype(np.int64)
    before = trainer.logits(params, read)
    for j in range(8):
        other = read.copy()
        other[0, j] = (other[0, j] + 1) % 11
        after = trainer.logits(params, other)
        assert np.array_equal(after[0, :j], before[0, :j])
        assert not np.allclose(after[0, j], before[0, j])


@settings(max_examples=25, deadline=None)
@given(
    layers=st.integers(1, 2),
    heads=st.integers(1, 3),
    head_width=st.integers(1, 18),
    context=st.integers(1, 19),
    vocabulary=st.integers(2, 35),
    batch=st.integers(1, 9),
    prox_mu=st.sampled_from([0.0, 0.5]),
    weight_decay=st.sampled_from([0.0, 0.1]),
    corrected=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_fused_equals_reference_on_the_same_minibatches(
    layers, heads, head_width, context, vocabulary, batch, prox_mu, weight_decay, corrected, seed
):
    model = TransformerSpec(layers, heads * head_width, heads, context, vocabulary)
    data = sentences(vocabulary, context, seed=seed)
    jobs = jobs_of(model, data.num_rows, batch, corrected, seed)
    training = LocalTraining(learning_rate=0.02, batch_size=batch, weight_decay=weight_decay, prox_mu=prox_mu)
    fused = make_trainer("fused", data, model).run(jobs, training)
    plain = make_trainer("numpy", data, model).run(jobs, training)
    # A unit at the kink of its ReLU may fall on either side.
    off = np.abs(fused.delta - plain.delta)
    assert np.quantile(off, 0.9) < 1e-6
    assert off.max() < 1e-2 * np.abs(plain.delta).max() + 1e-5
    assert np.allclose(fused.loss, plain.loss, atol=1e-3)
    assert np.allclose(fused.norm, np.linalg.norm(fused.delta, axis=1), atol=1e-5)


@pytest.mark.parametrize("spec", TRAINERS, ids=str)
def test_trainers_pass_the_battery_and_score_alike(spec):
    model = TransformerSpec(2, 24, 3, 10, 7)
    data = sentences(7, 10)
    exact = spec == "fused" or spec["mode"] == "loop"
    check_trainer(spec, data, model, exact=exact)
    trainer, plain = make_trainer(spec, data, model), make_trainer("numpy", data, model)
    jobs = jobs_of(model, data.num_rows, 6, corrected=True)
    training = LocalTraining(learning_rate=0.05, weight_decay=0.1, prox_mu=0.2)
    assert np.abs(trainer.run(jobs, training).delta - plain.run(jobs, training).delta).max() < 1e-5
    for part in ("val", "test"):
        for method in ("evaluate", "class_accuracy"):
            one, two = (np.array(getattr(t, method)(jobs.start, part)) for t in (trainer, plain))
            assert np.allclose(one, two, atol=1e-5, equal_nan=True)
    marks, rows = np.array([0, 5, 9]), np.arange(9, dtype=np.int32)
    each = [t.losses(jobs.start, np.array([1, 0]), marks, rows) for t in (trainer, plain)]
    assert np.allclose(*each, atol=1e-5)


def test_the_module_holds_the_parameters_in_the_order_of_the_vector():
    torch = pytest.importorskip("torch")
    from frugalfl.fl_core.models.transformer_module import transformer_module

    model = TransformerSpec(2, 16, 2, 8, 11)
    before = torch.random.get_rng_state()
    module = transformer_module(model, 5)
    flat = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    assert np.array_equal(flat, model.init(5))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_step_of_all_clients_on_equal_batches_is_one_step_on_the_pooled_batch():
    """H = 1 with SGD: the mean of the clients' models is centralised training."""
    model = TransformerSpec(1, 16, 2, 8, 11)
    data, rng = sentences(11, 8), np.random.default_rng(0)
    rows = rng.integers(0, data.num_rows, (4, 6)).astype(np.int32)
    trainer, one = make_trainer("fused", data, model), np.zeros(1, dtype=np.int64)
    start, training = model.init(0)[None], LocalTraining(learning_rate=0.3)
    apart = trainer.run(LocalJobs(start, np.zeros(4, dtype=np.int64), np.arange(5), rows), training)
    pooled = trainer.run(LocalJobs(start, one, np.arange(2), rows.reshape(1, -1)), training)
    assert np.abs(apart.delta.mean(axis=0) - pooled.delta[0]).max() < 1e-6


def test_operations_are_six_per_parameter_and_token_where_the_model_is_wide():
    """6 N T, against the operations that PyTorch counts in a step of the module."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from frugalfl.fl_core.models.transformer_module import transformer_module

    model = TransformerSpec(2, 256, 4, 32, 64)
    module = transformer_module(model, 0, batched=True)
    with FlopCounterMode(display=False) as counter:
        logits = module(torch.zeros((3, 32), dtype=torch.long))
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.zeros(96, dtype=torch.long)).backward()
    counted, tokens = counter.get_total_flops(), 3 * 32
    assert counted == pytest.approx(6 * model.num_parameters * tokens, rel=0.1)
    assert counted == pytest.approx(3 * model.step_flops, rel=0.01)


class TestRefusals:
    """One line that says what to do."""

    def test_too_large_for_the_kernel_goes_to_torch(self):
        data = sentences(7, 10)
        model = make_model({"kind": "transformer", "width": 160}, data)
        assert make_trainer("auto", data, model).name == "torch-loop"
        with pytest.raises(
            ValueError, match=r"^trainer: 'fused': .*width: 160, expected at most 128; use 't"
        ):
            make_trainer("fused", data, model)
        small = make_model("transformer", data)
        assert make_trainer("auto", data, small).name == "fused"
        assert small == TransformerSpec(1, 32, 2, 10, 7)

    def test_rows_must_be_tokens(self):
        with pytest.raises(ValueError, match=r"0\.\d+ in row 0 of data set 'digits', expected tokens: whole"):
            make_model("transformer", load_dataset("digits"))
        with pytest.raises(ValueError, match=r"rows of 1 feature .* expected at least 2 tokens"):
            make_model("transformer", sentences(5, 0))

    def test_settings_must_fit(self):
        data = sentences(7, 10)
        with pytest.raises(ValueError, match="width: 30, expected a multiple of heads=4"):
            make_model({"kind": "transformer", "width": 30, "heads": 4}, data)
        with pytest.raises(ValueError, match="context: 8, expected 10: the rows of data set 'sentences'"):
            make_model({"kind": "transformer", "context": 8}, data)

    def test_a_dense_trainer_is_no_trainer_of_transformers(self):
        data = sentences(7, 10)
        assert isinstance(make_trainer("numpy", data, make_model("transformer", data)), TransformerReference)
        assert isinstance(make_trainer("numpy", data, ModelSpec((11, 7))), NumpyTrainer)


def test_training_goes_below_what_single_tokens_tell():
    """A cycle of tokens is learned by heart, where the frequencies of tokens say nothing."""
    x = (np.arange(64)[:, None] + np.arange(9)) % 8
    data = Dataset("cycle", *(x.astype(np.float32), x[:, -1].astype(np.int32)) * 3, num_classes=8)
    model = TransformerSpec(1, 16, 2, 8, 8)
    rows = np.random.default_rng(0).integers(0, 64, (150, 8)).astype(np.int32)
    trainer, start = make_trainer("fused", data, model), model.init(0)[None]
    jobs = LocalJobs(start, np.zeros(1, dtype=np.int64), np.array([0, 150]), rows)
    accuracy, loss = trainer.evaluate(start, "val")
    assert abs(loss[0] - np.log(8)) < 0.1
    end = start + trainer.run(jobs, LocalTraining(learning_rate=0.5)).delta
    accuracy, loss = trainer.evaluate(end, "val")
    assert accuracy[0] > 0.99 and loss[0] < 0.3
