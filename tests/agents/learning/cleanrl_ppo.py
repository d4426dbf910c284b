"""A PPO loop in CleanRL's single-file style (ppo.py), as one would write it for any Gymnasium id.

Nothing in it knows frugalfl: it makes a vector environment of an id, flattens observations with Gymnasium's
own wrapper and has one categorical head per dimension of the MultiDiscrete action.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import torch
from torch import nn, optim
from torch.distributions.categorical import Categorical


def layer_init(layer: nn.Linear, std: float = np.sqrt(2), bias_const: float = 0.0) -> nn.Linear:
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, obs_dim: int, nvec: Sequence[int]):
        super().__init__()
        self.nvec = [int(n) for n in nvec]
        self.critic = nn.Sequential(
            layer_init(nn.Linear(obs_dim, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 1), std=1.0),
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(obs_dim, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, sum(self.nvec)), std=0.01),
        )

    def get_value(self, x: torch.Tensor) -> torch.Tensor:
        return self.critic(x)

    def get_action_and_value(self, x: torch.Tensor, action: torch.Tensor | None = None):
        heads = [Categorical(logits=part) for part in self.actor(x).split(self.nvec, dim=1)]
        if action is None:
            action = torch.stack([head.sample() for head in heads], dim=1)
        logprob = torch.stack([head.log_prob(a) for a, head in zip(action.T, heads, strict=True)])
        entropy = torch.stack([head.entropy() for head in heads])
        return action, logprob.sum(0), entropy.sum(0), self.critic(x)


def train(
    env_id: str,
    seed: int = 1,
    total_timesteps: int = 20_000,
    num_envs: int = 16,
    num_steps: int = 64,
    learning_rate: float = 1e-3,
    gamma: float = 0.99,
    gae_lambda: float = 0.95,
    num_minibatches: int = 4,
    update_epochs: int = 4,
    clip_coef: float = 0.2,
    ent_coef: float = 0.0,
    vf_coef: float = 0.5,
    max_grad_norm: float = 0.5,
) -> list[float]:
    """Train; returns the return of every finished episode in order."""
    np_random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    envs = gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point")
    envs = gym.wrappers.vector.FlattenObservation(envs)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    obs_dim = int(np.prod(envs.single_observation_space.shape))
    agent = Agent(obs_dim, envs.single_action_space.nvec)
    optimizer = optim.Adam(agent.parameters(), lr=learning_rate, eps=1e-5)
    batch_size = num_envs * num_steps
    minibatch_size = batch_size // num_minibatches
    num_heads = len(envs.single_action_space.nvec)

    obs = torch.zeros((num_steps, num_envs, obs_dim))
    actions = torch.zeros((num_steps, num_envs, num_heads), dtype=torch.long)
    logprobs, rewards, dones, values = (torch.zeros((num_steps, num_envs)) for _ in range(4))
    returns_of_episodes: list[float] = []
    next_obs = torch.tensor(envs.reset(seed=seed)[0])
    next_done = torch.zeros(num_envs)
    for iteration in range(total_timesteps // batch_size):
        optimizer.param_groups[0]["lr"] = learning_rate * (1 - iteration * batch_size / total_timesteps)
        for step in range(num_steps):
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                action, logprob, _, value = agent.get_action_and_value(next_obs)
            actions[step], logprobs[step], values[step] = action, logprob, value.flatten()
            observation, reward, terminations, truncations, infos = envs.step(action.numpy())
            rewards[step] = torch.tensor(reward) / 10.0
            next_obs = torch.tensor(observation)
            next_done = torch.tensor(np.logical_or(terminations, truncations), dtype=torch.float32)
            if "episode" in infos:
                returns_of_episodes += infos["episode"]["r"][infos["_episode"]].tolist()
        with torch.no_grad():
            next_value = agent.get_value(next_obs).reshape(-1)
            advantages = torch.zeros_like(rewards)
            lastgaelam = torch.zeros(num_envs)
            for t in reversed(range(num_steps)):
                last = t == num_steps - 1
                nextnonterminal = 1.0 - (next_done if last else dones[t + 1])
                nextvalues = next_value if last else values[t + 1]
                delta = rewards[t] + gamma * nextvalues * nextnonterminal - values[t]
                lastgaelam = delta + gamma * gae_lambda * nextnonterminal * lastgaelam
                advantages[t] = lastgaelam
            returns = advantages + values
        flat = [x.reshape(batch_size, *x.shape[2:]) for x in (obs, actions, logprobs, advantages, returns)]
        b_obs, b_actions, b_logprobs, b_advantages, b_returns = flat
        for _ in range(update_epochs):
            for mb in torch.tensor(np_random.permutation(batch_size)).split(minibatch_size):
                _, newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs[mb], b_actions[mb])
                ratio = (newlogprob - b_logprobs[mb]).exp()
                advantage = b_advantages[mb]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                pg_loss = torch.max(
                    -advantage * ratio, -advantage * ratio.clamp(1 - clip_coef, 1 + clip_coef)
                ).mean()
                v_loss = 0.5 * ((newvalue.flatten() - b_returns[mb]) ** 2).mean()
                loss = pg_loss - ent_coef * entropy.mean() + v_loss * vf_coef
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), max_grad_norm)
                optimizer.step()
    envs.close()
    return returns_of_episodes
