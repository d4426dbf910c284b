"""The Gymnasium environment: one world, one agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...common.arrays import AnyArray, Bools
from ...common.splits import Split
from ..agent_view import AnyObservation, Info, Menu, one_of
from ..mixture import MixtureWorld
from ..scenario import Scenario, ScenarioSource
from ..world import FederatedWorld
from .infos import info_of
from .objectives import objectives_of
from .specs import HasSpec, refuse_unknown_keywords
from .viewer import RENDER_FPS, RENDER_MODES, Viewers


class FederatedEnv(HasSpec, gym.Env[AnyObservation, AnyArray]):
    """Schedule one federated training run.

    ## Description
    A coordinator trains a model on clients that come and go. Every step is one round: the agent orders who
    trains, how many local steps each makes, how much data is sent along and how many answers to wait for, or
    lets time pass, or ends the run. The clients then really train a model; time, bytes, energy and emissions
    are charged by the rules in docs/mechanics.md.

    ## Observation
    `Dict(clients=[N, F], server=[G], zones=[Z, H])`, float32 in [-1, 1], described in `docs/environments.md`.
    `observation="flat"` (the ids `-flat-`): the same numbers as one vector, in the order of Gymnasium's
    `FlattenObservation`; `frugalfl.observation_columns(env.unwrapped.scenario)` names them.

    ## Action
    `action="levels"` (default): `MultiDiscrete([wait, quorum] + [steps] * N (+ [transfer] * N))`, with
    `action_masks()`. `action="discrete"`: `Discrete(K)`, a menu of schedulers. `action="scores"`:
    `Box(4 + N)`.

    ## Reward
    Validation accuracy gained, in points, minus the price of hours, GB and kg CO2e, and of what an
    eavesdropper could learn where `preferences` says `price_per_auc`. `vector_reward=True` returns the
    terms of `info["reward_terms"]` instead of their sum, or those named in `objectives`, the first with the
    sum of the others.

    ## Start, end
    An episode draws clients, devices, data partition, traces and (if they are ranges) prices from the seed.
    It terminates when the target accuracy is reached, a budget is exhausted, the agent ends the run or
    training diverges; it is truncated at the round limit, or after
    `spec.max_episode_steps` steps of any kind.

    Args:
        scenario: a packaged name ("phones", "volunteers", "spotmarket"), a YAML file or a mapping.
        split: "train", "val" or "test": disjoint seeds, client populations and trace windows.
        action: "levels", "discrete" or "scores".
        menu: entries of the "discrete" menu.
        vector_reward: whether the reward is a vector, by default
            `[accuracy, time, communication, emissions]`, with leakage where that has a price.
        render_mode: None, "ansi" or "rgb_array".
        observation: "dict" or "flat".
        objectives: terms of the vector reward that are objectives of their own, such as
            `["accuracy", "emissions"]`; the others are added to the first.
        **changes: fields of the scenario to replace, e.g. `clients=40`, `availability="sessions.txt"`,
            `preferences={"price_per_kg": 5}`.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    metadata: Info = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(
        self,
        scenario: ScenarioSource = "volunteers",
        split: Split = "train",
        action: str = "levels",
        menu: Menu | None = None,
        vector_reward: bool = False,
        render_mode: str | None = None,
        observation: str = "dict",
        objectives: Sequence[str] | None = None,
        **changes: object,
    ):
        refuse_unknown_keywords(type(self), changes)
        self.agent_view = self.view_type(scenario, 1, split, action, menu, None, observation, **changes)
        self.observation_space = self.agent_view.observation_space
        self.action_space = self.agent_view.action_mode.space  # type: ignore[assignment]
        self.render_mode = render_mode
        self._objectives = objectives_of(vector_reward, objectives, self.scenario.reward_terms)
        self._viewers = Viewers(self.agent_view.world, 1, render_mode, self.viewer_type)
        self._ready = False
        if self._objectives is not None:
            self.reward_space = self._objectives.space
            self.reward_dim = len(self._objectives.names)
            self.reference_point = self._objectives.reference_point.copy()

    @property
    def scenario(self) -> Scenario:
        """The validated `Scenario` of this world."""
        return self.agent_view.scenario

    @property
    def world(self) -> FederatedWorld | MixtureWorld:
        """The world of one environment behind it; for evaluators and viewers, never for agents."""
        return self.agent_view.world

    def use_action(self, action: str, menu: Menu | None = None) -> None:
        """Exchange the action space, see `action_modes`; the running episode ends without a step."""
        self.agent_view.use_action(action, menu)
        self.action_space = self.agent_view.action_mode.space  # type: ignore[assignment]
        self._ready = False

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[AnyObservation, Info]:
        """Begin an episode; `seed` also fixes all episodes after it."""
        super().reset(seed=seed)
        episode_seed = self.np_random.integers(2**31, size=1)
        self.agent_view.reset(np.ones(1, dtype=bool), episode_seed)
        self._ready = True
        self._viewers.begin(np.ones(1, dtype=bool))
        return one_of(self.agent_view.observe(), 0), info_of(self.agent_view.first_info(), 0)

    def step(self, action: AnyArray) -> tuple[AnyObservation, SupportsFloat, bool, bool, Info]:
        """Carry out one round; see the class."""
        if not self._ready:
            raise gym.error.ResetNeeded("step: called before reset() or after the end of an episode")
        result = self.agent_view.act(np.asarray(action)[None])
        info = info_of(self.agent_view.info(result), 0)
        terminated, truncated = bool(result.terminated[0]), bool(result.truncated[0])
        if terminated or truncated:
            self._ready = False
        self._viewers.record(result)
        reward: SupportsFloat = float(result.reward[0])
        if self._objectives is not None:
            reward = self._objectives.rewards(result.terms)[0]  # type: ignore[assignment]
        return one_of(self.agent_view.observe(), 0), reward, terminated, truncated, info

    def action_masks(self) -> Bools:
        """Legal choices of every dimension, flat, as sb3-contrib's MaskablePPO wants them."""
        masks: Bools = self.agent_view.masks()[0]
        return masks

    def render(self) -> str | NDArray[np.uint8] | None:  # type: ignore[override]
        """A page of text ("ansi") or an RGB image `[H, W, 3]` uint8 ("rgb_array") of the episode so far."""
        if self.render_mode is None:
            gym.logger.warn("render: called without a render_mode; pass render_mode='ansi' or 'rgb_array'")
            return None
        return self._viewers.frames()[0]
