"""Worlds in which the bits of updates are a decision: what is charged, rounded, offered and refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.agent_view import ActionCodec, make_action_mode
from frugalfl.envs.agent_view.view import layout_of
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

BITS = {
    "clients": 6,
    "zones": 2,
    "carbon": ["GB", "BR-CS"],
    "availability": {"kind": "gilbert-elliott", "pi": 1.0},
    "compression": {"kind": "rounded", "bits": 16, "error_feedback": True},
    "levels": {"upload_bits": [4, 8, 16]},
}


def world_of(num_envs=2, **changes):
    world = FederatedWorld(load_scenario("volunteers", **{**BITS, **changes}), num_envs)
    world.reset(np.ones(num_envs, bool), np.arange(num_envs))
    return world


def everybody(world, bits=None, steps=2):
    available = world.situation().clients.available
    envs, n = available.shape
    orders = np.where(available, steps, 0).astype(np.int32)
    nothing = np.zeros((envs, n), np.int32)
    bits = None if bits is None else np.array(bits)
    return RoundPlan(orders, nothing, np.ones(envs), np.zeros(envs), upload_bits=bits)


def test_bytes_and_time_of_uploads_follow_the_bits():
    world = world_of()
    situation = world.situation()
    assert situation.terms.upload_bits.tolist() == [16, 16]
    fewer = situation.at_bits(4)
    assert np.allclose(fewer.terms.upload_bytes * 4, situation.terms.upload_bytes)
    assert fewer.terms.upload_bits.tolist() == [4, 4]
    assert (fewer.round_s(2) < situation.round_s(2)).all()
    assert situation.at_bits(0) is situation
    outcome = world.step(everybody(world, [4, 16])).outcome
    for env, bits in enumerate((4, 16)):
        share = world._core.upload_share_at(bits)
        done = outcome.completed[env]
        assert done.any()
        sent = outcome.up_bytes[env, done]
        assert np.allclose(sent, world.scenario.workload.model_bytes * share)
    shares = [world._core.upload_share_at(bits) for bits in (4, 8, 16)]
    assert shares[0] < shares[1] < shares[2] == world._core.upload_share


def test_few_bits_round_the_model_and_the_rest_is_remembered():
    models = []
    for bits in ([4, 4], [8, 8], None, [0, 16]):
        world = world_of()
        world.step(everybody(world, bits))
        models.append(world.parameters())
        assert world._core.compression.memory["unsent"].any()
    assert not np.array_equal(models[0], models[1])
    assert np.array_equal(models[2], models[3])


def test_late_updates_keep_the_bits_of_their_invitation():
    late = {"late": {"kind": "keep", "max_rounds": 3}, "aggregator": "stale", "budgets": {"hours": 48}}
    seen = []
    world = world_of(1, **late)
    run = world._core.run_round

    def noted(orders):
        bits = np.zeros((1, 6), int) if orders.upload_bits is None else np.asarray(orders.upload_bits)
        seen.append((np.asarray(orders.local_steps).copy(), bits.copy()))
        return run(orders)

    world._core.run_round = noted
    invited = {}
    for bits in (4, 8, 16, 4, 8, 16):
        plan = replace(everybody(world, [bits], steps=40), quorum=np.array([0.2]))
        for client in np.flatnonzero(plan.local_steps[0]):
            invited[int(client)] = bits
        before = dict(invited)
        world.step(plan)
        steps, at = seen[-1]
        for client in np.flatnonzero(steps[0]):
            assert at[0, client] == before[int(client)]
        if not world.running.any():
            break
    assert sum(steps.any() for steps, _ in seen) > 1


def test_a_scheduler_says_the_bits_where_they_are_a_decision():
    situation = world_of().situation()
    told = {bits: make_scheduler("random-m", participants=2, upload_bits=bits) for bits in (0, 4)}
    for bits, scheduler in told.items():
        scheduler.reset(np.ones(2, bool), np.arange(2), 6)
        assert scheduler.plan(situation).upload_bits.tolist() == [bits or 16] * 2
    plain = FederatedWorld(load_scenario("volunteers"))
    plain.reset(np.ones(1, bool), np.arange(1))
    told[4].reset(np.ones(1, bool), np.arange(1), 24)
    assert told[4].plan(plain.situation()).upload_bits is None
    with pytest.raises(ValueError, match=r"RoundPlan.upload_bits: \[4\], expected none"):
        plain.step(everybody(plain, [4]))


def test_plans_outside_the_levels_are_refused():
    world = world_of()
    for bits in ([2, 4], [4, 17], [4.0, 4.0]):
        with pytest.raises(ValueError, match=r"RoundPlan.upload_bits: .*from 4 to 16"):
            world.step(everybody(world, bits))


def test_the_action_has_a_part_for_bits():
    scenario = load_scenario("volunteers", **BITS)
    layout = layout_of(scenario)
    assert layout.nvec.tolist()[:3] == [4, 3, 3]
    codec = ActionCodec(layout)
    rng = np.random.default_rng(0)
    actions = np.stack([rng.integers(0, layout.nvec) for _ in range(20)])
    plan = codec.decode(actions)
    assert set(plan.upload_bits.tolist()) == {4, 8, 16}
    assert np.array_equal(codec.encode(plan)[:, :9], actions[:, :9])
    assert np.array_equal(codec.encode(replace(plan, upload_bits=None))[:, 2], np.full(20, 2))
    both = layout_of(
        load_scenario("volunteers", **BITS | {"levels": {"upload_bits": [4, 16], "server_step": [0.5, 1]}})
    )
    assert both.nvec.tolist()[:4] == [4, 3, 2, 2]
    world = world_of(1)
    situation = world.situation()
    assert codec.masks(situation).shape == (1, layout.nvec.sum())
    scores = make_action_mode("scores", layout)
    assert scores.space.shape == (5 + 6,)
    action = np.zeros((1, 11))
    action[0, 4] = -1
    assert scores.plan(action, situation).upload_bits.tolist() == [4]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"compression": "8-bit"},
            r"levels: upload_bits: \(4, 8, 16\), expected compression: {kind: rounded",
        ),
        ({"compression": {"kind": "rounded", "bits": 6}}, "levels: upload_bits"),
        ({"levels": {"upload_bits": [4]}}, r"upload_bits: \(4,\), expected none, or two or more"),
        ({"levels": {"upload_bits": [8, 4]}}, "upload_bits"),
        ({"levels": {"upload_bits": [4, 32]}}, "upload_bits"),
        ({"topology": "ring"}, "expected none with topology: ring"),
        ({"clients": 1, "zones": 1, "carbon": ["GB"]}, "upload_bits: several levels"),
    ],
)
def test_scenarios_that_make_no_sense_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_scenario("volunteers", **{**BITS, **changes})
