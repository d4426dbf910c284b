"""Malicious clients in a world: drawn per episode, known to evaluators, and nothing else is changed."""

from __future__ import annotations

from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.agents.deploy.federation.deployable import check_deployable
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

SEEDS = [3, 4, 5]
FLIP = {"share": 0.25, "attack": "sign-flip"}


def everybody(world, steps=5):
    available = world.situation().clients.available
    nothing, ones = np.zeros(available.shape, dtype=np.int32), np.ones(world.num_envs)
    return RoundPlan(np.where(available, steps, 0).astype(np.int32), nothing, ones, 0 * ones)


@pytest.mark.parametrize("name", ["volunteers", "quadratic"])
def test_only_the_model_and_what_is_reported_differ(name):
    worlds = [begun(plain(name, malicious=each), SEEDS) for each in (None, {"share": 0.0}, FLIP)]
    results = []
    for world in worlds:
        for _ in range(3):
            result = world.step(everybody(world))
        results.append(result.outcome)
    learned = {"accuracy", "loss", "reported_loss", "update_norm", "diverged", "probed_loss"}
    for item in fields(results[0]):
        honest, none, lying = (getattr(result, item.name) for result in results)
        np.testing.assert_array_equal(honest, none)
        if item.name not in learned:
            np.testing.assert_array_equal(honest, lying)
    models = [world.parameters() for world in worlds]
    np.testing.assert_array_equal(models[0], models[1])
    assert (models[0] != models[2]).any()


def test_who_lies_is_drawn_from_the_episode_alone():
    scenario = plain("volunteers", malicious=FLIP)
    world = begun(scenario, SEEDS)
    liars = world.malicious
    assert (liars.sum(axis=1) == round(0.25 * scenario.clients)).all()
    assert len({row.tobytes() for row in liars}) == len(SEEDS)
    for row, seed in zip(liars, SEEDS, strict=True):
        np.testing.assert_array_equal(begun(scenario, [seed]).malicious[0], row)
    val = FederatedWorld(scenario, len(SEEDS), "val")
    val.reset(np.ones(len(SEEDS), dtype=bool), np.array(SEEDS))
    assert (val.malicious != liars).any()
    assert begun(plain("volunteers", malicious={"share": 0.999}), [1]).malicious.sum() == scenario.clients - 1
    assert not begun(plain("volunteers"), [1]).malicious.any()


def test_agents_see_no_liar_and_evaluators_do():
    make = lambda **changes: gym.make("frugalfl/Volunteers-v0", **changes)
    honest, lying = make(), make(malicious=FLIP)
    seen = [env.reset(seed=1)[0] for env in (honest, lying)]
    for name in seen[0]:
        np.testing.assert_array_equal(seen[0][name], seen[1][name])
    action = np.zeros(honest.action_space.shape, dtype=int)
    infos = [env.step(action)[-1] for env in (honest, lying)]
    assert "client_malicious" not in infos[0]
    np.testing.assert_array_equal(infos[1]["client_malicious"], lying.unwrapped.world.malicious[0])


@pytest.mark.parametrize("late", ["keep", "staleness", "buffer"])
def test_late_lies_are_lies(late):
    worlds = [begun(plain("volunteers", malicious=each, late={"kind": late}), SEEDS) for each in (None, FLIP)]
    for world in worlds:
        for _ in range(4):
            plan = everybody(world, 40)
            world.step(RoundPlan(plan.local_steps, plan.transfer_samples, 0.3 * plan.quorum, plan.wait_s))
    assert (worlds[0].parameters() != worlds[1].parameters()).any()


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("volunteers", {"malicious": {"share": 1.0}}, "malicious.share: 1.0"),
        ("volunteers", {"malicious": {"share": 0.2, "attack": "ly"}}, "attack"),
        ("volunteers", {"malicious": {"share": 0.2, "attack": {"kind": "ipm", "epsilon": 0}}}, "epsilon: 0"),
        ("quadratic", {"malicious": {"share": 0.2, "attack": "label-flip"}}, "quadratics have no labels"),
        ("volunteers", {"malicious": FLIP, "evaluation": {"personal": "mixture"}}, "expected nobody where"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_read(name, changes, match):
    with pytest.raises(ValueError, match=match):
        plain(name, **changes)


def test_a_rule_that_needs_more_clients_is_refused_when_the_world_is_made():
    with pytest.raises(
        ValueError, match=r"aggregator 'krum': f: needs 27 updates in a round, expected at most 24"
    ):
        gym.make("frugalfl/Volunteers-v0", aggregator={"kind": "krum", "f": 12})


def test_real_nodes_lie_by_themselves():
    with pytest.raises(ValueError, match=r"malicious: .* expected None in a live federation"):
        check_deployable(load_scenario("volunteers", malicious=FLIP))
