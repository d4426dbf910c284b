"""A policy that draws slates, as a scheduler: it trains, plays repeatably, and needs no groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from frugalfl.agents.evaluation import episode_seeds, play_batch
from frugalfl.agents.learned.scheduler import LearnedScheduler
from frugalfl.agents.learning import PolicySettings, PPOSettings, RunSettings
from frugalfl.agents.learning.algorithms import build_model
from frugalfl.agents.policies.actor_critic import SetActorCriticPolicy
from frugalfl.agents.policies.slate import SLATE_SIZES
from frugalfl.agents.testing import check_scheduler
from frugalfl.envs.adapters.sb3_vec_env import FederatedVecEnv
from frugalfl.envs.agent_view import ObservationEncoder, layout_of, make_action_mode
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld


def player_on(clients, decision="count", **changes):
    scenario = load_scenario("volunteers", max_rounds=4, clients=clients, **changes)
    encoder, layout = ObservationEncoder(scenario), layout_of(scenario)
    th.manual_seed(0)
    policy = SetActorCriticPolicy(encoder.space, layout.space, lambda _: 0.0, hidden=8, heads="slate")
    mode = make_action_mode("levels", layout)
    return LearnedScheduler(policy, encoder, mode, "slate", decision, trained_clients=8), scenario


@pytest.mark.parametrize("decision", ["count", "sample"])
def test_passes_the_battery_of_schedulers(decision):
    player, scenario = player_on(8, decision, hub={"share": 0.0})  # levels know nothing of what fits
    check_scheduler(player, [scenario], decisions=4)


@pytest.mark.parametrize("decision", ["count", "mode", "sample"])
def test_an_episode_is_the_same_in_any_batch(decision):
    player, scenario = player_on(8, decision)
    seeds = episode_seeds(0, 3)
    together, _, _ = play_batch("x", player, FederatedWorld(scenario, 3, "val"), seeds)
    for index, seed in enumerate(seeds):
        alone, _, _ = play_batch("x", player, FederatedWorld(scenario, 1, "val"), np.array([seed]))
        assert alone["net_points"][0] == together["net_points"][index]


def test_ten_times_the_clients_get_no_larger_slate():
    player, scenario = player_on(80)
    world = FederatedWorld(scenario, 2, "val")
    world.reset(np.ones(2, dtype=bool), np.array([1, 2]))
    player.reset(np.ones(2, dtype=bool), np.array([1, 2]), 80)
    assert player.plan(world.situation()).invited.sum(axis=1).max() <= SLATE_SIZES[-1]
    waits, levels = player.probabilities(world.situation())
    np.testing.assert_allclose(waits.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(levels.sum(axis=2), 1.0, rtol=1e-5)


@pytest.mark.parametrize("algo", ["ppo", "maskable-ppo"])
def test_learns_and_moves_every_weight(algo):
    env = FederatedVecEnv("quadratic", 2, max_rounds=4, clients=6)
    settings = RunSettings(
        algo=algo,
        policy=PolicySettings(hidden=8, heads="slate"),
        ppo=PPOSettings(rollout_steps=16, batch_size=16, epochs=1),
    )
    model = build_model(settings, env)
    before = {name: value.clone() for name, value in model.policy.actor.state_dict().items()}
    model.learn(32)
    after = model.policy.actor.state_dict()
    assert all(th.isfinite(value).all() for value in after.values())
    assert all((after[name] != value).any() for name, value in before.items())
    with pytest.raises(ValueError, match="heads: 'slate', expected 'independent'"):
        model.policy.get_distribution({})


def test_unknown_heads_are_refused():
    env = FederatedVecEnv("quadratic", 1, clients=6)
    with pytest.raises(ValueError, match="heads: 'coins', expected one of independent, slate"):
        build_model(RunSettings(policy=PolicySettings(heads="coins")), env)
