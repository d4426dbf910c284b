"""The core as a whole: plain FedAvg, exact batching, what is never touched, snapshots, divergence."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.numerics import minibatch_positions
from frugalfl.fl_core.training import NumpyTrainer

DIGITS = load_dataset("digits")
N = 12
HERE = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.environ.get("PYTHONPATH")]))
TRAINING = {"learning_rate": 0.1, "batch_size": 16}


def rows_of(seed, hub_share=0.0, **kwargs):
    zone = np.arange(N) % 3
    return partition(
        DIGITS,
        N,
        zone,
        3,
        {"kind": "zone", "size_sigma": 1.0},
        np.random.default_rng(seed),
        hub_share,
        **kwargs,
    )


def make_core(num_envs, seeds, model="softmax", dataset=DIGITS, **kwargs):
    kwargs = {"training": TRAINING} | kwargs
    core = FederatedCore(dataset, make_model(model, dataset), num_envs, N, **kwargs)
    for env, seed in enumerate(seeds):
        core.reset(env, rows_of(seed), seed)
    return core


def orders(seed, rounds=4):
    """Ragged local steps ``[rounds, N]``, about half of the clients absent."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 8, (rounds, N)) * (rng.random((rounds, N)) < 0.5)).astype(np.int32)


def naive_fedavg(model_name, seed, steps):
    """FedAvg as one would write it down: client after client, sample after sample."""
    model = make_model(model_name, DIGITS)
    reference, dealt = NumpyTrainer(DIGITS, model), rows_of(seed)
    server = model.init(seed)
    for r, of_round in enumerate(steps):
        total, moved = 0, np.zeros_like(server, dtype=np.float64)
        for k in np.flatnonzero(of_round):
            held = dealt.rows[dealt.offset[k] : dealt.offset[k] + dealt.own[k]]
            local = server.copy()
            for s in range(of_round[k]):
                rows = held[minibatch_positions(seed, r, k, s, 16, held.size)]
                each = [reference.gradient(local, DIGITS.x_train[[i]], DIGITS.y_train[[i]])[1] for i in rows]
                local = local - np.float32(0.1) * np.mean(each, axis=0)
            total += held.size
            moved += held.size * (local - server)
        server = server + (moved / max(1, total)).astype(np.float32)
    return server


def test_pooled_accuracy_counts_validation_and_training_rows_alike():
    core = make_core(3, [0, 1, 2])
    core.run_round(TrainingOrders(local_steps=np.full((3, N), 5, dtype=np.int32)))
    x, y = np.concatenate([DIGITS.x_val, DIGITS.x_train]), np.concatenate([DIGITS.y_val, DIGITS.y_train])
    both = NumpyTrainer(replace(DIGITS, x_val=x, y_val=y), make_model("softmax", DIGITS))
    assert core.pooled_accuracy() == pytest.approx(both.evaluate(core.parameters(), "val")[0])


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_a_round_is_plain_fedavg(model):
    steps = orders(0, rounds=3)
    core = make_core(1, [5], model)
    for r, of_round in enumerate(steps):
        core.run_round(TrainingOrders(of_round[None], None, np.array([r])))
    assert np.abs(core.parameters()[0] - naive_fedavg(model, 5, steps)).max() < 1e-5


@pytest.mark.parametrize("aggregator", ["by-samples", "uniform", "unbiased"])
def test_batch_equals_single_bit_for_bit(aggregator):
    seeds = [3, 1, 4, 1, 5]
    batch = make_core(5, seeds, "mlp", aggregator=aggregator)
    plans = np.stack([orders(10 + e) for e in range(5)], axis=1)
    rates = np.random.default_rng(0).uniform(0.1, 1, (5, N))
    results = []
    for r in range(4):
        out = batch.run_round(TrainingOrders(plans[r], None, np.arange(5) + r, rates))
        results.append((out, *batch.evaluate()))
    for e, seed in enumerate(seeds):
        single = make_core(1, [seed], "mlp", aggregator=aggregator)
        for r in range(4):
            out = single.run_round(TrainingOrders(plans[r, [e]], None, np.array([e + r]), rates[[e]]))
            together, accuracy, loss = results[r]
            assert np.array_equal(out.reported_loss[0], together.reported_loss[e], equal_nan=True)
            assert np.array_equal(out.update_norm[0], together.update_norm[e], equal_nan=True)
            assert single.evaluate() == (accuracy[e], loss[e])
        assert np.array_equal(single.parameters()[0], batch.parameters()[e])


SCRIPT = """
import hashlib, numpy as np
from test_on_data import TrainingOrders, make_core, orders
core = make_core(3, [1, 2, 3], "mlp")
plans = np.stack([orders(e) for e in range(3)], axis=1)
for r in range(4):
    core.run_round(TrainingOrders(plans[r] * 40, None, np.full(3, r)))
print(hashlib.sha256(core.parameters().tobytes()).hexdigest(), *core.evaluate()[1])
"""


def test_threads_and_processes_change_nothing():
    outputs = set()
    for threads in ("1", "3"):
        env = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONPATH": HERE}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


FORK = """
import multiprocessing
from test_on_data import SCRIPT
def child():
    exec(SCRIPT, {})
child()  # threads of the parent are at work
fork = multiprocessing.get_context("fork").Process(target=child)
fork.start()
fork.join(60)
raise SystemExit(fork.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_trains_on():
    env = os.environ | {"NUMBA_NUM_THREADS": "2", "PYTHONPATH": HERE}
    command = [sys.executable, "-u", "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    parent, forked = done.stdout.splitlines()
    assert parent == forked


def poisoned_data(**parts):
    """The digits with values that a data set refuses: whatever touches them shows it."""
    found = copy.copy(DIGITS)
    for name, values in parts.items():
        object.__setattr__(found, name, values)
    return found


def test_whoever_has_no_steps_cannot_reach_the_model():
    """The lost client's rows are poisoned: had it been trained, the model would be NaN."""
    steps = orders(0)[:1]
    absent = np.flatnonzero(steps[0] == 0)
    dealt = rows_of(7)
    poisoned = DIGITS.x_train.copy()
    for k in absent:
        poisoned[dealt.rows[dealt.offset[k] : dealt.offset[k + 1]]] = np.nan
    clean, dirty = make_core(1, [7]), make_core(1, [7], dataset=poisoned_data(x_train=poisoned))
    for core in (clean, dirty):
        core.run_round(TrainingOrders(steps))
    assert np.array_equal(clean.parameters(), dirty.parameters())


def test_test_data_is_never_touched():
    poisoned = poisoned_data(x_test=np.full_like(DIGITS.x_test, np.nan))
    clean, dirty = make_core(2, [1, 2]), make_core(2, [1, 2], dataset=poisoned)
    everyone = np.ones((2, N), dtype=bool)
    for r in range(3):
        plan = np.stack([orders(0)[r], orders(1)[r]])
        for name in ("reported_loss", "update_norm"):
            one, two = (
                getattr(core.run_round(TrainingOrders(plan, None, np.full(2, r))), name)
                for core in (clean, dirty)
            )
            assert np.array_equal(one, two, equal_nan=True)
    assert np.array_equal(clean.parameters(), dirty.parameters())
    assert np.array_equal(clean.evaluate(), dirty.evaluate())
    assert np.array_equal(clean.client_losses(everyone), dirty.client_losses(everyone))
    assert np.isnan(dirty.evaluate(part="test")[1]).all()


def test_only_held_rows_are_drawn_and_transfers_extend_them():
    dealt = rows_of(3, hub_share=0.5, hub_rows_per_client=30)
    poisoned = DIGITS.x_train.copy()
    for k in range(N):
        poisoned[dealt.rows[dealt.offset[k] + dealt.own[k] + 10 : dealt.offset[k + 1]]] = np.nan
    clean = np.setdiff1d(np.flatnonzero(np.isfinite(poisoned).all(axis=1)), [])
    core = FederatedCore(poisoned_data(x_train=poisoned), make_model("softmax", DIGITS), 1, N, TRAINING)
    core.reset(0, dealt, 3)
    steps = np.full((1, N), 20, dtype=np.int32)
    finite = [
        np.isin(dealt.rows[dealt.offset[k] : dealt.offset[k] + dealt.own[k]], clean).all() for k in range(N)
    ]
    before = core.run_round(TrainingOrders(steps))
    assert np.isfinite(before.reported_loss[0][finite]).all()
    core.hold(core.capacity)
    after = core.run_round(TrainingOrders(steps))
    assert np.isnan(after.reported_loss).any()
    assert after.diverged[0]


def test_hold_is_checked_and_reset_forgets_it():
    core = make_core(1, [3])
    with pytest.raises(ValueError, match=r"held\[0, 0\]: 0, expected own="):
        core.hold(np.zeros((1, N), dtype=int))
    with pytest.raises(ValueError, match=r"held\[0, 0\]"):
        core.hold(core.capacity + 1)
    core.reset(0, rows_of(3, hub_share=0.2, hub_rows_per_client=9), 3)
    core.hold(core.capacity)
    core.reset(0, rows_of(4), 4)
    assert np.array_equal(core.held, core.own)


def test_a_client_without_rows_sends_nothing():
    core = make_core(1, [0])
    core.reset(0, rows_of(0, hub_share=1.0, hub_rows_per_client=50), 0)
    out = core.run_round(TrainingOrders(np.full((1, N), 5, dtype=np.int32)))
    assert not out.trained.any()
    assert not core.parameters().any()
    core.hold(np.minimum(core.capacity, 5))
    assert core.run_round(TrainingOrders(np.full((1, N), 5, dtype=np.int32))).trained.all()


def test_plan_weights_replace_the_aggregator():
    steps = np.full((1, N), 3, dtype=np.int32)
    deltas = np.zeros((N, 650))
    for k in range(N):
        core = make_core(1, [2])
        core.run_round(TrainingOrders(steps * (np.arange(N) == k), np.ones((1, N))))
        deltas[k] = core.parameters()[0]
    weights = np.random.default_rng(0).uniform(0, 2, (1, N))
    core = make_core(1, [2], training=TRAINING | {"server_learning_rate": 0.5})
    core.run_round(TrainingOrders(steps, weights))
    assert np.allclose(core.parameters()[0], 0.5 * weights[0] @ deltas, atol=1e-6)


def test_nobody_came_the_model_stands_still():
    core = make_core(2, [1, 2])
    core.run_round(TrainingOrders(np.stack([orders(0)[0], np.zeros(N, dtype=np.int32)])))
    assert core.parameters()[0].any()
    assert not core.parameters()[1].any()


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_learning_takes_tens_of_rounds(model):
    core = FederatedCore(DIGITS, make_model(model, DIGITS), 4, N)
    rng = np.random.default_rng(0)
    for e in range(4):
        core.reset(e, rows_of(e), e)
    curve = []
    for r in range(100):
        steps = 10 * (rng.random((4, N)).argsort(axis=1) < 6)
        core.run_round(TrainingOrders(steps.astype(np.int32), None, np.full(4, r)))
        curve.append(core.evaluate()[0].mean())
    assert curve[4] < 0.7
    assert curve[-1] > 0.88
    assert curve[-1] > curve[19] + 0.02


def test_divergence_is_caught_named_and_not_kept(caplog):
    core = make_core(2, [1, 2])
    core.run_round(TrainingOrders(np.stack([orders(0)[0]] * 2)))
    before = core.parameters()
    bad = DIGITS.x_train.copy()
    dealt = rows_of(1)
    bad[dealt.rows[dealt.offset[4] : dealt.offset[5]]] = np.inf
    core.trainer = NumpyTrainer(poisoned_data(x_train=bad), core.model)
    steps = np.zeros((2, N), dtype=np.int32)
    steps[0, [2, 4]] = 5
    steps[1, 2] = 5
    with np.errstate(all="ignore"):
        out = core.run_round(TrainingOrders(steps))
    assert out.diverged[0]
    assert out.diverged_client[0] == 4
    assert "environment 0, round 0: training diverged (client 4," in caplog.text
    assert np.array_equal(core.parameters()[0], before[0])


def test_snapshot_restores_exactly():
    one, two = make_core(2, [1, 2]), make_core(2, [8, 9])
    one.run_round(TrainingOrders(np.stack([orders(0)[0]] * 2)))
    snapshot = one.state()
    two.load_state(snapshot)
    for core in (one, two):
        core.run_round(TrainingOrders(np.stack([orders(0)[1]] * 2), None, np.ones(2)))
    assert np.array_equal(one.parameters(), two.parameters())
    del snapshot["held"]
    with pytest.raises(ValueError, match="'held' is missing"):
        two.load_state(snapshot)
    with pytest.raises(ValueError, match="params: shape"):
        make_core(3, [1, 2, 3]).load_state(one.state())


def test_a_hundred_thousand_clients_cost_their_rows_and_a_few_numbers_each():
    many = 100_000
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 * many, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    data = Dataset("halves", x, y, x[:500], y[:500], x[:500], y[:500], 2)
    core = FederatedCore(data, make_model("softmax", data), 1, many, {"learning_rate": 0.5})
    core.reset(0, partition(data, many, np.arange(many) % 5, 5, "dirichlet", rng), 0)
    for r in range(5):
        steps = np.zeros((1, many), dtype=np.int32)
        steps[0, rng.choice(many, 128, replace=False)] = 10
        out = core.run_round(TrainingOrders(steps, None, np.array([r])))
        assert out.trained.sum() == 128
    assert core.evaluate()[0][0] > 0.9
    assert sum(array.nbytes for array in core.state().values()) < 50 * many


def test_returned_arrays_are_fresh():
    core = make_core(1, [1])
    first = core.run_round(TrainingOrders(orders(0)[:1]))
    kept = first.reported_loss.copy(), core.parameters()
    for name in ("capacity", "own", "held", "target_weight"):
        getattr(core, name)[...] = 0
    core.parameters()[...] = 7
    core.run_round(TrainingOrders(orders(1)[:1]))
    assert np.array_equal(first.reported_loss, kept[0], equal_nan=True)
    assert core.own.min() > 0
    assert not (core.parameters() == 7).any()


def test_client_losses_are_the_mean_over_held_rows():
    core = make_core(1, [1], "mlp")
    asked = np.zeros((1, N), dtype=bool)
    asked[0, [0, 5]] = True
    losses = core.client_losses(asked)
    assert np.array_equal(np.isfinite(losses), asked)
    dealt = rows_of(1)
    own = dealt.rows[dealt.offset[5] : dealt.offset[5] + dealt.own[5]]
    expected, _ = NumpyTrainer(DIGITS, core.model).gradient(
        core.parameters()[0], DIGITS.x_train[own], DIGITS.y_train[own]
    )
    assert losses[0, 5] == pytest.approx(expected, abs=1e-5)


def test_importing_the_core_imports_no_torch():
    code = "import sys, frugalfl.fl_core; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: make_core(1, [0], training={"learning_rate": 0}),
            "training: learning_rate: 0, expected greater than 0",
        ),
        (lambda: make_core(1, [0], training={"lerning_rate": 1}), "did you mean 'learning_rate'"),
        (lambda: FederatedCore(DIGITS, make_model("softmax", DIGITS), 1, 0), "num_clients: 0"),
        (lambda: make_core(1, [0]).run_round(TrainingOrders(np.zeros((2, N), dtype=int))), "local_steps"),
        (lambda: make_core(1, [0]).evaluate(part="train"), "part: 'train'"),
        (lambda: make_core(1, [0]).reset(0, rows_of(0), -1), "seed: -1"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
