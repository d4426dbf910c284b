"""A worker's moments stay with it from round to round and are gone with its session."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.quadratics import QuadraticCore
from frugalfl.fl_core.training import NumpyTrainer

DIGITS = load_dataset("digits")
ADAMW = {"learning_rate": 0.01, "optimiser": "adamw"}


def core_of(seeds, training=ADAMW, **kwargs):
    core = FederatedCore(DIGITS, make_model("softmax", DIGITS), len(seeds), 3, training, **kwargs)
    for env, seed in enumerate(seeds):
        dealt = partition(DIGITS, 3, np.zeros(3, dtype=int), 1, "iid", np.random.default_rng(seed))
        core.reset(env, dealt, seed)
    return core


def run(core, rounds, begin=0, steps=(4, 0, 2)):
    for index in range(begin, begin + rounds):
        orders = np.tile(np.array(steps, dtype=np.int32), (core.num_envs, 1))
        core.run_round(TrainingOrders(orders, round_index=np.full(core.num_envs, index)))


def test_moments_count_the_steps_of_their_own_worker():
    core = core_of([1, 2])
    run(core, 3)
    assert core.state()["workers.steps"].tolist() == [[12, 0, 6]] * 2
    moments = core.state()["workers.second"]
    assert (moments[:, [0, 2]].max(axis=2) > 0).all() and not moments[:, 1].any()


def test_the_end_of_a_session_takes_them_and_nobody_elses():
    core = core_of([1, 2])
    run(core, 2)
    before = core.state()
    core.end_sessions(np.array([[True, False, False], [False, False, True]]))
    after = core.state()
    assert after["workers.steps"].tolist() == [[0, 0, 4], [8, 0, 0]]
    assert not after["workers.first"][0, 0].any() and not after["workers.second"][1, 2].any()
    assert np.array_equal(after["workers.first"][0, 2], before["workers.first"][0, 2])
    stayed, left = core_of([1, 2]), core_of([1, 2])
    for each in (stayed, left):
        run(each, 2)
    left.end_sessions(np.ones((2, 3), dtype=bool))
    for each in (stayed, left):
        run(each, 1, begin=2)
    assert np.abs(stayed.parameters() - left.parameters()).max() > 1e-3
    stayed.reset(0, partition(DIGITS, 3, np.zeros(3, dtype=int), 1, "iid", np.random.default_rng(1)), 1)
    assert not stayed.state()["workers.steps"][0].any()


def test_a_batch_is_its_rows_and_a_snapshot_goes_on():
    batch, single = core_of([1, 2]), core_of([2])
    for core in (batch, single):
        run(core, 2)
    assert np.array_equal(batch.parameters()[1], single.parameters()[0])
    other = core_of([2])
    other.load_state(single.state())
    for core in (batch, single, other):
        run(core, 2, begin=2)
    assert np.array_equal(batch.parameters()[1], single.parameters()[0])
    assert np.array_equal(other.parameters(), single.parameters())
    with pytest.raises(ValueError, match=r"workers\.first: missing"):
        other.load_state({name: table for name, table in single.state().items() if "workers" not in name})


def test_who_diverged_begins_anew():
    core = core_of([1], {"learning_rate": 1e12, "optimiser": {"kind": "adamw", "weight_decay": 1e11}})
    run(core, 1, steps=(4, 0, 0))
    assert core.state()["workers.steps"].tolist() == [[0, 0, 0]]
    assert np.isfinite(core.parameters()).all()


class Plain(NumpyTrainer):
    """Knows SGD alone."""

    def run(self, jobs, settings):
        return super().run(jobs, settings.model_copy(update={"optimiser": "sgd"}))


def test_a_trainer_that_does_not_know_it_is_refused():
    core = core_of([1], trainer=Plain(DIGITS, make_model("softmax", DIGITS)))
    with pytest.raises(
        ValueError, match="trainer: 'numpy' returned no moments, expected one that knows optimi"
    ):
        run(core, 1)


def test_what_needs_plain_descent_says_so():
    with pytest.raises(ValueError, match=r"optimiser: 'adamw', expected 'sgd': aggregator 'scaffold' takes"):
        core_of([1], aggregator="scaffold")
    with pytest.raises(ValueError, match="optimiser: 'adamw', expected 'sgd' in a world of quad"):
        QuadraticCore({}, 1, 2, ADAMW)
    model = make_model({"kind": "mlp", "hidden": [64]}, DIGITS)
    with pytest.raises(ValueError, match=r"moments of 1 x 1000000 workers would need .* values, expected at"):
        FederatedCore(DIGITS, model, 1, 1_000_000, ADAMW)
    assert "workers.steps" not in core_of([1], {}).state()
