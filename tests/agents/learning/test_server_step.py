"""Learning in a world in which the server's step is a decision."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from frugalfl.agents.learned.scheduler import LearnedScheduler
from frugalfl.agents.learning import PolicySettings, PPOSettings, RunSettings
from frugalfl.agents.learning.algorithms import build_model
from frugalfl.envs.registration import make_vec_env

ENVS, CLIENTS = 4, 8


@pytest.mark.parametrize("algo", ["ppo", "maskable-ppo"])
def test_an_update_moves_the_head_and_the_policy_plays_on(algo):
    levels = {"server_step": [0.5, 1.0, 4.0]}
    env = make_vec_env("frugalfl/Volunteers-v0", ENVS, clients=CLIENTS, max_rounds=6, levels=levels)
    ppo = PPOSettings(rollout_steps=8, batch_size=16, epochs=2)
    model = build_model(RunSettings(algo=algo, num_envs=ENVS, policy=PolicySettings(hidden=16), ppo=ppo), env)
    choices = model.policy.choices
    assert choices.server == (*env.action_space.nvec[:2], 3)
    head = slice(choices.waits + choices.quorums, sum(choices.server))
    before = model.policy.actor.server_logits.weight[head].clone()
    assert not model.policy.actor.server_logits.bias[head].any()  # all factors equally likely
    model.learn(8 * ENVS)
    assert not th.equal(model.policy.actor.server_logits.weight[head], before)
    view = env.agent_view
    player = LearnedScheduler(model, view.encoder, view.action_mode, decision="sample")
    player.reset(np.ones(ENVS, dtype=bool), np.arange(ENVS), CLIENTS)
    factors = np.stack([player.plan(view.situation).server_step for _ in range(20)])
    assert set(np.unique(factors)) == {0.5, 1.0, 4.0}
