"""Action masks inside the observations, for libraries that ask the environment for nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from ...common.arrays import AnyArray, Bools, Floats, Floats32
from ...envs.agent_view import PARTS, flatten

if TYPE_CHECKING:
    import torch as th

    Flat = TypeVar("Flat", AnyArray, th.Tensor)

Masked: TypeAlias = dict[str, Floats32]
"""`observations` and `action_mask`."""
Parts: TypeAlias = dict[str, Floats32]
"""`clients`, `server` and `zones`."""
Action: TypeAlias = AnyArray | int
Playable: TypeAlias = gym.Env[Parts, Action]
PlayableBatch: TypeAlias = VectorEnv[Parts, AnyArray, Floats]
Info: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class FlatLayout:
    """Where the parts of an observation stand in the flat one.

    Attributes:
        clients: N and F.
        server: G.
        zones: Z and H.
    """

    clients: tuple[int, int]
    server: int
    zones: tuple[int, int]

    @classmethod
    def of(cls, space: spaces.Space[object]) -> FlatLayout:
        """The layout of an environment's observation space; ValueError if it is not one of frugalfl's."""
        if not isinstance(space, spaces.Dict) or set(space.spaces) != set(PARTS):
            raise ValueError(f"observation_space: {space}, expected a Dict of {', '.join(PARTS)}")
        (n, f), (g,), (z, h) = (space[part].shape or () for part in PARTS)
        return cls((n, f), g, (z, h))

    @property
    def size(self) -> int:
        """Numbers in a flat observation."""
        return self.clients[0] * self.clients[1] + self.server + self.zones[0] * self.zones[1]

    @property
    def space(self) -> spaces.Box:
        """The space of a flat observation."""
        return spaces.Box(-1.0, 1.0, (self.size,), np.float32)

    def split(self, flat: Flat) -> dict[str, Flat]:
        """The parts `clients [..., N, F]`, `server [..., G]`, `zones [..., Z, H]` of arrays or tensors."""
        server = self.clients[0] * self.clients[1]
        zones = server + self.server
        batch = tuple(flat.shape[:-1])
        return {
            "clients": flat[..., :server].reshape(*batch, *self.clients),
            "server": flat[..., server:zones],
            "zones": flat[..., zones:].reshape(*batch, *self.zones),
        }


def masked_space(layout: FlatLayout, action_space: spaces.Space[object]) -> spaces.Dict:
    """`{"observations": [size], "action_mask": [choices]}`, the mask 1 where a choice is legal.

    Raises:
        ValueError: the actions are no choices.
    """
    if isinstance(action_space, spaces.MultiDiscrete):
        choices = int(action_space.nvec.sum())
    elif isinstance(action_space, spaces.Discrete):
        choices = int(action_space.n)
    else:
        raise ValueError(
            f"action_space: {action_space}, expected MultiDiscrete or Discrete: masks need choices"
        )
    mask = spaces.Box(0.0, 1.0, (choices,), np.float32)
    return spaces.Dict({"observations": layout.space, "action_mask": mask})


class MaskedObservations(gym.ObservationWrapper[Masked, Action, Parts]):
    """Observations `{"observations": float32 [size], "action_mask": float32 [choices]}`.

    Args:
        env: an environment of frugalfl with action choices, wrapped or not.
    """

    def __init__(self, env: Playable):
        super().__init__(env)
        layout = FlatLayout.of(env.observation_space)
        self.observation_space = masked_space(layout, env.action_space)  # type: ignore[assignment]

    def observation(self, observation: Parts) -> Masked:
        """The flat observation and the mask of the next action."""
        mask = self.unwrapped.action_masks().astype(np.float32)  # type: ignore[attr-defined]
        return {"observations": flatten(observation), "action_mask": mask}


class MaskedVectorObservations(VectorWrapper):
    """The same for a batch of environments: `[E, size]` and `[E, choices]`.

    Args:
        env: a `FederatedVectorEnv` with action choices.
    """

    def __init__(self, env: PlayableBatch):
        super().__init__(env)
        layout = FlatLayout.of(env.single_observation_space)
        self.single_observation_space = masked_space(layout, env.single_action_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None
    ) -> tuple[Masked, Info]:
        """Begin new episodes; see `FederatedVectorEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._masked(observation), info

    def step(self, actions: AnyArray) -> tuple[Masked, Floats, Bools, Bools, Info]:
        """Step all environments; see `FederatedVectorEnv.step`."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        return self._masked(observation), reward, terminated, truncated, info

    def _masked(self, observation: Mapping[str, Floats32]) -> Masked:
        mask = self.env.unwrapped.action_masks().astype(np.float32)  # type: ignore[attr-defined]
        return {"observations": flatten(observation, (self.num_envs,)), "action_mask": mask}


class WeightedReward(gym.RewardWrapper[Parts, Action]):
    """A scalar from the vector reward of a `mo-` environment, for learners that want one number.

    Args:
        env: an environment with a vector reward.
        weights: of the objectives, by default accuracy, time, communication and emissions; None: all 1, the
            reward of the scalar ids.
    """

    def __init__(self, env: Playable, weights: Sequence[float] | None = None):
        super().__init__(env)
        terms = int(env.unwrapped.reward_dim)  # type: ignore[attr-defined]
        self._weights = np.asarray([1.0] * terms if weights is None else weights, dtype=np.float64)
        if self._weights.shape != (terms,) or not np.isfinite(self._weights).all():
            raise ValueError(f"reward_weights: {weights!r}, expected {terms} finite numbers")

    def reward(self, reward: SupportsFloat | Floats) -> float:
        """The weighted sum of the terms."""
        return float(self._weights @ np.asarray(reward, dtype=np.float64))
