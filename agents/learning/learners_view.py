"""Wrapper of the environments for learners: scaled rewards, stacked frames, statistics of episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ...envs.agent_view import AgentView
from ..learned import FrameStack, stacked_space
from .foresight import foresight, with_foresight
from .settings import RunSettings

EPISODE_FIGURES = ("net_points", "accuracy", "hours", "gigabytes", "kilograms", "wasted_share", "rounds")
"""Episode totals that are logged during training."""
_WITH_CRITIC = ("ppo", "maskable-ppo", "a2c")


class LearnersView(VecEnvWrapper):
    """Rewards in convenient units, and a round limit that really ends the episode.

    Net points are counted up to the round limit and the observation says how many rounds are left, so the
    limit is part of the task: bootstrapping a value behind it would reward investments that never pay.

    Args:
        venv: the environments.
        reward_scale: accuracy points per unit of reward.
        frames: observations that are seen at once, see `FrameStack`.
        view: of these environments, if observations are to have the true future, see `foresight`.
    """

    def __init__(self, venv: VecEnv, reward_scale: float, frames: int = 1, view: AgentView | None = None):
        space = venv.observation_space
        if frames > 1:
            assert isinstance(space, spaces.Dict)
            space = stacked_space(space, frames)
        if view is not None:
            assert isinstance(space, spaces.Dict)
            space = with_foresight(space, len(view.scenario.forecasting.carbon_leads_s))
        super().__init__(venv, observation_space=space)
        self.reward_scale, self._frames, self._view = reward_scale, FrameStack(frames), view

    def reset(self) -> VecEnvObs:
        """New episodes everywhere."""
        observation = self.venv.reset()
        self._frames.forget(np.ones(self.num_envs, dtype=bool))
        return self._shown(observation)

    def step_wait(self) -> VecEnvStepReturn:
        """Scaled rewards; `episode` and `episode_totals` keep their accuracy points."""
        observation, rewards, dones, infos = self.venv.step_wait()
        for index in np.flatnonzero(dones):
            infos[index]["TimeLimit.truncated"] = False
            last = infos[index]["terminal_observation"]
            infos[index]["terminal_observation"] = self._frames.ending(int(index), last)
        self._frames.forget(dones)
        return self._shown(observation), (rewards / self.reward_scale).astype(np.float32), dones, infos

    def _shown(self, observation: VecEnvObs) -> VecEnvObs:
        """The frames that are seen at once, and the future where it is shown."""
        seen = self._frames.add(observation)  # type: ignore[arg-type]
        if self._view is None:
            return seen
        return {**seen, **foresight(self._view.world.situation(clairvoyant=True))}


def learners_view(settings: RunSettings, venv: VecEnv) -> LearnersView:
    """The environments of a run as its algorithm sees them.

    Raises:
        ValueError: its critic is to see the future where there is no such critic, or no such future.
    """
    policy, view = settings.policy, getattr(venv, "agent_view", None)
    if not policy.foresight:
        return LearnersView(venv, settings.reward_scale, policy.frames)
    on_levels = isinstance(venv.action_space, spaces.MultiDiscrete) and settings.algo in _WITH_CRITIC
    if not on_levels or not isinstance(view, AgentView):
        raise ValueError(
            f"policy.foresight: True, expected False with {settings.algo!r} on {settings.env!r}: a set "
            f"policy's critic can be shown the future of a world of training, with {', '.join(_WITH_CRITIC)}"
        )
    return LearnersView(venv, settings.reward_scale, policy.frames, view)


class EpisodeFigures(BaseCallback):
    """Collects the totals of finished episodes, logs their means and reports progress.

    Args:
        on_step: called with the number of rounds trained so far, after every step of all environments.
    """

    def __init__(self, on_step: Callable[[int], None] | None = None):
        super().__init__()
        self._report = on_step
        self._since_log: list[Mapping[str, float]] = []
        self._since_take: list[Mapping[str, float]] = []

    def take(self) -> dict[str, float]:
        """Means over the episodes finished since the last call; empty if there were none."""
        means = _means(self._since_take)
        self._since_take = []
        return means

    def _on_step(self) -> bool:
        finished = [info["episode_totals"] for info in self.locals["infos"] if "episode_totals" in info]
        self._since_log += finished
        self._since_take += finished
        if self._report is not None:
            self._report(self.num_timesteps)
        return True

    def _on_rollout_end(self) -> None:
        for name, value in _means(self._since_log).items():
            self.logger.record(f"episode/{name}", value)
        # Off-policy rollouts are a single step; keep a window so that every log line averages something.
        self._since_log = self._since_log[-100:]


def _means(episodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not episodes:
        return {}
    names = [name for name in EPISODE_FIGURES if name in episodes[0]]
    return {name: float(np.mean([totals[name] for totals in episodes])) for name in names}
