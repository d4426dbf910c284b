"""Stable-Baselines3 models for the suite's environments, by the name of the algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

from ...envs.agent_view import CLIENT_FEATURES
from ..policies import default_wait_logits, share_logits
from ..policies.actor_critic import (
    MaskableSetActorCriticPolicy,
    MaskableSlotActorCriticPolicy,
    SetActorCriticPolicy,
    SlotActorCriticPolicy,
)
from ..policies.packed import Choices
from ..policies.set_network import SetEncoder, SetShape
from .settings import A2CSettings, DQNSettings, PPOSettings, RunSettings, SACSettings

STORAGE_FEATURE = CLIENT_FEATURES.index("storage_left")

_WANTS: dict[str, tuple[type[spaces.Space[object]], str]] = {
    "dqn": (spaces.Discrete, "discrete"),
    "sac": (spaces.Box, "scores"),
}


class Common(TypedDict):
    """Arguments of every model."""

    env: VecEnv
    seed: int
    device: th.device


class PolicyChoice(TypedDict):
    """The policy of a model that learns from its own rollouts."""

    policy: str | type[ActorCriticPolicy]
    policy_kwargs: dict[str, object]


class OnPolicy(TypedDict):
    """Arguments of PPO and A2C."""

    learning_rate: float
    n_steps: int
    gamma: float
    gae_lambda: float
    ent_coef: float
    vf_coef: float
    max_grad_norm: float


class OffPolicy(TypedDict):
    """Arguments of DQN and SAC."""

    learning_rate: float
    buffer_size: int
    learning_starts: int
    batch_size: int
    gamma: float
    train_freq: tuple[int, str]
    gradient_steps: int


class SetContext(BaseFeaturesExtractor):
    """The pooled context of the clients, for algorithms whose heads are not per client.

    Args:
        observation_space: `Dict` with `clients`, `server` and `zones`.
        hidden: width of the encoder.
        flat_clients: append the clients' features one after the other (for scores, one per client); the
            network then fits this number of clients only.
    """

    def __init__(self, observation_space: spaces.Dict, hidden: int = 64, flat_clients: bool = False):
        sizes = {key: space.shape or () for key, space in observation_space.spaces.items()}
        encoder = SetEncoder(SetShape(sizes["clients"][1], sizes["server"][0], sizes["zones"][1]), hidden)
        flat = int(np.prod(sizes["clients"])) if flat_clients else 0
        super().__init__(observation_space, encoder.context_dim + flat)
        self.encoder, self.flat_clients = encoder, flat_clients

    def forward(self, observation: dict[str, th.Tensor]) -> th.Tensor:
        """Context `[B, features_dim]`."""
        context: th.Tensor = self.encoder(observation)[1]
        if self.flat_clients:
            context = th.cat([context, observation["clients"].flatten(1)], dim=1)
        return context


def check_algorithm(algo: str, env_id: str, action_space: spaces.Space[object]) -> None:
    """Raise ValueError, naming the id to use, if an algorithm cannot act in an action space."""
    world = env_id.replace("-discrete", "").replace("-scores", "")
    given = type(action_space).__name__
    if algo in _WANTS:
        wanted, mode = _WANTS[algo]
        if not isinstance(action_space, wanted):
            better = world.replace("-v", f"-{mode}-v")
            raise ValueError(
                f"algo: {algo!r} cannot act in {given} of {env_id!r}, "
                f"expected {wanted.__name__}; use --env {better}"
            )
    elif algo == "maskable-ppo" and isinstance(action_space, spaces.Box):
        raise ValueError(
            f"algo: {algo!r} cannot act in {given} of {env_id!r}, expected MultiDiscrete; use --env {world}"
        )


def build_model(settings: RunSettings, env: VecEnv) -> BaseAlgorithm:
    """A fresh model with the seed and settings of a run.

    Raises:
        ValueError: the algorithm does not fit the environment's actions, or no such device.
    """
    check_algorithm(settings.algo, settings.env, env.action_space)
    th.set_num_threads(1)  # more threads are slower on networks of this size
    common: Common = {"env": env, "seed": settings.seed, "device": _device(settings.device)}
    return _BUILDERS[settings.algo](settings, common)


def learning_rate_at(settings: RunSettings, done: int) -> float:
    """The learning rate after `done` rounds, constant within a segment."""
    learner, share = settings.learner, min(done / settings.timesteps, 1.0)
    return float(learner.learning_rate + share * (learner.final_learning_rate - learner.learning_rate))


def set_policy_arguments(
    settings: RunSettings, action_space: spaces.MultiDiscrete, num_clients: int
) -> dict[str, object]:
    """Keyword arguments of the set policy for a run, JSON-able."""
    choices, policy = Choices.of(action_space.nvec.tolist(), num_clients), settings.policy
    shares = share_logits(choices.levels, policy.initial_share)
    return {
        "hidden": policy.hidden,
        "pooling": policy.pooling,
        "heads": policy.heads,
        "storage_feature": STORAGE_FEATURE,
        "initial_wait_logits": default_wait_logits(choices.waits),
        "initial_level_logits": None if policy.heads == "slate" else shares,
    }


def slot_policy_arguments(settings: RunSettings) -> dict[str, object]:
    """The same of the policy of worlds of serving."""
    policy = settings.policy
    return {"hidden": policy.hidden, "pooling": policy.pooling, "initial_share": policy.initial_share}


def _actor_critic(settings: RunSettings, env: VecEnv, set_policy: type[ActorCriticPolicy]) -> PolicyChoice:
    """The policy of PPO and its kin: a set policy, or a context where heads are not per client."""
    assert isinstance(env.observation_space, spaces.Dict)
    if "slots" in env.observation_space.spaces:
        slots: type[ActorCriticPolicy] = SlotActorCriticPolicy
        if set_policy is MaskableSetActorCriticPolicy:
            slots = MaskableSlotActorCriticPolicy
        return {"policy": slots, "policy_kwargs": slot_policy_arguments(settings)}
    if isinstance(env.action_space, spaces.MultiDiscrete):
        num_clients = env.observation_space["clients"].shape[0]  # type: ignore[index]
        arguments = set_policy_arguments(settings, env.action_space, num_clients)
        return {"policy": set_policy, "policy_kwargs": arguments}
    return {"policy": "MultiInputPolicy", "policy_kwargs": _context(settings, env)}


def _context(settings: RunSettings, env: VecEnv) -> dict[str, object]:
    flat = isinstance(env.action_space, spaces.Box)
    return {
        "features_extractor_class": SetContext,
        "features_extractor_kwargs": {"hidden": settings.policy.hidden, "flat_clients": flat},
    }


def _on_policy(learner: PPOSettings | A2CSettings) -> OnPolicy:
    return {
        "learning_rate": learner.learning_rate,
        "n_steps": learner.rollout_steps,
        "gamma": learner.gamma,
        "gae_lambda": learner.gae_lambda,
        "ent_coef": learner.entropy,
        "vf_coef": learner.value,
        "max_grad_norm": learner.max_grad_norm,
    }


def _ppo(settings: RunSettings, common: Common) -> BaseAlgorithm:
    learner, env = settings.ppo, common["env"]
    rollout = learner.rollout_steps * env.num_envs
    if rollout < 2:
        raise ValueError(f"ppo.rollout-steps: {learner.rollout_steps} x {env.num_envs} envs, expected >= 2")
    masked = settings.algo == "maskable-ppo"
    policy = _actor_critic(settings, env, MaskableSetActorCriticPolicy if masked else SetActorCriticPolicy)
    return (MaskablePPO if masked else PPO)(
        **common,
        **policy,  # type: ignore[arg-type]
        **_on_policy(learner),
        batch_size=_even_batch(rollout, learner.batch_size),
        n_epochs=learner.epochs,
        clip_range=learner.clip_range,
        target_kl=learner.target_kl,
    )


def _a2c(settings: RunSettings, common: Common) -> BaseAlgorithm:
    policy = _actor_critic(settings, common["env"], SetActorCriticPolicy)
    return A2C(**common, **policy, **_on_policy(settings.a2c), normalize_advantage=True)


def _off_policy(learner: DQNSettings | SACSettings, env: VecEnv) -> OffPolicy:
    return {
        "learning_rate": learner.learning_rate,
        "buffer_size": _buffer_size(env, learner.buffer_mb),
        "learning_starts": learner.learning_starts,
        "batch_size": learner.batch_size,
        "gamma": learner.gamma,
        "train_freq": (1, "step"),
        "gradient_steps": learner.gradient_steps,
    }


def _dqn(settings: RunSettings, common: Common) -> BaseAlgorithm:
    learner, env = settings.dqn, common["env"]
    return DQN(
        policy="MultiInputPolicy",
        **common,
        **_off_policy(learner, env),
        policy_kwargs=_context(settings, env),
        target_update_interval=learner.target_update_steps,
    )


def _sac(settings: RunSettings, common: Common) -> BaseAlgorithm:
    learner, env = settings.sac, common["env"]
    return SAC(
        policy="MultiInputPolicy",
        **common,
        **_off_policy(learner, env),
        policy_kwargs=_context(settings, env),
        tau=learner.tau,
    )


_BUILDERS: dict[str, Callable[[RunSettings, Common], BaseAlgorithm]] = {
    "ppo": _ppo,
    "maskable-ppo": _ppo,
    "a2c": _a2c,
    "dqn": _dqn,
    "sac": _sac,
}


def _even_batch(rollout: int, wanted: int) -> int:
    """The largest divisor of the rollout that is at most the wanted batch and larger than 1."""
    divisors = [size for size in range(2, min(rollout, wanted) + 1) if rollout % size == 0]
    return divisors[-1] if divisors else rollout


def _buffer_size(env: VecEnv, megabytes: int) -> int:
    """Rounds that fit into so many megabytes; every round keeps two observations and an action."""
    spaces_ = env.observation_space.spaces.values()  # type: ignore[attr-defined]
    observation = 4 * int(np.sum([np.prod(space.shape) for space in spaces_]))
    action = int(np.prod(env.action_space.shape or (1,))) * 8
    return max(megabytes * 1_000_000 // (2 * observation + action + 12), 10 * env.num_envs)


def _device(name: str) -> th.device:
    if name == "auto":
        return th.device("cuda" if th.cuda.is_available() else "cpu")
    try:
        device = th.device(name)
        th.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device: {name!r} cannot be used here ({reason}); expected cpu, cuda or auto"
        ) from None
    return device
