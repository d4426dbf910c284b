"""E worlds stepped in one call as a Gymnasium vector environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import logger
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...common.arrays import AnyArray, Bools
from ...common.splits import Split
from ..agent_view import AnyObservation, Info, Menu, one_of
from ..mixture import MixtureWorld
from ..scenario import ScenarioSource
from ..world import FederatedWorld
from .infos import choose_rows, with_masks
from .objectives import objectives_of
from .specs import HasSpec, refuse_unknown_keywords
from .viewer import RENDER_FPS, RENDER_MODES, Viewers


class FederatedVectorEnv(HasSpec, VectorEnv[AnyObservation, AnyArray, AnyArray]):
    """The batch behind `gym.make_vec(id, num_envs=E, vectorization_mode="vector_entry_point")`.

    All clients of all environments train in one batch. Seeded alike, environment i and a single
    `FederatedEnv` play identical episodes.

    Args:
        num_envs: E.
        scenario: see `FederatedEnv`.
        split: see `FederatedEnv`.
        action: see `FederatedEnv`.
        menu: see `FederatedEnv`.
        vector_reward: see `FederatedEnv`.
        render_mode: None, "ansi" or "rgb_array": `render()` gives a page or an image of each environment.
        autoreset_mode: Gymnasium's `AutoresetMode`, or its value: "NextStep", "SameStep" or "Disabled".
        max_episode_steps: steps after which episodes are truncated, as Gymnasium's `TimeLimit` does with
            single environments; None: the world's own limits.
        observation: see `FederatedEnv`.
        objectives: see `FederatedEnv`.
        **changes: fields of the scenario to replace.
    """

    metadata: Info = {  # noqa: RUF012
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        scenario: ScenarioSource = "volunteers",
        split: Split = "train",
        action: str = "levels",
        menu: Menu | None = None,
        vector_reward: bool = False,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        observation: str = "dict",
        objectives: Sequence[str] | None = None,
        **changes: object,
    ):
        refuse_unknown_keywords(type(self), changes)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.agent_view = self.view_type(
            scenario, num_envs, split, action, menu, max_episode_steps, observation, **changes
        )
        self._viewers = Viewers(self.agent_view.world, num_envs, render_mode, self.viewer_type)
        self.single_observation_space = self.agent_view.observation_space
        self.single_action_space = self.agent_view.action_mode.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        terms = self.agent_view.scenario.reward_terms
        self._objectives = objectives_of(vector_reward, objectives, terms)
        if self._objectives is not None:
            self.reward_space = self._objectives.space
            self.reference_point = self._objectives.reference_point.copy()
        self._generators = [seeding.np_random(None)[0] for _ in range(num_envs)]
        self._ended = np.ones(num_envs, dtype=bool)

    @property
    def world(self) -> FederatedWorld | MixtureWorld:
        """The batch of worlds behind it; for evaluators, never for agents."""
        return self.agent_view.world

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Info | None = None,
    ) -> tuple[AnyObservation, Info]:
        """Begin new episodes everywhere, or only where `options={"reset_mask": [E]}` says."""
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if seeds is not None:
            if len(seeds) != self.num_envs:
                raise ValueError(
                    f"seed: {len(seeds)} seeds, expected one for each of {self.num_envs} environments"
                )
            for env, own in enumerate(seeds):
                if own is not None:
                    self._generators[env] = seeding.np_random(own)[0]
        mask = np.ones(self.num_envs, dtype=bool)
        if options and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], dtype=bool)
        self._begin(mask)
        return self.agent_view.observe(), with_masks(self.agent_view.first_info(), mask)

    def step(self, actions: AnyArray) -> tuple[AnyObservation, AnyArray, AnyArray, AnyArray, Info]:
        """Step all environments; ended ones follow the autoreset mode."""
        starting = self._ended.copy()
        if self.autoreset_mode == AutoresetMode.DISABLED and starting.any():
            raise ValueError("step: some episodes have ended; reset them with the option 'reset_mask'")
        result = self.agent_view.act(np.asarray(actions))
        self._viewers.record(result)
        info, told = self.agent_view.info(result), result.active
        ended = result.terminated | result.truncated
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and starting.any():
            info, told = self._begin_among(starting, info), told | starting
        self._ended = ended
        observation, final = self.agent_view.observe(), {}
        if self.autoreset_mode == AutoresetMode.SAME_STEP and ended.any():
            final = self._final(observation, info, ended)
            info = self._begin_among(ended, info)
            observation = self.agent_view.observe()
        infos = {**with_masks(info, told), **final}
        reward = result.reward if self._objectives is None else self._objectives.rewards(result.terms)
        return observation, reward, result.terminated.copy(), result.truncated.copy(), infos

    def action_masks(self) -> Bools:
        """Legal choices `[E, choices]`."""
        return self.agent_view.masks()

    def render(self) -> tuple[str | NDArray[np.uint8], ...] | None:  # type: ignore[override]
        """Of every environment, a page of text ("ansi") or an RGB image `[H, W, 3]` ("rgb_array")."""
        if self.render_mode is None:
            logger.warn("render: called without a render_mode; pass render_mode='ansi' or 'rgb_array'")
            return None
        return tuple(self._viewers.frames())

    def _begin(self, envs: Bools) -> None:
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for env in np.flatnonzero(envs):
            seeds[env] = self._generators[env].integers(2**31, size=1)[0]
        self.agent_view.reset(envs, seeds)
        self._viewers.begin(envs)
        self._ended = self._ended & ~envs

    def _begin_among(self, envs: Bools, info: Info) -> Info:
        """New episodes in the rows of `envs`, whose infos become those of a reset."""
        self._begin(envs)
        return choose_rows(envs, self.agent_view.first_info(), info)

    def _final(self, observation: AnyObservation, info: Info, ended: Bools) -> Info:
        """Gymnasium's SAME_STEP convention: the last observation and info of ended episodes."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        for env in np.flatnonzero(ended):
            final_obs[env] = one_of(observation, int(env))
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": with_masks(info, ended),
            "_final_info": ended.copy(),
        }
