"""Probes: clients are asked for their loss at the present model, and everything about it is paid for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_worlds import begun, plain

from frugalfl.envs.contract import STOP_S, RoundPlan, choose_plans
from frugalfl.envs.round import PROBE_ANSWER_BYTES

SEEDS = np.array([3, 4, 5])


def world_of(name="volunteers", seeds=SEEDS, **changes):
    return begun(plain(name, **changes), seeds)


def train(world, steps=5):
    chosen = world.situation().clients.available
    nothing, ones = np.zeros(chosen.shape, dtype=np.int32), np.ones(world.num_envs)
    return RoundPlan(np.where(chosen, steps, 0).astype(np.int32), nothing, ones, 0 * ones)


def probe(world, samples=32, asked=None, quorum=1.0):
    shape = world.situation().clients.available.shape
    asked = np.ones(shape, dtype=bool) if asked is None else asked
    nothing, ones = np.zeros(shape, dtype=np.int32), np.ones(world.num_envs)
    wanted = np.where(asked, samples, 0).astype(np.int32)
    return RoundPlan(nothing, nothing.copy(), quorum * ones, 0 * ones, probe_samples=wanted)


def test_the_answer_is_the_loss_of_the_present_model_on_all_held_samples():
    world = world_of()
    world.step(train(world))
    before = world.situation()
    outcome = world.step(probe(world, 100_000)).outcome
    after = world.situation()
    assert outcome.answered.any() and not (outcome.answered & ~before.clients.available).any()
    expected = world._core.client_losses(outcome.answered)
    np.testing.assert_array_equal(after.clients.probed_loss, expected)
    np.testing.assert_array_equal(np.isfinite(after.clients.probed_loss), outcome.answered)


def test_a_probe_is_no_round():
    world = world_of()
    world.step(train(world))
    before, model = world.situation(), world.parameters()
    result = world.step(probe(world))
    after = world.situation()
    np.testing.assert_array_equal(world.parameters(), model)
    for name in ("round_index", "rounds_left", "invitations", "completions", "sightings", "last_loss",
                 "accuracy", "loss", "recent_gain", "rounds_since", "samples_held"):  # fmt: skip
        np.testing.assert_array_equal(after.flat()[name], before.flat()[name], err_msg=name)
    assert not result.outcome.invited.any() and not result.outcome.completed.any()
    assert (result.terms[:, 0] == 0).all() and (result.terms[:, 1:] < 0).all()


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(1, 400), quorum=st.sampled_from([0.3, 0.7, 1.0]), seed=st.integers(0, 50))
def test_time_bytes_and_energy_of_a_probe(samples, quorum, seed):
    world = world_of(seeds=[seed])
    s = world.situation(clairvoyant=True)
    outcome = world.step(probe(world, samples, quorum=quorum)).outcome
    batches = np.ceil(np.minimum(samples, s.clients.samples_held) / world.source.training.batch_size)
    down_s, up_s = (
        s.terms.model_bytes[0] / s.clients.down_bytes_per_s,
        PROBE_ANSWER_BYTES / s.clients.up_bytes_per_s,
    )
    needed_s = down_s + batches * s.clients.step_s / 3 + up_s
    done = outcome.answered
    np.testing.assert_array_equal(outcome.probed, s.clients.available)
    np.testing.assert_allclose(outcome.stop_s[done], needed_s[done])
    np.testing.assert_allclose(outcome.down_bytes[done], s.terms.model_bytes[0])
    np.testing.assert_allclose(outcome.up_bytes[done], PROBE_ANSWER_BYTES, rtol=1e-6)
    network_j = (outcome.down_bytes + outcome.up_bytes) * s.clients.network_j_per_byte
    np.testing.assert_allclose(outcome.energy_j, outcome.compute_s * s.clients.compute_watts + network_j)
    assert not outcome.energy_j[~s.clients.available].any()
    np.testing.assert_array_equal(outcome.wasted_j, np.where(done, 0.0, outcome.energy_j))
    lost = s.clients.available & (s.future.session_left_s < np.minimum(needed_s, outcome.duration_s[0]))
    assert not (done & lost).any()
    totals = world.totals()
    np.testing.assert_allclose(totals["gigabytes"], (outcome.down_bytes + outcome.up_bytes).sum() / 1e9)
    np.testing.assert_allclose(totals["kilograms"], outcome.emissions_g.sum() / 1e3)
    np.testing.assert_allclose(totals["hours"], outcome.duration_s / 3600)
    assert totals["probes"] == s.clients.available.sum()


def test_a_session_that_ends_meanwhile_loses_the_answer():
    world = world_of(seeds=range(20), workload={"step_s": 4000, "deadline_s": 50_000})
    left_s = world.situation(clairvoyant=True).future.session_left_s
    outcome = world.step(probe(world, 100_000)).outcome
    lost = outcome.probed & ~outcome.answered
    assert lost.any() and outcome.answered.any()
    np.testing.assert_allclose(outcome.stop_s[lost], left_s[lost])
    assert (outcome.energy_j[lost] > 0).all() and not outcome.lost.any()
    assert np.isnan(world.situation().clients.probed_loss[lost]).all()


def test_answers_stay_until_the_model_changes_and_add_up():
    world = world_of()
    s = world.situation()
    first = s.clients.available & (np.cumsum(s.clients.available, axis=1) <= 2)
    world.step(probe(world, 32, first))
    one = world.situation().clients.probed_loss
    world.step(probe(world, 32, world.situation().clients.available & ~first))
    two = world.situation().clients.probed_loss
    known = np.isfinite(one)
    np.testing.assert_array_equal(two[known], one[known])
    assert np.isfinite(two).sum() > known.sum()
    outcome = world.step(train(world)).outcome
    trained = outcome.completed.any(axis=1)
    assert trained.any() and np.isnan(world.situation().clients.probed_loss[trained]).all()


def test_asking_who_is_away_or_has_no_samples_is_a_repair_and_overhead_passes():
    world = world_of()
    away = ~world.situation().clients.available
    outcome = world.step(probe(world, 32, away)).outcome
    np.testing.assert_array_equal(outcome.repairs, away.sum(axis=1))
    np.testing.assert_array_equal(outcome.duration_s, world.situation().terms.overhead_s)
    world = world_of("spotmarket")
    assert (world.situation().clients.samples_held == 0).all()
    outcome = world.step(probe(world, 32)).outcome
    assert not outcome.probed.any() and (outcome.repairs == world.scenario.clients).all()


def test_every_environment_of_a_batch_is_the_single_one():
    """Rows that probe, train and wait side by side are what each is alone."""
    batch, singles = world_of(), [world_of(seeds=[seed]) for seed in SEEDS]
    for turn in range(9):
        kinds = np.array([(turn + e) % 3 for e in range(3)])
        plans = []
        for world in (batch, *singles):
            asked, wait = probe(world, [[20 + turn]]), train(world)
            plans.append([asked, train(world), RoundPlan(wait.local_steps, wait.transfer_samples,
                                                         wait.quorum, wait.wait_s + 900.0)])  # fmt: skip
        together = batch.step(choose_plans(plans[0], kinds))
        for e, world in enumerate(singles):
            alone = world.step(choose_plans(plans[1 + e], kinds[e : e + 1]))
            for name, value in vars(together.outcome).items():
                if value is None:  # nothing is served here
                    continue
                np.testing.assert_array_equal(value[e], getattr(alone.outcome, name)[0], err_msg=name)
            np.testing.assert_array_equal(together.reward[e], alone.reward[0])
            for name, value in batch.situation().flat().items():
                if isinstance(value, np.ndarray) and value.shape[:1] == (3,) and "leads" not in name:
                    mine = world.situation().flat()[name][0]
                    np.testing.assert_array_equal(value[e], mine, err_msg=name)


def test_few_samples_are_a_subset_drawn_without_replacement():
    world = world_of()
    world.step(train(world, 20))
    core = world._core
    asked = np.ones((3, core.num_clients), dtype=bool)
    zeros = np.zeros(3, dtype=np.int64)
    few = core.client_losses(asked, np.full(asked.shape, 8), zeros)
    again = core.client_losses(asked, np.full(asked.shape, 8), zeros)
    other = core.client_losses(asked, np.full(asked.shape, 8), zeros + 1)
    np.testing.assert_array_equal(few, again)
    assert (few != other).any() and (few != core.client_losses(asked)).any()
    # Means over single rows average out to the mean over all: each row is drawn as often as any other.
    draws = np.stack([core.client_losses(asked, np.full(asked.shape, 4), zeros + t) for t in range(300)])
    np.testing.assert_allclose(draws.mean(axis=0), core.client_losses(asked), rtol=0.15)


def test_quadratic_clients_answer_exactly():
    world = world_of("quadratic", seeds=[3])
    world.step(train(world))
    problem = world.source.draw(3).task
    outcome = world.step(probe(world, 1)).outcome
    exact = problem.client_losses(world.parameters()[0])
    answered = outcome.answered[0]
    assert answered.any()
    np.testing.assert_allclose(world.situation().clients.probed_loss[0, answered], exact[answered], rtol=1e-6)


def test_waiting_stopping_and_training_come_before_probing():
    world = world_of()
    asked, plan = probe(world), train(world)
    both = RoundPlan(plan.local_steps, plan.transfer_samples, plan.quorum, plan.wait_s,
                     probe_samples=asked.probe_samples)  # fmt: skip
    assert not both.probed.any() and both.invited.any()
    outcome = world.step(both).outcome
    assert not outcome.probed.any() and outcome.invited.any()
    waits = RoundPlan(asked.local_steps, asked.transfer_samples, asked.quorum, np.array([0.0, 60.0, STOP_S]),
                      probe_samples=asked.probe_samples)  # fmt: skip
    assert waits.probed.any(axis=1).tolist() == [True, False, False]


def test_a_scheduler_that_only_probes_ends_with_the_episode():
    world = world_of("volunteers", max_rounds=2, workload={"overhead_s": 0.0})
    nobody = np.ones((3, world.scenario.clients), dtype=bool)
    for _ in range(20):
        assert world.running.all()
        result = world.step(probe(world, 1, nobody & ~world.situation().clients.available))
    assert result.truncated.all() and (world.totals()["rounds"] == 0).all()


def test_bad_probes_are_refused():
    world = world_of()
    plan = probe(world)
    for bad, message in (
        (plan.probe_samples[:, :-1], "probe_samples: shape"),
        (plan.probe_samples - 40, "probe_samples: -8"),
    ):
        with pytest.raises(ValueError, match=message):
            world.step(
                RoundPlan(
                    plan.local_steps, plan.transfer_samples, plan.quorum, plan.wait_s, probe_samples=bad
                )
            )


def test_plans_are_chosen_row_by_row_with_their_probes():
    world = world_of()
    mixed = choose_plans([train(world), probe(world, 7)], np.array([0, 1, 0]))
    assert mixed.probed.any(axis=1).tolist() == [False, True, False]
    assert mixed.probe_samples[1].max() == 7
    assert choose_plans([train(world)], np.zeros(3, dtype=np.int64)).probe_samples is None
