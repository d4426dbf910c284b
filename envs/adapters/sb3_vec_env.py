"""E worlds stepped in one call as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, cast

import numpy as np
from gymnasium import logger
from gymnasium.utils import seeding
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from ...common.arrays import AnyArray, Bools, Ints
from ...common.splits import Split
from ..agent_view import Info, Menu, one_of
from ..mixture import MixtureWorld
from ..scenario import ScenarioSource
from ..world import FederatedWorld
from .specs import HasSpec, refuse_unknown_keywords
from .viewer import RENDER_FPS, Viewers


class FederatedVecEnv(HasSpec, VecEnv):
    """What SB3's algorithms train on: one batch, no processes, masks for MaskablePPO.

    `env_method` and `get_attr` answer for one environment each: its masks, its picture, and what all have in
    common, such as the spec; the batch's own methods are not to be had that way. An ended episode is
    followed by a new one in the same step, with `terminal_observation` and `TimeLimit.truncated` in its info;
    `episode` (r, l) and `episode_totals` are in it too, so that no Monitor is needed; one that is asked for
    `info_keywords` finds the totals as `episode_*`, as in the infos of single environments.

    Args:
        scenario: see `FederatedEnv`.
        num_envs: E.
        split: see `FederatedEnv`.
        action: see `FederatedEnv`.
        menu: see `FederatedEnv`.
        render_mode: None, "ansi" or "rgb_array", for `VecVideoRecorder` and `render`.
        max_episode_steps: steps after which episodes are truncated; None: the world's own limits.
        observation: see `FederatedEnv`.
        **changes: fields of the scenario to replace.
    """

    def __init__(
        self,
        scenario: ScenarioSource = "volunteers",
        num_envs: int = 1,
        split: Split = "train",
        action: str = "levels",
        menu: Menu | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        observation: str = "dict",
        **changes: object,
    ):
        refuse_unknown_keywords(type(self), changes)
        view = self.view_type(
            scenario, num_envs, split, action, menu, max_episode_steps, observation, **changes
        )
        self.agent_view = view
        self._viewers = Viewers(self.agent_view.world, num_envs, render_mode, self.viewer_type)
        self.render_mode = render_mode
        self._generators: list[np.random.Generator] = []
        super().__init__(num_envs, view.observation_space, view.action_mode.space)
        self.metadata = {**self.metadata, "render_fps": RENDER_FPS}  # type: ignore[dict-item]
        self.seed()
        self._actions: AnyArray = np.zeros(0)

    @property
    def world(self) -> FederatedWorld | MixtureWorld:
        """The batch of worlds behind it; for evaluators, never for agents."""
        return self.agent_view.world

    def reset(self) -> VecEnvObs:
        """Begin new episodes everywhere."""
        for env, seed in enumerate(self._seeds):
            if seed is not None:
                self._generators[env] = seeding.np_random(seed)[0]
        self._reset_seeds()
        self._reset_options()
        self._begin(np.ones(self.num_envs, dtype=bool))
        return self.agent_view.observe()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds `seed + i`, taking effect at the next reset."""
        if not self._generators:
            self._generators = [seeding.np_random(None)[0] for _ in range(self.num_envs)]
        return super().seed(seed) if seed is not None else [None] * self.num_envs

    def step_async(self, actions: AnyArray) -> None:
        """Remember the actions."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments."""
        result = self.agent_view.act(self._actions)
        self._viewers.record(result)
        ended = result.terminated | result.truncated
        infos: list[Info] = [{"reward_terms": row} for row in result.terms.copy()]
        if ended.any():
            self._close(infos, np.flatnonzero(ended), result.truncated & ~result.terminated)
            self._begin(ended)
        return self.agent_view.observe(), result.reward.astype(np.float32), ended, infos

    def action_masks(self) -> Bools:
        """Legal choices `[E, choices]`."""
        return self.agent_view.masks()

    def get_images(self) -> Sequence[AnyArray | None]:
        """An RGB image `[H, W, 3]` of every environment, where the render mode is "rgb_array"."""
        return cast("list[AnyArray | None]", self._frames() if self.render_mode == "rgb_array" else [])

    def close(self) -> None:
        """Nothing to release."""

    def env_method(
        self, method_name: str, *method_args: object, indices: VecEnvIndices = None, **method_kwargs: object
    ) -> list[object]:
        """What a method of single environments gives for each chosen one: `action_masks`, `render`."""
        if method_name not in _OF_EACH:
            raise AttributeError(f"env_method: {method_name!r}, expected one of {', '.join(_OF_EACH)}")
        rows = _OF_EACH[method_name](self, *method_args, **method_kwargs)
        return [rows[env] for env in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[object]:
        """Of each chosen environment, an attribute that it shares with all, or a method of its own."""
        if attr_name in _OF_EACH:
            return [partial(self._call_one, attr_name, env) for env in self._get_indices(indices)]
        value = getattr(self, attr_name)
        if inspect.ismethod(value):
            raise AttributeError(
                f"get_attr: {attr_name!r} acts on all environments at once; call it on the VecEnv itself"
            )
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refused: the environments share their settings."""
        raise AttributeError(f"set_attr: {attr_name!r}; make a new FederatedVecEnv with other settings")

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Never; but `episode` is reported as by a Monitor."""
        return [False for _ in self._get_indices(indices)]

    def _call_one(self, method_name: str, env: int, *args: object, **kwargs: object) -> object:
        return self.env_method(method_name, *args, indices=[env], **kwargs)[0]

    def _frames(self) -> list[str | AnyArray]:
        if self.render_mode is None:
            logger.warn("render: called without a render_mode; pass render_mode='ansi' or 'rgb_array'")
            return [None] * self.num_envs  # type: ignore[list-item]
        return list(self._viewers.frames())

    def _begin(self, envs: Bools) -> None:
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for env in np.flatnonzero(envs):
            seeds[env] = self._generators[env].integers(2**31, size=1)[0]
        self.agent_view.reset(envs, seeds)
        self._viewers.begin(envs)

    def _close(self, infos: list[Info], ended: Ints, truncated: Bools) -> None:
        """Enter what an episode came to, and what it saw last, in the infos of those that have ended."""
        info_totals, last = self.agent_view.world.totals(), self.agent_view.observe_some(ended)
        for at, env in enumerate(ended):
            totals = {name: values[env] for name, values in info_totals.items()}
            infos[env]["terminal_observation"] = one_of(last, at)
            infos[env]["TimeLimit.truncated"] = bool(truncated[env])
            infos[env]["episode_totals"] = totals
            infos[env].update({f"episode_{name}": value for name, value in totals.items()})
            infos[env]["episode"] = {
                "r": float(totals["net_points"]),
                "l": int(totals[self.agent_view.length]),
            }


_Rows: TypeAlias = Callable[..., Sequence[object] | AnyArray]

_OF_EACH: Mapping[str, _Rows] = {
    "action_masks": FederatedVecEnv.action_masks,
    "render": FederatedVecEnv._frames,
}
"""Methods that single environments have, and how the batch answers for all of them at once."""
