"""Set-up bytes: what a client fetches once per session before it can train, and who has to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.agents.deploy.federation.deployable import charge_actual
from frugalfl.agents.schedulers.parts import fork
from frugalfl.envs.contract import RoundPlan, choose_plans
from frugalfl.envs.scenario import load_scenario

SEEDS = np.array([3, 4, 5])
SETUP = 4e8


def world_of(name="volunteers", seeds=SEEDS, setup=SETUP, workload=(), **changes):
    work = {"setup_bytes": setup, **dict(workload)}
    return begun(plain(name, workload=work, **changes), seeds)


def train(world, steps=3, invited=None, transfer=0, quorum=1.0):
    chosen = world.situation().clients.available if invited is None else invited
    order = np.where(chosen, steps, 0).astype(np.int32)
    sent = np.where(chosen, transfer, 0).astype(np.int32)
    return RoundPlan(order, sent, np.full(world.num_envs, quorum), np.zeros(world.num_envs))


def wait(world, wait_s):
    return replace(train(world), wait_s=np.full(world.num_envs, float(wait_s)))


def probe(world, samples=8):
    plan = train(world, steps=0)
    return replace(plan, probe_samples=np.full(plan.local_steps.shape, samples, dtype=np.int32))


def setup_of(world):
    return world.situation().clients.setup_bytes


def test_nothing_is_set_up_by_default():
    world = world_of(setup=0.0)
    for _ in range(3):
        assert not setup_of(world).any()
        world.step(train(world))


def test_the_first_invitation_pays_and_the_second_does_not():
    world = world_of()
    assert (setup_of(world) == SETUP).all()
    before = world.situation()
    first = world.step(train(world)).outcome
    done = first.completed & (setup_of(world) == 0)
    assert done.any()
    model_bytes = before.terms.model_bytes[0]
    np.testing.assert_allclose(first.down_bytes[done], SETUP + model_bytes, rtol=1e-12)
    again = done & world.situation().clients.available
    second = world.step(train(world, invited=again)).outcome
    assert second.completed.any()
    np.testing.assert_allclose(second.down_bytes[second.completed], model_bytes, rtol=1e-12)


@pytest.mark.parametrize("name", ["volunteers", "spotmarket"])
def test_cost_is_the_hand_computation_and_what_the_situation_said(name):
    world = world_of(name)
    transfer = 20 if name == "spotmarket" else 0
    s, p = world.situation(), world._population
    began_s = world.time_s[:, None]
    plan = train(world, 3, transfer=transfer)
    outcome, done = (lambda o: (o, o.completed))(world.step(plan).outcome)
    assert done.any()
    sent_bytes = plan.transfer_samples * s.terms.sample_bytes[:, None]
    down_bytes = SETUP + s.terms.model_bytes[0] + sent_bytes
    up_bytes = s.terms.upload_bytes[:, None]
    down_s, compute_s = down_bytes / s.clients.down_bytes_per_s, 3 * s.clients.step_s
    up_s = up_bytes / s.clients.up_bytes_per_s
    joules = (down_bytes + up_bytes) * s.clients.network_j_per_byte + compute_s * s.clients.compute_watts
    phases = [(began_s, down_s, p.down_watts), (began_s + down_s, compute_s, p.compute_watts),
              (began_s + down_s + compute_s, up_s, p.up_watts)]  # fmt: skip
    grams = sum(
        watts * world.carbon.integral(p.zone, start_s + 0 * length_s, start_s + length_s) / 3.6e6
        for start_s, length_s, watts in phases
    )
    steps, samples = plan.local_steps, plan.transfer_samples
    for found, expected, said in (
        (outcome.stop_s, down_s + compute_s + up_s, s.round_s(steps, samples)),
        (outcome.down_bytes, down_bytes, s.round_bytes(samples) - up_bytes),
        (outcome.energy_j, joules, s.round_j(steps, samples)),
        (outcome.emissions_g, grams, None),
    ):
        np.testing.assert_allclose(found[done], np.broadcast_to(expected, done.shape)[done], rtol=1e-11)
        if said is not None:
            np.testing.assert_allclose(said[done], found[done], rtol=1e-11)
    np.testing.assert_allclose(outcome.sample_bytes[done], sent_bytes[done], atol=1e-4)
    by_price = s.terms.price_per_gb[:, None] * (SETUP / 1e9)
    warm_points = s.warm.round_points(steps, samples)
    assert (s.round_points(steps, samples) >= warm_points + by_price * (1 - 1e-9)).all()
    assert not s.warm.clients.setup_bytes.any()


@pytest.mark.parametrize("late", ["drop", "keep"])
def test_who_is_warm_follows_from_downloads_and_sessions(late):
    """An oracle in plain words: warm is who completed a download in the session that still runs."""
    world = world_of(late={"kind": late}, workload={"deadline_s": 900.0}, max_rounds=100)
    rng = np.random.default_rng(0)
    shape = setup_of(world).shape
    warm, fetched, needed = (np.zeros(shape, dtype=kind) for kind in (bool, float, float))
    cooled = 0
    for _ in range(25):
        s = world.situation(clairvoyant=True)
        np.testing.assert_array_equal(s.clients.setup_bytes, np.where(warm, 0.0, SETUP))
        here, left_s = world.available, world.sessions.session_end_s - world.time_s[:, None]
        if rng.random() < 0.4:
            plan = wait(world, rng.choice([1800.0, 6 * 3600.0]))
        else:
            plan = train(world, 3, invited=s.clients.available & (rng.random(shape) < 0.5))
        outcome = world.step(plan).outcome
        needed = np.where(outcome.invited, s.clients.setup_bytes + s.terms.model_bytes[0], needed)
        fetched = np.where(outcome.invited, 0.0, fetched) + outcome.down_bytes
        got_it = (outcome.down_bytes > 0) & (fetched >= needed * (1 - 1e-12))
        stays = here & (left_s > outcome.duration_s[:, None])
        cooled += (warm & ~stays).sum()
        frozen = ~world.running[:, None] & (outcome.duration_s == 0)[:, None]
        warm = np.where(frozen, warm, (warm | got_it) & stays)
    assert warm.any() and cooled > 5


def test_a_session_that_ended_and_began_again_during_one_wait_is_cold():
    world = world_of(seeds=np.arange(12))
    world.step(train(world))
    warm = setup_of(world) == 0
    assert warm.any()
    wait_s = 8 * 3600.0
    world.step(wait(world, wait_s))
    s = world.situation()
    stayed = s.clients.available & (s.clients.session_age_s >= wait_s)
    new = warm & s.clients.available & ~stayed
    assert new.any() and (warm & stayed).any()
    np.testing.assert_array_equal(s.clients.setup_bytes == 0, warm & stayed)


def test_a_doomed_or_cancelled_download_is_paid_for_and_leaves_the_client_cold():
    world = world_of(setup=1e15)
    s = world.situation()
    outcome = world.step(train(world, transfer=5)).outcome
    assert not outcome.completed.any() and (outcome.lost | outcome.cancelled).any()
    np.testing.assert_allclose(outcome.down_bytes, outcome.stop_s * s.clients.down_bytes_per_s)
    assert (outcome.down_bytes[outcome.invited] > 0).all()
    np.testing.assert_allclose(outcome.energy_j, outcome.down_bytes * s.clients.network_j_per_byte)
    np.testing.assert_array_equal(outcome.wasted_j, outcome.energy_j)
    assert not outcome.sample_bytes.any() and not outcome.up_bytes.any()
    assert (setup_of(world) == 1e15).all()
    assert (world.situation().clients.samples_sent == 0).all()


def test_a_quorum_cancels_downloads_that_stay_cold():
    world = world_of()
    outcome = world.step(train(world, steps=1, quorum=0.2)).outcome
    partial = outcome.cancelled & (outcome.down_bytes < SETUP)
    assert partial.any() and (setup_of(world)[partial] == SETUP).all()


def test_a_late_client_that_finishes_its_download_is_warm():
    setup = 4e9
    world = world_of(setup=setup, late={"kind": "keep"}, workload={"deadline_s": 20.0})
    before = world.situation(clairvoyant=True)
    long = before.future.session_left_s > 1.5 * before.round_s(40)
    moved = np.zeros(long.shape)
    outcome = world.step(train(world, 40, invited=long & before.clients.available)).outcome
    moved += outcome.down_bytes
    asked = outcome.invited & world.situation().clients.busy
    cold = asked & (setup_of(world) == setup)
    assert cold.any(), "every download was over within the first round; the test needs a larger one"
    seen_warm = np.zeros_like(cold)
    for _ in range(40):
        moved += world.step(wait(world, 60.0)).outcome.down_bytes
        s = world.situation()
        seen_warm |= cold & s.clients.busy & (s.clients.setup_bytes == 0)
        whole = moved >= (setup + s.terms.model_bytes[0]) * (1 - 1e-12)
        np.testing.assert_array_equal((s.clients.setup_bytes == 0)[cold], whole[cold])
    assert seen_warm.any()
    np.testing.assert_allclose(moved[seen_warm], setup + before.terms.model_bytes[0], rtol=1e-9)


def test_a_probe_needs_the_set_up_too():
    world = world_of()
    s = world.situation()
    first = world.step(probe(world)).outcome
    done = first.answered & (setup_of(world) == 0)
    assert done.any()
    np.testing.assert_allclose(first.down_bytes[done], SETUP + s.terms.model_bytes[0], rtol=1e-12)
    second = world.step(probe(world)).outcome
    both = done & second.answered
    np.testing.assert_allclose(second.down_bytes[both], s.terms.model_bytes[0], rtol=1e-12)
    trained = world.step(train(world, invited=both & world.situation().clients.available)).outcome
    assert trained.completed.any()
    np.testing.assert_allclose(trained.down_bytes[trained.completed], s.terms.model_bytes[0], rtol=1e-12)


@pytest.mark.parametrize("late", ["drop", "keep"])
def test_every_environment_of_a_batch_is_the_single_one(late):
    options = {"late": {"kind": late}, "workload": {"deadline_s": 600.0}}
    batch, singles = world_of(**options), [world_of(seeds=[seed], **options) for seed in SEEDS]
    for turn in range(8):
        kinds = np.array([(turn + e) % 3 for e in range(3)])
        plans = [[probe(world), train(world), wait(world, 7200.0)] for world in (batch, *singles)]
        together = batch.step(choose_plans(plans[0], kinds))
        for e, world in enumerate(singles):
            alone = world.step(choose_plans(plans[1 + e], kinds[e : e + 1]))
            for name, value in vars(together.outcome).items():
                if value is None:  # nothing is served here
                    continue
                np.testing.assert_array_equal(value[e], getattr(alone.outcome, name)[0], err_msg=name)
            np.testing.assert_array_equal(setup_of(batch)[e], setup_of(world)[0])


def test_a_new_episode_is_cold_and_the_other_rows_stay_warm():
    world = world_of()
    world.step(train(world))
    before = setup_of(world)
    assert (before == 0).any(axis=1).all()
    world.reset(np.array([False, True, False]), SEEDS)
    assert (setup_of(world)[1] == SETUP).all()
    np.testing.assert_array_equal(setup_of(world)[[0, 2]], before[[0, 2]])


def test_a_fork_goes_on_by_itself():
    world = world_of()
    world.step(train(world))
    before, ahead = setup_of(world), fork(world)
    np.testing.assert_array_equal(setup_of(ahead), before)
    plan = wait(world, 12 * 3600.0)
    ahead.step(plan)
    assert (setup_of(ahead) != before).any()
    np.testing.assert_array_equal(setup_of(world), before)
    world.step(plan)
    np.testing.assert_array_equal(setup_of(world), setup_of(ahead))


def test_neighbours_in_an_overlay_fetch_it_once_per_session_too():
    world = world_of(topology="ring")
    first = world.step(train(world)).outcome
    done = first.completed & (setup_of(world) == 0)
    assert done.sum() >= 2
    model_bytes = world.source.model_bytes
    # From the coordinator the set-up and the model, and one more model from a neighbour.
    np.testing.assert_allclose(first.down_bytes[done], SETUP + 2 * model_bytes, rtol=1e-9)
    second = world.step(train(world, invited=done & world.situation().clients.available)).outcome
    assert second.completed.any()
    assert (second.down_bytes[second.completed] <= 2.0 * model_bytes * (1 + 1e-9)).all()


def test_bad_sizes_are_refused_and_real_nodes_bring_their_own():
    for bad in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="setup_bytes"):
            load_scenario("volunteers", workload={"setup_bytes": bad})
    scenario = charge_actual(load_scenario("volunteers", workload={"setup_bytes": SETUP}))
    assert scenario.workload.setup_bytes == 0
