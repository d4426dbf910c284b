"""Behaviour cloning: begin reinforcement learning from what a handcrafted scheduler already does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from torch.nn import functional

from ...common.arrays import AnyArray, Bools, Floats32, Ints
from ...envs.adapters.sb3_vec_env import FederatedVecEnv
from ...envs.agent_view import ActionCodec
from ...envs.contract import RoundPlan, Scheduler
from ..learned import FrameStack
from ..policies.client_set import AVAILABLE
from ..policies.set_policy import SetPolicyMixin

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
    scheduler: Scheduler,
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
    codec, looks_ahead = view.codec, scheduler.clairvoyant
    rng = np.random.default_rng([seed, 1])
    env.seed(int(rng.integers(2**31)))
    everywhere, memory = np.ones(env.num_envs, dtype=bool), FrameStack(frames)
    memory.forget(everywhere)
    observation = memory.add(env.reset())  # type: ignore[arg-type]
    scheduler.reset(everywhere, rng.integers(2**31, size=env.num_envs), view.scenario.clients)
    open_: list[list[tuple[Arrays, Ints, float]]] = [[] for _ in range(env.num_envs)]
    closed: list[tuple[Arrays, Ints, float]] = []
    totals: list[float] = []
    while len(closed) < rounds:
        situation = view.world.situation(clairvoyant=True) if looks_ahead else view.situation
        actions = _legal(encode_plan(codec, scheduler.plan(situation)), env.action_masks(), codec.layout.nvec)
        following, rewards, ended, _ = env.step(actions)
        for index in range(env.num_envs):
            row = {key: rows[index] for key, rows in observation.items()}
            open_[index].append((row, actions[index], float(rewards[index])))
            if ended[index]:
                totals.append(sum(reward for *_, reward in open_[index]))
                closed += _with_returns(open_[index], gamma)
                open_[index] = []
        memory.forget(ended)
        observation = memory.add(following)  # type: ignore[arg-type]
        if ended.any():
            scheduler.reset(ended, rng.integers(2**31, size=env.num_envs), view.scenario.clients)
    stacked = {key: np.stack([row[key] for row, *_ in closed]) for key in closed[0][0]}
    return Demonstrations(
        observations=stacked,
        actions=np.stack([action for _, action, _ in closed]),
        returns=np.array([value for *_, value in closed], dtype=np.float32),
        episodes=len(totals),
        net_points=float(np.mean(totals)),
    )


def clone(
    model: BaseAlgorithm,
    env: FederatedVecEnv,
    scheduler: Scheduler,
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
    policy = model.policy
    if not isinstance(policy, SetPolicyMixin):
        raise ValueError(
            f"warm_start: expected a set policy (ppo, maskable-ppo or a2c), not {type(policy).__name__}"
        )
    wide, narrow = (space["clients"].shape[1] for space in (model.observation_space, env.observation_space))  # type: ignore[index]
    shown = demonstrate(
        env, scheduler, settings.rounds, float(getattr(model, "gamma", 1.0)), seed, wide // narrow
    )
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


def encode_plan(codec: ActionCodec, plan: RoundPlan) -> Ints:
    """The action nearest to a plan, in which a wait stays a wait."""
    actions = codec.encode(plan)
    actions[:, 0] = np.where((plan.wait_s > 0) & (actions[:, 0] == 0), 1, actions[:, 0])
    return actions


def _fit(
    policy: SetPolicyMixin,
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


def _agreement(policy: SetPolicyMixin, shown: Demonstrations) -> float:
    right = total = 0
    for first in range(0, len(shown.actions), 4096):
        rows = np.arange(first, min(first + 4096, len(shown.actions)))
        observation = _tensors(shown.observations, rows, policy.device)
        with th.no_grad():
            mode = policy.likeliest(observation)
        actions = th.as_tensor(shown.actions[rows], device=policy.device)
        available = observation["clients"][..., AVAILABLE] > 0.5
        counted = policy.levels_of(policy.effective(actions)) & available
        right += int((policy.levels_of(mode == actions) & counted).sum())
        total += int(counted.sum())
    return right / max(total, 1)


def _tensors(arrays: Arrays, rows: Ints, device: th.device) -> dict[str, th.Tensor]:
    return {key: th.as_tensor(values[rows], device=device) for key, values in arrays.items()}


def _with_returns(
    episode: list[tuple[Arrays, Ints, float]], gamma: float
) -> list[tuple[Arrays, Ints, float]]:
    value, finished = 0.0, []
    for row, action, reward in reversed(episode):
        value = reward + gamma * value
        finished.append((row, action, value))
    return finished[::-1]


def _legal(actions: Ints, masks: Bools, nvec: Ints) -> Ints:
    """The actions, with the first legal choice where a head's own is forbidden."""
    first = np.concatenate([[0], np.cumsum(nvec)[:-1]])
    allowed = np.take_along_axis(masks, actions + first, axis=1)
    lowest = np.stack([part.argmax(axis=1) for part in np.split(masks, first[1:], axis=1)], axis=1)
    return np.where(allowed, actions, lowest)
