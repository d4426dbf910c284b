"""The environments under RLlib's new API stack, with their action masks; needs the extra `rllib`.

    from frugalfl.agents.integrations.rllib import masked_module, register_rllib
    register_rllib()
    PPOConfig().environment("frugalfl/Volunteers-v0").rl_module(rl_module_spec=masked_module())

RLlib knows no masks of its own: they travel in the observation, and `MaskedPPOModule` takes them out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...envs.registration import entries, find_entry

if TYPE_CHECKING:
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

OBSERVATIONS, MASK = "observations", "action_mask"


class FlatWithMask(gym.ObservationWrapper[dict[str, NDArray[np.float32]], Any, Any]):
    """Observations `{"observations": [D], "action_mask": [K]}`: all features flat, and the legal choices.

    K is the sum of the choices of all heads of a MultiDiscrete action, or the choices of a Discrete one; a
    legal choice is 1.

    Args:
        env: an environment of this suite with an integer action.

    Raises:
        ValueError: its actions have no masks.
    """

    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)
        actions = env.action_space
        if isinstance(actions, spaces.MultiDiscrete):
            choices = int(actions.nvec.sum())
        elif isinstance(actions, spaces.Discrete):
            choices = int(actions.n)
        else:
            raise ValueError(f"env: actions {actions} have no masks, expected Discrete or MultiDiscrete")
        flat = spaces.flatten_space(env.observation_space)
        self.observation_space = spaces.Dict(
            {OBSERVATIONS: flat, MASK: spaces.Box(0.0, 1.0, (choices,), np.float32)}
        )

    def observation(self, observation: Any) -> dict[str, NDArray[np.float32]]:
        """Flat features and the mask of the decision to make now."""
        inner: Any = self.env.unwrapped
        flat = spaces.flatten(self.env.observation_space, observation)
        return {
            OBSERVATIONS: np.asarray(flat, dtype=np.float32),
            MASK: inner.action_masks().astype(np.float32),
        }


def make_masked(env_id: str, config: Mapping[str, Any]) -> FlatWithMask:
    """An environment for RLlib; `config` holds keywords of `FederatedEnv`, such as `clients` or `split`."""
    from ...envs.federated_env import FederatedEnv

    return FlatWithMask(FederatedEnv(**{**find_entry(env_id).kwargs, **config}))


def register_rllib() -> list[str]:
    """Register every id with a scalar reward and integer actions; returns them."""
    from ray.tune.registry import register_env

    names = []
    for entry in entries():
        if entry.kwargs.get("vector_reward") or entry.kwargs.get("action") == "scores":
            continue
        register_env(entry.id, lambda config, name=entry.id: make_masked(name, config))
        names.append(entry.id)
    return names


def masked_module(**model_config: Any) -> RLModuleSpec:
    """The module specification of a PPO that never takes an illegal action.

    Args:
        **model_config: fields of RLlib's `DefaultModelConfig`, e.g. `fcnet_hiddens=[64, 64]`.
    """
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from .rllib_module import MaskedPPOModule

    return RLModuleSpec(module_class=MaskedPPOModule, model_config=model_config)
