"""Behaviour cloning from a recorded data set: the same demonstrations that imitation would play itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gymnasium import spaces

from ..learned import FrameStack
from ..learning.imitation import Demonstrations, discounted_returns
from .minari_files import read_dataset


def read_demonstrations(
    folder: Path | str,
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
    gamma: float = 1.0,
    frames: int = 1,
) -> Demonstrations:
    """Every decision of a data set, for `agents.learning.imitation.clone_shown`.

    Args:
        folder: a data set that `frugalfl record` wrote.
        observation_space: of the environment that is learned in, without frames.
        action_space: likewise.
        gamma: discount of the returns.
        frames: observations that the learner sees at once.

    Raises:
        ValueError: no data set, or one of another world or action.
    """
    dataset = read_dataset(folder)
    for what, recorded, own in (
        ("observations", dataset.observation_space, observation_space),
        ("actions", dataset.action_space, action_space),
    ):
        if recorded != own:
            raise ValueError(
                f"{folder}: {what} of {recorded}, expected {own}; record in the world to learn in"
            )
    observations: list[dict[str, np.ndarray]] = []
    actions, returns, totals = [], [], []
    for episode in dataset.iterate_episodes():
        memory, seen = FrameStack(frames), episode.observations
        memory.forget(np.ones(1, dtype=bool))
        for index in range(len(episode.actions)):
            stacked = memory.add({name: rows[index : index + 1] for name, rows in seen.items()})
            observations.append({name: rows[0] for name, rows in stacked.items()})
        actions.append(episode.actions)
        returns.append(discounted_returns(episode.rewards, gamma))
        totals.append(float(episode.rewards.sum()))
    return Demonstrations(
        observations={name: np.stack([each[name] for each in observations]) for name in observations[0]},
        actions=np.concatenate(actions),
        returns=np.concatenate(returns),
        episodes=len(totals),
        net_points=float(np.mean(totals)),
    )
