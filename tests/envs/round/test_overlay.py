"""Rounds whose participants exchange models with each other: time, bytes and energy of the overlay."""

from __future__ import annotations

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.round import BUILDERS, Network
from frugalfl.envs.scenario import load_scenario

SEEDS = np.array([3, 4, 5])


def world_of(topology, seeds=SEEDS, name="volunteers", **changes):
    changes = {"workload": {"deadline_s": 30_000}} | changes
    return begun(plain(name, topology=topology, **changes), seeds)


def plan_of(world, steps=5, most=6, transfer=0, quorum=1.0):
    available, ones = world.situation().clients.available, np.ones(world.num_envs)
    chosen = available & (np.cumsum(available, axis=1) <= most)
    orders, sent = (np.where(chosen, value, 0).astype(np.int32) for value in (steps, transfer))
    return RoundPlan(orders, sent, quorum * ones, 0 * ones)


def overlay_of(world, plan, env, fetch, kind):
    """The overlay and its cycle time from the situation alone."""
    s = world.situation()
    who = np.flatnonzero(plan.invited[env])
    prepare_s = np.where(fetch[who], s.terms.model_bytes[0], 0.0) / s.clients.down_bytes_per_s[env, who]
    work_s = prepare_s + plan.local_steps[env, who] * s.clients.step_s[env, who]
    rates = s.clients.up_bytes_per_s[env, who], s.clients.down_bytes_per_s[env, who]
    network = Network(work_s, *rates, float(s.terms.upload_bytes[env]))
    arcs = BUILDERS[kind](network)
    return who, arcs, network.cycle_time_s(arcs)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_a_round_lasts_the_cycle_time_and_moves_a_model_per_neighbour(kind):
    world = world_of(kind)
    everyone = np.ones(world.scenario.clients, dtype=bool)
    s, plan = world.situation(), plan_of(world)
    expected = [overlay_of(world, plan, env, everyone, kind) for env in range(3)]
    outcome = world.step(plan).outcome
    checked = 0
    for env, (who, arcs, cycle_s) in enumerate(expected):
        done = outcome.completed[env, who]
        checked += done.sum()
        np.testing.assert_allclose(outcome.stop_s[env, who[done]], cycle_s)
        if done.any():
            assert outcome.duration_s[env] == pytest.approx(cycle_s + s.terms.overhead_s)
        into, out = arcs.sum(axis=0)[done], arcs.sum(axis=1)[done]
        np.testing.assert_allclose(outcome.down_bytes[env, who[done]], (1 + into) * s.terms.model_bytes[0])
        np.testing.assert_allclose(outcome.up_bytes[env, who[done]], out * s.terms.model_bytes[0])
        np.testing.assert_allclose(outcome.compute_s[env, who[done]], 5 * s.clients.step_s[env, who[done]])
    assert checked > 5


def test_those_who_have_the_model_need_not_fetch_it():
    world = world_of("ring")
    first = world.step(plan_of(world)).outcome
    s, plan = world.situation(), plan_of(world)
    second = world.step(plan).outcome
    again = first.completed & second.completed
    fresh = ~first.completed & second.completed
    assert again.any()
    np.testing.assert_allclose(second.down_bytes[again], s.terms.model_bytes[0])
    np.testing.assert_allclose(second.down_bytes[fresh], 2 * s.terms.model_bytes[0])
    for env in range(3):
        who, _, cycle_s = overlay_of_second(s, plan, env, ~first.completed[env])
        done = second.completed[env, who]
        np.testing.assert_allclose(second.stop_s[env, who[done]], cycle_s)


def overlay_of_second(situation, plan, env, fetch):
    class Frozen:
        def situation(self):
            return situation

    return overlay_of(Frozen(), plan, env, fetch, "ring")


@pytest.mark.parametrize("topology", ["server", "ring"])
def test_energy_and_emissions_are_those_of_the_bytes_and_the_work(topology):
    world = world_of(topology)
    for _ in range(3):
        s, t = world.situation(), world.time_s
        outcome = world.step(plan_of(world)).outcome
        moved = outcome.down_bytes + outcome.up_bytes
        energy_j = moved * s.clients.network_j_per_byte + outcome.compute_s * s.clients.compute_watts
        np.testing.assert_allclose(outcome.energy_j, energy_j)
        np.testing.assert_array_equal(outcome.wasted_j, np.where(outcome.completed, 0, outcome.energy_j))
        moments = [world.carbon.now(t + share * outcome.duration_s) for share in np.linspace(0, 1, 50)]
        low, high = np.min(moments, axis=0), np.max(moments, axis=0)
        low, high = (np.take_along_axis(x, s.clients.zone, axis=1) for x in (low, high))
        assert (outcome.emissions_g >= energy_j / 3.6e6 * low * 0.99 - 1e-12).all()
        assert (outcome.emissions_g <= energy_j / 3.6e6 * high * 1.01 + 1e-12).all()
    totals = world.totals()
    assert (totals["gigabytes"] > 0).all()


def test_who_leaves_in_mid_cycle_is_lost_and_pays_its_share():
    world = world_of("ring", range(10))
    s = world.situation(clairvoyant=True)
    plan = plan_of(world, 400, 8)
    outcome = world.step(plan).outcome
    assert outcome.lost.any()
    np.testing.assert_allclose(outcome.stop_s[outcome.lost], s.future.session_left_s[outcome.lost])
    ordered_s = plan.local_steps * s.clients.step_s
    assert (outcome.compute_s[outcome.lost] < ordered_s[outcome.lost]).all()
    groups = outcome.completed.astype(int) + outcome.lost + outcome.cancelled
    np.testing.assert_array_equal(groups, outcome.invited)


def test_nobody_can_go_on_without_the_others():
    full, half = world_of("mst"), world_of("mst")
    one, other = full.step(plan_of(full, quorum=1.0)).outcome, half.step(plan_of(half, quorum=0.2)).outcome
    np.testing.assert_array_equal(one.completed, other.completed)


def test_one_participant_alone_talks_to_the_coordinator():
    alone, server = world_of("ring"), world_of("server")
    a, b = (world.step(plan_of(world, most=1)).outcome for world in (alone, server))
    for name, values in vars(a).items():
        np.testing.assert_array_equal(values, getattr(b, name), err_msg=name)


@pytest.mark.parametrize("name", ["volunteers", "spotmarket", "quadratic"])
def test_every_environment_of_a_batch_is_the_single_one(name):
    batch, singles = world_of("mbst", name=name), [world_of("mbst", [seed], name) for seed in SEEDS]
    for turn in range(5):
        together = batch.step(plan_of(batch, 5 + turn, 5, 20))
        for env, world in enumerate(singles):
            alone = world.step(plan_of(world, 5 + turn, 5, 20))
            for key, values in vars(together.outcome).items():
                if values is None:  # nothing is served here
                    continue
                np.testing.assert_array_equal(values[env], getattr(alone.outcome, key)[0], err_msg=key)
            np.testing.assert_array_equal(batch.parameters()[env], world.parameters()[0])


def test_what_is_learned_is_what_a_server_would_have_learned():
    ring, server = world_of("ring"), world_of("server")
    a, b = ring.step(plan_of(ring)).outcome, server.step(plan_of(server)).outcome
    same = (a.completed == b.completed).all(axis=1)
    assert same.any()
    np.testing.assert_array_equal(ring.parameters()[same], server.parameters()[same])


def test_neighbours_exchange_compressed_models():
    world = world_of("ring", compression="8-bit")
    s, outcome = world.situation(), world.step(plan_of(world)).outcome
    done = outcome.completed
    assert s.terms.upload_bytes[0] < 0.3 * s.terms.model_bytes[0]
    np.testing.assert_allclose(outcome.up_bytes[done], s.terms.upload_bytes[0])
    np.testing.assert_allclose(outcome.down_bytes[done], s.terms.model_bytes[0] + s.terms.upload_bytes[0])


def test_samples_come_from_the_hub():
    world = world_of("mst", name="spotmarket")
    outcome = world.step(plan_of(world, transfer=20)).outcome
    done = outcome.completed
    assert done.any()
    np.testing.assert_allclose(outcome.sample_bytes[done], 20 * world.situation().terms.sample_bytes[0])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="topology: 'rings'"):
        load_scenario("volunteers", topology="rings")
    with pytest.raises(ValueError, match="expected server where late is keep"):
        load_scenario("volunteers", topology="ring", late={"kind": "keep"})
