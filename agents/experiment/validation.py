"""Validation during training: the same episodes of the val split, again and again."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from ...envs.adapters.sb3_vec_env import FederatedVecEnv
from ...envs.any_world import make_any_world
from ...envs.serving import ServingWorld
from ..evaluation import episode_seeds, play_batch
from ..learned.scheduler import LearnedScheduler
from ..learning import RunSettings

GREEDY = "count"
"""How a trained scheduler decides, see `LearnedScheduler`."""
DRAWN = "sample"
"""The other way, tried too in worlds of serving: where a slot may be loaded in any of many steps, its
likeliest order is always to stay as it is."""
_VALIDATION_SEED = 71
"""Offset that keeps validation episodes apart from any evaluation on `val` with the run's own seed."""


class Validation:
    """Scores a model on fixed episodes of the `val` split, by what the reward sums to.

    Args:
        env: the training environments, for their scenario, encoder and actions.
        settings: number of episodes and seed.
    """

    def __init__(self, env: FederatedVecEnv, settings: RunSettings):
        self._view = env.agent_view
        self._frames = settings.policy.frames
        self._seeds = episode_seeds(settings.seed + _VALIDATION_SEED, settings.val_episodes)
        self._world = make_any_world(self._view.scenario, settings.val_episodes, "val")

    def __call__(self, model: BaseAlgorithm) -> tuple[float, str]:
        """Mean net points of the better way to play, and its name; in training who draws ends lower."""
        ways = (GREEDY, DRAWN) if isinstance(self._world, ServingWorld) else (GREEDY,)
        scores = {way: self.score(model, way) for way in ways}
        best = max(scores, key=lambda way: scores[way])
        return scores[best], best

    def score(self, model: BaseAlgorithm, decision: str) -> float:
        """Mean net points of one way to take decisions."""
        view = self._view
        player = LearnedScheduler(
            model, view.encoder, view.action_mode, decision=decision, frames=self._frames
        )
        frame, _, _ = play_batch("candidate", player, self._world, self._seeds, hindsight=False)
        return float(np.mean(frame["val_net_points"]))
