"""Compressed updates: what enters the model, and what an upload costs in bytes, time and energy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.envs.contract import RoundPlan

SEEDS = np.array([3, 4])
TOP = {"kind": "top-k", "share": 0.1}


def world_of(seeds=SEEDS, name="volunteers", **changes):
    return begun(plain(name, **changes), seeds)


def plan_of(world, steps=5, only=None):
    chosen = world.situation().clients.available if only is None else only
    nothing, ones = np.zeros(chosen.shape, dtype=np.int32), np.ones(world.num_envs)
    return RoundPlan(np.where(chosen, steps, 0).astype(np.int32), nothing, ones, 0 * ones)


@pytest.mark.parametrize(
    ("compression", "sent"),
    [(None, lambda p: 4 * p), (TOP, lambda p: 8 * math.ceil(0.1 * p)), ("8-bit", lambda p: p + 4)],
)
@pytest.mark.parametrize("model_bytes", [44.7e6, "actual"])
def test_an_upload_costs_what_the_compressed_update_takes(compression, sent, model_bytes):
    world = world_of(compression=compression, workload={"model_bytes": model_bytes})
    before = world.situation()
    outcome = world.step(plan_of(world)).outcome
    size = world.parameters().shape[1]
    nominal = world.source.model_bytes
    assert nominal == (4 * size if model_bytes == "actual" else model_bytes)
    done = outcome.completed
    assert done.any()
    np.testing.assert_allclose(outcome.up_bytes[done], nominal * sent(size) / (4 * size))
    np.testing.assert_allclose(outcome.down_bytes[done], nominal)
    np.testing.assert_allclose(outcome.stop_s[done], before.round_s(5)[done])
    moved = (outcome.up_bytes + outcome.down_bytes)[done]
    np.testing.assert_allclose(moved, before.round_bytes()[done])
    np.testing.assert_allclose(outcome.energy_j[done], before.round_j(5)[done])


def test_the_update_that_enters_the_model_is_the_decompressed_one():
    plain, sparse, coarse = world_of(), world_of(compression=TOP), world_of(compression="8-bit")
    situation = plain.situation(clairvoyant=True)
    one = situation.clients.available & (situation.future.session_left_s > situation.round_s(5))
    one &= np.cumsum(one, axis=1) == 1
    start = plain.parameters()
    moves = []
    for world in (plain, sparse, coarse):
        assert world.step(plan_of(world, 5, one)).outcome.completed.sum() == 2
        moves.append(world.parameters() - start)
    exact, top, rounded = moves
    size = exact.shape[1]
    for row in range(2):
        kept = np.flatnonzero(top[row])
        assert 0 < kept.size <= math.ceil(0.1 * size)
        np.testing.assert_allclose(top[row, kept], exact[row, kept], atol=1e-6)
        assert np.abs(exact[row, kept]).min() >= np.abs(np.delete(exact[row], kept)).max() - 1e-6
        assert np.abs(rounded[row] - exact[row]).max() <= np.abs(exact[row]).max() / 127
    assert (rounded != exact).any()


@pytest.mark.parametrize("compression", [{**TOP, "error_feedback": True}, "8-bit"])
@pytest.mark.parametrize("name", ["volunteers", "quadratic"])
def test_every_environment_of_a_batch_is_the_single_one(compression, name):
    batch = world_of(name=name, compression=compression)
    singles = [world_of([seed], name, compression=compression) for seed in SEEDS]
    for _ in range(4):
        together = batch.step(plan_of(batch))
        for row, world in enumerate(singles):
            np.testing.assert_array_equal(together.reward[row], world.step(plan_of(world)).reward[0])
            np.testing.assert_array_equal(batch.parameters()[row], world.parameters()[0])


def test_error_feedback_is_forgotten_with_the_episode():
    compression = {**TOP, "error_feedback": True}
    used, fresh = world_of(compression=compression), world_of(compression=compression)
    used.step(plan_of(used))
    used.reset(np.ones(2, dtype=bool), SEEDS)
    for _ in range(3):
        used.step(plan_of(used))
        fresh.step(plan_of(fresh))
    np.testing.assert_array_equal(used.parameters(), fresh.parameters())


def test_error_feedback_is_forgotten_with_the_session():
    world = world_of(compression={**TOP, "error_feedback": True})
    world.step(plan_of(world))
    unsent = world._core.compression.memory["unsent"]
    kept = unsent.any(axis=2)
    gone = kept & (np.cumsum(kept, axis=1) % 2 == 1)
    assert gone.any() and (kept & ~gone).any()
    before = unsent.copy()
    world._core.end_sessions(gone)
    assert not unsent[gone].any()
    np.testing.assert_array_equal(unsent[~gone], before[~gone])


def test_control_variates_travel_both_ways():
    world, before = world_of(aggregator="scaffold"), world_of().situation()
    outcome = world.step(plan_of(world)).outcome
    done, nominal = outcome.completed, world.source.model_bytes
    np.testing.assert_allclose(outcome.up_bytes[done], 2 * nominal)
    np.testing.assert_allclose(outcome.down_bytes[done], 2 * nominal)
    assert (world.situation().round_bytes() == 2 * before.round_bytes()).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compression": "topk"}, "compression: 'topk' is unknown; did you mean 'top-k'"),
        ({"compression": {"kind": "top-k", "share": 0.0}}, "share: 0.0"),
        ({"compression": TOP, "aggregator": "scaffold"}, "scaffold.*needs exact updates"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        world_of(**changes)
