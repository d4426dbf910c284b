"""RLlib (Ray's reinforcement learning): the environments by their ids, and modules that respect action masks.

    from frugalfl.agents.integrations.rllib import register_envs, set_module_spec

Needs the extra `rllib`; nothing else in the package does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium import spaces

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Read when Ray is imported: it announces a change of its default for tasks without GPUs.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.tune.registry import register_env
except ImportError as error:
    raise ImportError(f"RLlib cannot be imported ({error}): pip install 'frugalfl[rllib]'") from None

from ...envs.registration import entries, find_entry
from ..policies.set_policy import HEADS
from .masked_observations import (
    FlatLayout,
    MaskedObservations,
    MaskedVectorObservations,
    Playable,
    PlayableBatch,
    WeightedReward,
)
from .rllib_modules import MaskedModule, MaskedSetModule, MultiChoice
from .rllib_slates import MaskedSlateModule, SlateChoice

__all__ = [
    "MaskedModule",
    "MaskedObservations",
    "MaskedSetModule",
    "MaskedSlateModule",
    "MultiChoice",
    "SlateChoice",
    "make_env",
    "register_envs",
    "set_module_spec",
]


def register_envs() -> tuple[str, ...]:
    """Register every id of the suite with RLlib and return them; calling it again changes nothing.

    Call it once more after `ray.shutdown()`: Ray forgets its registry with the session.
    """
    ids = tuple(entry.id for entry in entries())
    for env_id in ids:
        register_env(env_id, partial(make_env, env_id))
    return ids


def make_env(env_id: str, config: Mapping[str, object] | None = None) -> Playable | PlayableBatch:
    """The environment that RLlib plays under an id.

    Ids with levels have observations `{"observations", "action_mask"}`; the others (`-discrete`, `-scores`),
    in which everything is legal at any time, have flat observations for RLlib's stock modules.

    Args:
        env_id: an id of the suite.
        config: RLlib's env config: keyword arguments of the environment; besides, for `mo-` ids,
            `reward_weights` of the terms, by default all 1. RLlib adds `num_envs` where
            `gym_env_vectorize_mode` is "vector_entry_point": then all are stepped in one batch.

    Raises:
        ValueError: one line: an unknown id, or a keyword argument that is not valid.
    """
    # By parts, also for the ids whose observation is flat: the modules and the masks need the parts.
    settings: dict[str, Any] = {"observation": "dict", **(config or {})}
    vector_reward = bool(find_entry(env_id).kwargs.get("vector_reward"))
    if not vector_reward and "reward_weights" in settings:
        raise ValueError(f"reward_weights: given for {env_id!r}, expected an id frugalfl/mo-<Name>-v0")
    if "num_envs" in settings:
        return _make_batch(env_id, settings, vector_reward)
    weights = settings.pop("reward_weights", None)
    # RLlib looks at spaces and values itself.
    env = gym.make(env_id, disable_env_checker=True, **settings)
    if vector_reward:
        env = WeightedReward(env, weights)
    if isinstance(env.action_space, spaces.MultiDiscrete):
        return MaskedObservations(env)
    return gym.wrappers.FlattenObservation(env)


def set_module_spec(
    env_id: str, env_config: Mapping[str, object] | None = None, heads: str = "slate", **settings: object
) -> RLModuleSpec:
    """The spec of the package's own policy for an environment.

    Args:
        env_id: an id with levels, `frugalfl/<Name>-v0` or `frugalfl/mo-<Name>-v0`.
        env_config: the env config that RLlib is given, if any.
        heads: who trains is said by a slate (`MaskedSlateModule`, as in the package's own training), or by
            "independent" coins (`MaskedSetModule`).
        **settings: `hidden` and `pooling`, see `MaskedSetModule`.

    Raises:
        ValueError: other heads.
    """
    if heads not in HEADS:
        raise ValueError(f"heads: {heads!r}, expected one of {', '.join(HEADS)}")
    env = make_env(env_id, env_config)
    layout = FlatLayout.of(env.unwrapped.observation_space)
    env.close()
    module = MaskedSlateModule if heads == "slate" else MaskedSetModule
    return RLModuleSpec(module_class=module, model_config={"layout": asdict(layout), **settings})


def _make_batch(env_id: str, settings: dict[str, Any], vector_reward: bool) -> PlayableBatch:
    if vector_reward:
        raise ValueError(f"num_envs: {env_id!r} has a vector reward, expected gym_env_vectorize_mode 'sync'")
    num_envs = int(settings.pop("num_envs"))
    batch = gym.make_vec(env_id, num_envs, vectorization_mode="vector_entry_point", **settings)
    if not isinstance(batch.single_action_space, spaces.MultiDiscrete):
        return gym.wrappers.vector.FlattenObservation(batch)
    return MaskedVectorObservations(batch)
