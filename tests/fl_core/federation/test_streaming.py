"""The core that serves: real answers, and training on what is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.data.streams import Drift, Memory, StreamTask
from frugalfl.fl_core.federation import FederatedCore, RequestSpans, StreamCore, StreamEngine, TrainingOrders
from frugalfl.fl_core.models import make_model

E, N = 2, 5
DIGITS = load_dataset("digits")
TRAINING = {"learning_rate": 0.5, "batch_size": 8}


def dealt(seed=3):
    return partition(
        DIGITS, N, np.zeros(N, int), 1, {"kind": "dirichlet", "alpha": 0.5}, np.random.default_rng(seed)
    )


def core_of(mixed=False, drift=None, rows=400, model="softmax", trainer="auto", **memory):
    core = StreamCore(
        DIGITS, make_model(model, DIGITS), E, N, Memory(rows=rows, **memory), Drift(**(drift or {})), mixed,
        TRAINING, trainer=trainer,
    )  # fmt: skip
    task = dealt()
    for env in range(E):
        core.reset(env, StreamTask(task, task.label_mix(DIGITS.y_train, 10)[:, None]), 10 + env)
    return core


def learned(core, counts, concept=0):
    """Let every client learn its first requests."""
    env, client = np.divmod(np.arange(E * N), N)
    many = np.repeat(np.arange(E * N), counts)
    number = np.concatenate([np.arange(count) for count in counts])
    core.learn(env[many], client[many], number, np.full(many.size, concept), number.astype(float))


def spans(core, count, concept=0):
    env, client = np.divmod(np.arange(E * N), N)
    zeros = np.zeros(E * N, int)
    return RequestSpans(
        env, client, zeros, zeros + count, zeros + concept, zeros.astype(float), core.parameters(), env
    )


def test_it_is_what_a_world_asks_for():
    assert isinstance(core_of(), StreamEngine)


def test_memories_with_all_own_rows_train_the_model_of_the_partition_bit_for_bit():
    task = dealt()
    plain = FederatedCore(DIGITS, make_model("softmax", DIGITS), E, N, TRAINING)
    core = core_of()
    for env in range(E):
        plain.reset(env, task, 10 + env)
    learned(core, np.tile(task.own, E))
    assert np.array_equal(core.held, plain.held)
    for index in range(3):
        steps = np.full((E, N), 10)
        steps[:, index] = 0
        orders = TrainingOrders(local_steps=steps, round_index=np.full(E, index))
        one, other = core.run_round(orders), plain.run_round(orders)
        assert np.array_equal(one.reported_loss, other.reported_loss, equal_nan=True)
    assert np.array_equal(core.parameters(), plain.parameters())
    assert np.array_equal(core.evaluate()[0], plain.evaluate()[0])


def test_who_remembers_nothing_trains_nothing():
    core = core_of()
    before = core.parameters()
    core.run_round(TrainingOrders(local_steps=np.full((E, N), 10)))
    assert np.array_equal(core.parameters(), before)


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_answers_are_forward_passes(model):
    fast, plain = core_of(True, model=model), core_of(True, model=model, trainer="numpy")
    for core in (fast, plain):
        learned(core, np.full(E * N, 100))
        core.run_round(TrainingOrders(local_steps=np.full((E, N), 20)))
    one, other = fast.answer(spans(fast, 60)), plain.answer(spans(fast, 60))
    assert one.right.size == 60 * E * N and 0.3 < one.right.mean() < 1
    assert (one.right != other.right).mean() < 0.01  # ties of rounding
    assert np.allclose(one.loss, other.loss, rtol=1e-3, atol=1e-4)


def test_torch_answers_as_well():
    fast, torch = core_of(True), core_of(True, trainer={"kind": "torch"})
    one, other = fast.answer(spans(fast, 20)), torch.answer(spans(fast, 20))
    assert (one.right != other.right).mean() < 0.01 and np.allclose(
        one.loss, other.loss, rtol=1e-3, atol=1e-4
    )


def test_a_span_is_answered_alike_whole_and_in_parts():
    core = core_of(True, {"kind": "shift"})
    whole = core.answer(spans(core, 40, concept=2))
    half = spans(core, 40, concept=2)
    parts = [RequestSpans(half.env, half.client, half.begin + a, half.begin + b, half.concept, half.moment_s,
                          half.models, half.origin) for a, b in ((0, 13), (13, 40))]  # fmt: skip
    answers = [core.answer(each) for each in parts]
    joined = np.concatenate([each.right.reshape(E * N, -1) for each in answers], axis=1)
    assert np.array_equal(joined.ravel(), whole.right)


def test_another_concept_is_answered_worse_until_it_is_learned():
    core = core_of(True, {"kind": "shift"})
    learned(core, np.full(E * N, 300))
    for index in range(8):
        orders = TrainingOrders(local_steps=np.full((E, N), 20), round_index=np.full(E, index))
        core.run_round(orders)
    known, unknown = (core.answer(spans(core, 100, concept)).right.mean() for concept in (0, 3))
    assert known > 0.9 and unknown < 0.5
    now = core.evaluate()[0]
    core.be_in(np.full((E, N), 3), np.zeros(E))
    assert (core.evaluate()[0] < now - 0.3).all()


def test_the_optimum_is_right_on_nearly_all_rows_of_any_concept():
    core = core_of(True, {"kind": "swap"})
    for concept in (0, 5):
        assert core.answer(spans(core, 50, concept)).frozen.mean() > 0.97


def test_snapshots_hold_what_is_remembered():
    core, other = core_of(), core_of()
    learned(core, np.full(E * N, 30))
    other.load_state(core.state())
    orders = TrainingOrders(local_steps=np.full((E, N), 5))
    core.run_round(orders)
    other.run_round(orders)
    assert np.array_equal(core.parameters(), other.parameters())


def test_who_forgets_holds_nothing():
    core = core_of()
    learned(core, np.full(E * N, 30))
    who = np.zeros((E, N), dtype=bool)
    who[1, 2] = True
    core.forget(who)
    assert core.held[1, 2] == 0 and (core.held[~who] == 30).all()
    assert (core.memory_age_s(np.full(E, 30.0))[~who] == 30 - 14.5).all()
