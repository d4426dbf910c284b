"""Reinforcement learning in segments, so that a killed run goes on exactly where an unkilled one would be.

Before every segment all environments begin new episodes and every generator (Python, numpy, torch,
environments) is seeded from the run's seed and the segment's number; after it a checkpoint is written.
Nothing else carries over.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.utils import ConstantSchedule
from stable_baselines3.common.vec_env import VecEnv

from ...common.files import naming
from .algorithms import build_model, learning_rate_at
from .checkpoint import (
    Best,
    Checkpoint,
    RunState,
    StateDict,
    has_checkpoint,
    latest_checkpoint,
    save_checkpoint,
)
from .learners_view import EpisodeFigures, learners_view
from .settings import NO_WARM_START, RunSettings

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

Figures: TypeAlias = dict[str, float | None]
"""One line of the training curve."""


class Observer(Protocol):
    """Who wants to hear about a run; every method may do nothing."""

    def trained(self, done: int) -> None:
        """So many rounds are trained."""

    def segment(self, figures: Figures) -> None:
        """A segment is over; its line of the training curve."""

    def warm_start(self, share: float) -> None:
        """So much of the warm start is done."""


class Validator(Protocol):
    """Scores a model on the validation episodes."""

    def __call__(self, model: BaseAlgorithm) -> tuple[float, str]:
        """Mean net points, and the `decision` of `LearnedScheduler` that reached them."""
        ...


class TrainingRun:
    """One run: a model, its environments and the folder it lives in.

    Args:
        settings: what to train.
        env: training environments with `settings.num_envs` rows; the run wraps and keeps them.
        out: folder for checkpoints and TensorBoard logs; written to only from `train` on.
        validate: scores the model every `settings.validate_every` segments; None: the last model is the best.
        warm_start: teaches the untrained model, called once with the model and its unwrapped environments.
        observer: hears about progress.
    """

    def __init__(
        self,
        settings: RunSettings,
        env: VecEnv,
        out: Path,
        *,
        validate: Validator | None = None,
        warm_start: Callable[[BaseAlgorithm], None] | None = None,
        observer: Observer | None = None,
    ):
        self.settings = settings.check()
        self.out = out
        self.model = build_model(self.settings, learners_view(self.settings, env))
        self.segment = 0
        self.history: list[Figures] = []
        self.best: Best = {"net_points": None, "segment": None, "decision": "count"}
        self.notes: dict[str, object] = {}
        self._best_weights: StateDict | None = None
        self._validate, self._warm_start, self._observer = validate, warm_start, observer
        self._started = False

    @property
    def done(self) -> int:
        """Rounds trained so far."""
        return int(self.model.num_timesteps)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; ValueError if it is not one of this run."""
        document = checkpoint.document
        if document.get("settings") != self.settings.to_json():
            raise ValueError(f"checkpoint: {checkpoint.folder}: settings differ from this run's config.json")
        checkpoint.restore(self.model)
        self.segment = int(document["segment"])
        self.history = list(document["history"])
        self.best = document["best"]
        self.notes = dict(document["notes"])
        self._best_weights = checkpoint.best_policy(self.model.device)
        self._started = True

    def train(self) -> None:
        """Train to the end. Interrupted (Ctrl-C, a kill), what came after the last checkpoint is lost."""
        with naming(self.out / TENSORBOARD):
            self.model.set_logger(self._logger())
            if not self._started:
                self._begin()
            while self.done < self.settings.timesteps:
                self._train_segment()
            self.model.logger.close()

    def best_model(self) -> BaseAlgorithm:
        """The model with the weights that did best on the validation episodes."""
        if self._best_weights is not None:
            self.model.policy.load_state_dict(self._best_weights)
        return self.model

    def _begin(self) -> None:
        if self.settings.warm_start != NO_WARM_START and self._warm_start is not None:
            self._seed(2**31 - 1)
            self._warm_start(self.model)
        self._judge()
        self._save()
        self._started = True

    def _train_segment(self) -> None:
        settings, model = self.settings, self.model
        self._seed(self.segment)
        self._set_schedules()
        figures = EpisodeFigures(self._observer.trained if self._observer else None)
        length = min(settings.segment_steps, settings.timesteps - self.done)
        model.learn(length, callback=figures, reset_num_timesteps=False, log_interval=1)
        self.segment += 1
        line: Figures = {"rounds_trained": self.done, **figures.take()}
        if self.segment % settings.validate_every == 0 or self.done >= settings.timesteps:
            line["val_net_points"] = self._judge()
        self.history.append(line)
        self._save()
        if self._observer:
            self._observer.segment(line)

    def _seed(self, segment: int) -> None:
        """New episodes and new generators, fixed by the run's seed and the segment's number."""
        words = np.random.SeedSequence([self.settings.seed, segment]).generate_state(1)
        # Environment i gets seed + i; stay clear of 2**31.
        self.model.set_random_seed(int(words[0] % (2**31 - 1_000_000)))
        self.model._last_obs = None  # makes `learn` reset the environments

    def _set_schedules(self) -> None:
        """Constants within a segment: Stable-Baselines3's own schedules know only the call's length."""
        model, settings = self.model, self.settings
        model.lr_schedule = ConstantSchedule(learning_rate_at(settings, self.done))
        if isinstance(model, DQN):
            learner = settings.dqn
            faded = min(self.done / (learner.exploration_share * settings.timesteps), 1.0)
            epsilon = learner.initial_exploration * (1.0 - faded) + learner.final_exploration * faded
            model.exploration_schedule = ConstantSchedule(epsilon)
            model.exploration_rate = epsilon  # Stable-Baselines3 sets it only after the first step

    def _judge(self) -> float | None:
        """Score the model on the validation episodes and remember it if it is the best so far."""
        if self._validate is None:
            return None
        score, decision = self._validate(self.model)
        if not np.isfinite(score):
            raise ValueError(f"validation: net points {score}, expected a finite number")
        self.model.logger.record("val/net_points", score)
        self.model.logger.dump(self.done)
        best = self.best["net_points"]
        if best is None or score > best:
            self.best = {"net_points": score, "segment": self.segment, "decision": decision}
            state = self.model.policy.state_dict()
            self._best_weights = {name: tensor.detach().clone() for name, tensor in state.items()}
        return score

    def _save(self) -> None:
        document: RunState = {
            "settings": self.settings.to_json(),
            "segment": self.segment,
            "history": self.history,
            "best": self.best,
            "notes": self.notes,
        }
        save_checkpoint(self.out / CHECKPOINTS, self.model, document, self._best_weights)

    def _logger(self) -> Logger:
        return configure(str(self.out / TENSORBOARD), ["tensorboard"])


def rounds_on_disk(out: Path) -> int:
    """Rounds that the last checkpoint of a run holds; 0 if there is none."""
    root = out / CHECKPOINTS
    return latest_checkpoint(root).num_timesteps if has_checkpoint(root) else 0
