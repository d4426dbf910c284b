"""The torch backend agrees with the reference; convolutional nets and modules by dotted name."""

from __future__ import annotations

import copy
import pickle
import shutil

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import ModelSpec, make_model
from frugalfl.fl_core.training import LocalJobs, LocalTraining, NumpyTrainer, make_trainer

torch = pytest.importorskip("torch")
DIGITS = load_dataset("digits")


def ragged_jobs(parameters, corrected, rng):
    steps = np.array([3, 0, 5, 1, 3])
    first = np.concatenate([[0], np.cumsum(steps)])
    start = (rng.normal(size=(2, parameters)) * 0.2).astype(np.float32)
    correction = (rng.normal(size=(5, parameters)) * 0.1).astype(np.float32) if corrected else None
    rows = rng.integers(0, DIGITS.num_rows, (first[-1], 16)).astype(np.int32)
    return LocalJobs(start, np.array([0, 1, 1, 0, 1]), first, rows, correction)


@pytest.mark.parametrize("mode", ["loop", "vmap"])
@pytest.mark.parametrize("widths", [(64, 10), (64, 20, 10)])
@pytest.mark.parametrize("corrected", [False, True])
def test_torch_equals_numpy_on_the_same_minibatches(mode, widths, corrected):
    model = ModelSpec(widths)
    jobs = ragged_jobs(model.num_parameters, corrected, np.random.default_rng(0))
    training = LocalTraining(learning_rate=0.1, batch_size=16, weight_decay=0.01, prox_mu=0.1)
    backend = make_trainer({"kind": "torch", "mode": mode, "clients_at_once": 3}, DIGITS, model)
    plain = NumpyTrainer(DIGITS, model)
    one, two = backend.run(jobs, training), plain.run(jobs, training)
    assert np.abs(one.delta - two.delta).max() < 1e-5
    assert np.allclose(one.loss, two.loss, atol=1e-5)
    for part in ("val", "test"):
        assert np.allclose(backend.evaluate(jobs.start, part), plain.evaluate(jobs.start, part), atol=1e-5)
    first, rows = np.array([0, 7, 30]), np.arange(30, dtype=np.int32)
    origin = np.array([1, 0])
    mine = backend.losses(jobs.start, origin, first, rows)
    assert np.allclose(mine, plain.losses(jobs.start, origin, first, rows), atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_the_compiled_step_is_the_same_step():
    model = ModelSpec((64, 20, 10))
    jobs = ragged_jobs(model.num_parameters, True, np.random.default_rng(0))
    training = LocalTraining(learning_rate=0.1, batch_size=16, weight_decay=0.01, prox_mu=0.1)
    backend = make_trainer({"kind": "torch", "mode": "vmap", "compile": True}, DIGITS, model)
    assert backend.name == "torch-vmap-compiled"
    one, two = backend.run(jobs, training), NumpyTrainer(DIGITS, model).run(jobs, training)
    assert np.abs(one.delta - two.delta).max() < 1e-5
    assert np.allclose(one.loss, two.loss, atol=1e-5)


def core_of(num_envs, seeds, optimiser="sgd", **kwargs):
    model = make_model({"kind": "cnn", "channels": 4, "kernel": 2}, DIGITS)
    core = FederatedCore(DIGITS, model, num_envs, 4, {"learning_rate": 0.1, "optimiser": optimiser}, **kwargs)
    for e, seed in enumerate(seeds):
        dealt = partition(DIGITS, 4, np.zeros(4, dtype=int), 1, "iid", np.random.default_rng(seed))
        core.reset(e, dealt, seed)
    return core


def test_a_convolutional_net_learns_and_batches_exactly():
    batch, single = core_of(2, [1, 2]), core_of(1, [2])
    assert batch.trainer.name == "torch-loop"
    before = batch.evaluate()[1]
    threads = torch.get_num_threads()
    for r in range(4):
        batch.run_round(TrainingOrders(np.full((2, 4), 3, dtype=np.int32), None, np.full(2, r)))
        single.run_round(TrainingOrders(np.full((1, 4), 3, dtype=np.int32), None, np.full(1, r)))
    assert torch.get_num_threads() == threads
    assert np.array_equal(batch.parameters()[1], single.parameters()[0])
    assert np.array_equal(np.stack(batch.evaluate())[:, 1:], np.stack(single.evaluate()))
    assert (batch.evaluate()[1] < before).all()


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_worker_processes_give_the_same_bits(optimiser):
    steps = np.array([[1, 0, 3, 2], [4, 1, 0, 0]], dtype=np.int32)
    alone = core_of(2, [1, 2], optimiser)
    shared = core_of(2, [1, 2], optimiser, trainer={"kind": "torch", "workers": 2})
    assert shared.trainer.name == "torch-loop-x2"
    for r in range(2):
        for core in (alone, shared):
            done = core.run_round(TrainingOrders(steps, None, np.full(2, r)))
            assert not done.diverged.any()
    assert np.array_equal(alone.parameters(), shared.parameters())
    shared.run_round(TrainingOrders(0 * steps))
    shared.trainer.close()


def test_loop_and_vmap_agree_on_a_convolutional_net():
    cores = [core_of(1, [3], trainer={"kind": "torch", "mode": mode}) for mode in ("loop", "vmap")]
    for core in cores:
        core.run_round(TrainingOrders(np.array([[1, 0, 3, 2]], dtype=np.int32)))
    assert np.abs(cores[0].parameters() - cores[1].parameters()).max() < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_processor(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    cores = [core_of(2, [3, 4], trainer={"kind": "torch", "device": device}) for device in ("cpu", "cuda")]
    for core in cores:
        core.run_round(TrainingOrders(np.array([[1, 0, 3, 2], [2, 2, 0, 1]], dtype=np.int32)))
    assert cores[1].trainer.name == "torch-vmap"
    assert np.abs(cores[0].parameters() - cores[1].parameters()).max() < 1e-5
    assert np.allclose(cores[0].evaluate(), cores[1].evaluate(), atol=1e-5)


def test_building_models_leaves_the_global_generator_alone():
    model = make_model({"kind": "cnn", "kernel": 2}, DIGITS)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert np.array_equal(model.init(5), model.init(5))
    assert torch.rand(1) == expected


def tiny_factory(input_shape, num_classes, hidden=7):
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(int(np.prod(input_shape)), hidden), torch.nn.Tanh(),
        torch.nn.Linear(hidden, num_classes),
    )  # fmt: skip


def batch_norm_factory(input_shape, num_classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(64), torch.nn.Linear(64, num_classes))


def test_any_module_by_dotted_name(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "my_models", sys.modules[__name__])
    model = make_model({"kind": "my_models:tiny_factory", "hidden": 5}, DIGITS)
    assert model.num_parameters == 65 * 5 + 6 * 10
    core = FederatedCore(DIGITS, model, 1, 3, {"learning_rate": 0.1})
    core.reset(0, partition(DIGITS, 3, np.zeros(3, dtype=int), 1, "iid", np.random.default_rng(0)), 0)
    before = core.evaluate()[1][0]
    core.run_round(TrainingOrders(np.full((1, 3), 10, dtype=np.int32)))
    assert core.evaluate()[1][0] < before
    with pytest.raises(ValueError, match="BatchNorm"):
        make_model("my_models:batch_norm_factory", DIGITS).init(0)
    with pytest.raises(ValueError, match="my_models has no 'nothing'"):
        make_model("my_models:nothing", DIGITS)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: make_trainer("fused", DIGITS, make_model({"kind": "cnn", "kernel": 2}, DIGITS)),
            "use 'torch'",
        ),
        (lambda: make_model("cnn", DIGITS).init(0), "kernel: 5, expected less: .* too small"),
        (
            lambda: make_trainer({"kind": "torch", "mode": "turbo"}, DIGITS, ModelSpec((64, 10))),
            "mode: 'turbo'",
        ),
        (
            lambda: make_trainer({"kind": "torch", "compile": True}, DIGITS, ModelSpec((64, 10))),
            "compile: True, expected False",
        ),
        (
            lambda: make_trainer(
                {"kind": "torch", "mode": "vmap", "workers": 2}, DIGITS, ModelSpec((64, 10))
            ),
            "workers: 2, expected 1",
        ),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("mode", ["loop", "vmap"])
def test_a_copied_and_an_unpickled_trainer_train_alike(mode):
    jobs = ragged_jobs(650, True, np.random.default_rng(0))
    trainer = make_trainer({"kind": "torch", "mode": mode}, DIGITS, ModelSpec((64, 10)))
    trainer.run(jobs, LocalTraining())  # it owns threads' modules by now
    want = trainer.run(jobs, LocalTraining())
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert np.array_equal(other.run(jobs, LocalTraining()).delta, want.delta)
        assert np.array_equal(other.evaluate(jobs.start, "val"), trainer.evaluate(jobs.start, "val"))
