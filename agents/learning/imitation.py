"""Behaviour cloning: begin reinforcement learning from what a handcrafted scheduler already does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from torch.nn import functional

from ...common.arrays import AnyArray, Floats, Floats32, Ints
from ...envs.adapters.sb3_vec_env import FederatedVecEnv
from ...envs.contract import Scheduler
from ...envs.serving import ServingScheduler
from ..learned import FrameStack
from ..policies.element_policy import ElementPolicyMixin

Arrays = dict[str, AnyArray]


@dataclass(frozen=True)
class Demonstrations:
    """What a scheduler did in R rounds.

    Attributes:
        observations: arrays `[R, ...]` by name.
        actions: int64 `[R, D]`, the legal actions nearest to its plans.
        returns: float32 `[R]`, discounted sum of the rewards from that round to the episode's end.
        episodes: how many episodes came to their end.
        net_points: their mean sum of rewards.
    """

    observations: Arrays
    actions: Ints
    returns: Floats32
    episodes: int
    net_points: float


@dataclass(frozen=True)
class CloneSettings:
    """How long and how fast a scheduler is imitated.

    Attributes:
        rounds: demonstrations to collect.
        passes: passes over them.
        batch_size: rounds per minibatch.
        learning_rate: Adam's step; the optimiser is the clone's own and the model's stays untouched.
        smoothing: probability mass spread over the other legal choices, so that exploration goes on.
    """

    rounds: int = 20_000
    passes: int = 8
    batch_size: int = 512
    learning_rate: float = 2e-3
    smoothing: float = 0.02


@dataclass(frozen=True)
class CloneResult:
    """How well a policy took over a scheduler's behaviour.

    Attributes:
        demonstrations: how many rounds were shown.
        net_points: mean sum of rewards of the shown episodes.
        loss: cross-entropy per head that had an effect after the last pass.
        agreement: share of the clients that were available whose level the policy's mode reproduces.
    """

    demonstrations: int
    net_points: float
    loss: float
    agreement: float


def demonstrate(
    env: FederatedVecEnv,
    scheduler: Scheduler | ServingScheduler,
    rounds: int,
    gamma: float = 1.0,
    seed: int = 0,
    frames: int = 1,
) -> Demonstrations:
    """Play a scheduler, through the agent's own menu of levels, until enough rounds lie in finished episodes.

    Args:
        env: training worlds with the `levels` action.
        scheduler: whom to watch. Its plans are carried out as the nearest legal actions, so that the returns
            belong to what is cloned.
        rounds: how many to collect at least.
        gamma: discount of the returns.
        seed: of worlds and scheduler.
        frames: observations that the learner sees at once.
    """
    view = env.agent_view
    looks_ahead = scheduler.clairvoyant
    rng = np.random.default_rng([seed, 1])
    env.seed(int(rng.integers(2**31)))
    everywhere, memory = np.ones(env.num_envs, dtype=bool), FrameStack(frames)
    memory.forget(everywhere)
    observation = memory.add(env.reset())  # type: ignore[arg-type]
    scheduler.reset(everywhere, rng.integers(2**31, size=env.num_envs), view.situation.num_clients)
    open_: list[list[tuple[Arrays, Ints, float]]] = [[] for _ in range(env.num_envs)]
    closed: list[tuple[Arrays, Ints]] = []
    returns: list[Floats32] = []
    totals: list[float] = []
    while len(closed) < rounds:
        situation = view.world.situation(clairvoyant=True) if looks_ahead else view.situation
        actions = np.asarray(
            view.action_mode.encode(cast(Scheduler, scheduler).plan(situation), view.situation)
        )
        following, rewards, ended, _ = env.step(actions)
        for index in range(env.num_envs):
            row = {key: rows[index] for key, rows in observation.items()}
            open_[index].append((row, actions[index], float(rewards[index])))
            if ended[index]:
                totals.append(sum(reward for *_, reward in open_[index]))
                closed += [(each, action) for each, action, _ in open_[index]]
                returns.append(discounted_returns(np.array([r for *_, r in open_[index]]), gamma))
                open_[index] = []
        memory.forget(ended)
        observation = memory.add(following)  # type: ignore[arg-type]
        if ended.any():
            scheduler.reset(ended, rng.integers(2**31, size=env.num_envs), view.situation.num_clients)
    stacked = {key: np.stack([row[key] for row, _ in closed]) for key in closed[0][0]}
    return Demonstrations(
        observations=stacked,
        actions=np.stack([action for _, action in closed]),
        returns=np.concatenate(returns),
        episodes=len(totals),
        net_points=float(np.mean(totals)),
    )


def clone(
    model: BaseAlgorithm,
    env: FederatedVecEnv,
    scheduler: Scheduler | ServingScheduler,
    settings: CloneSettings,
    *,
    reward_scale: float = 1.0,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> CloneResult:
    """Teach a model's actor a scheduler's decisions and its critic the returns that followed.

    Args:
        model: PPO, maskable PPO or A2C with a set policy.
        env: training worlds with the `levels` action.
        scheduler: whom to imitate.
        settings: how long and how fast.
        reward_scale: accuracy points per unit of the critic, as in training.
        seed: of worlds, scheduler and minibatches.
        progress: called with the share done.

    Raises:
        ValueError: the model has no set policy.
    """
    frames = _frames_of(model, env)
    gamma = float(getattr(model, "gamma", 1.0))
    shown = demonstrate(env, scheduler, settings.rounds, gamma, seed, frames)
    return clone_shown(model, shown, settings, reward_scale=reward_scale, seed=seed, progress=progress)


def clone_shown(
    model: BaseAlgorithm,
    shown: Demonstrations,
    settings: CloneSettings,
    *,
    reward_scale: float = 1.0,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> CloneResult:
    """As `clone`, from demonstrations that are there already."""
    policy = _set_policy(model)
    rng = np.random.default_rng([seed, 2])
    optimiser = th.optim.Adam(policy.parameters(), lr=settings.learning_rate, eps=1e-5)
    count, loss = len(shown.actions), float("nan")
    for index in range(settings.passes):
        losses = []
        order = rng.permutation(count)
        for first in range(0, count, settings.batch_size):
            rows = order[first : first + settings.batch_size]
            losses.append(_fit(policy, optimiser, shown, rows, reward_scale, settings.smoothing))
        loss = float(np.mean(losses))
        if progress is not None:
            progress((index + 1) / settings.passes)
    return CloneResult(count, shown.net_points, loss, _agreement(policy, shown))


def discounted_returns(rewards: Floats, gamma: float) -> Floats32:
    """`[T]`, discounted sum of an episode's rewards from each decision to its end."""
    values = np.empty(len(rewards), dtype=np.float32)
    value = 0.0
    for index in range(len(rewards) - 1, -1, -1):
        value = float(rewards[index]) + gamma * value
        values[index] = value
    return values


def _set_policy(model: BaseAlgorithm) -> ElementPolicyMixin:
    policy = model.policy
    if not isinstance(policy, ElementPolicyMixin):
        raise ValueError(
            f"warm_start: expected a set policy (ppo, maskable-ppo or a2c), not {type(policy).__name__}"
        )
    return policy


def _frames_of(model: BaseAlgorithm, env: FederatedVecEnv) -> int:
    """Observations that the model sees at once."""
    part = _set_policy(model).elements
    wide, narrow = (space[part].shape[1] for space in (model.observation_space, env.observation_space))  # type: ignore[index]
    return int(wide // narrow)


def _fit(
    policy: ElementPolicyMixin,
    optimiser: th.optim.Optimizer,
    shown: Demonstrations,
    rows: Ints,
    reward_scale: float,
    smoothing: float,
) -> float:
    observation = _tensors(shown.observations, rows, policy.device)
    actions = th.as_tensor(shown.actions[rows], device=policy.device)
    returns = th.as_tensor(shown.returns[rows] / reward_scale, device=policy.device)
    values, chosen, entropy = policy.evaluate_actions(observation, actions)
    assert entropy is not None
    cross_entropy = -(1.0 - smoothing) * chosen.mean() - smoothing * entropy.mean()
    critic = functional.mse_loss(values.flatten(), returns)
    optimiser.zero_grad()
    (cross_entropy + 0.5 * critic).backward()
    th.nn.utils.clip_grad_norm_(policy.parameters(), 5.0)
    optimiser.step()
    return float(-chosen.sum().item() / policy.effective(actions).sum().item())


def _agreement(policy: ElementPolicyMixin, shown: Demonstrations) -> float:
    right = total = 0
    for first in range(0, len(shown.actions), 4096):
        rows = np.arange(first, min(first + 4096, len(shown.actions)))
        observation = _tensors(shown.observations, rows, policy.device)
        with th.no_grad():
            mode = policy.likeliest(observation)
        actions = th.as_tensor(shown.actions[rows], device=policy.device)
        available = policy.available(observation)
        counted = policy.levels_of(policy.effective(actions)) & available
        right += int((policy.levels_of(mode == actions) & counted).sum())
        total += int(counted.sum())
    return right / max(total, 1)


def _tensors(arrays: Arrays, rows: Ints, device: th.device) -> dict[str, th.Tensor]:
    return {key: th.as_tensor(values[rows], device=device) for key, values in arrays.items()}
