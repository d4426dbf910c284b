"""Experiment: train a scheduler, compare it with the handcrafted ones, write down what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from ... import __version__
from ...common.files import clear_drafts, write_json
from ...envs.any_world import AnyScenario
from ...envs.serving import ServingScenario
from ..evaluation import EvaluationResult, evaluate, git_version, processor, versions
from ..learned.scheduler import LearnedScheduler
from ..learning import BEST_WARM_START, EVAL_EPISODES, NO_WARM_START, RunSettings
from ..learning.checkpoint import (
    has_checkpoint,
    latest_checkpoint,
    remove_old,
    save_tensors,
)
from ..learning.imitation import CloneSettings, Demonstrations, clone, clone_shown
from ..learning.run_folder import (
    CONFIG,
    CURVE,
    MODEL,
    RUN_FORMAT,
    TEST,
    read_config,
    training_worlds,
    write_curve,
)
from ..learning.training import CHECKPOINTS, Observer, TrainingRun
from ..offline import is_dataset
from ..offline.demonstrations import read_demonstrations
from ..players import AnyScheduler, make_player, name_players
from ..reports import write_report
from ..reports.html import write_html
from ..schedulers import best_tuned, strongest
from ..zoo import is_shipped
from .figures import figures_on_test
from .first_weights import FirstWeights
from .validation import Validation

ALL, BEST, NOBODY = "all", "best", "none"
"""`rivals` for every scheduler, for the `strongest` beside yardstick and best known in hindsight, none."""
BEST_RIVALS = 10


@dataclass(frozen=True)
class Outcome:
    """What a finished experiment left behind.

    Attributes:
        run: the training run.
        result: the evaluation on the `test` split.
        report: path of `report.md`.
    """

    run: TrainingRun
    result: EvaluationResult
    report: Path


class Experiment:
    """Everything of one run, built and checked before anything is written.

    Args:
        settings: what to train.
        out: folder of the run.
        eval_episodes: paired episodes of the final comparison.
        observer: hears about progress.
        rivals: names of the schedulers to compare with; `best` (the ten that did best when they were
            tuned in this world, random-m and the best known in hindsight), `all` or `none`.
        command: what began the run, for its papers.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    def __init__(
        self,
        settings: RunSettings,
        out: Path,
        eval_episodes: int = EVAL_EPISODES,
        observer: Observer | None = None,
        rivals: Sequence[str] = (BEST,),
        command: str = "",
    ):
        if eval_episodes < 1:
            raise ValueError(f"eval_episodes: {eval_episodes}, expected at least 1")
        self.settings, self.out, self.eval_episodes = settings.check(), out, eval_episodes
        self._observer, self.command = observer, command
        self._git = git_version()  # of the code that is loaded now, whatever is committed meanwhile
        self.env = training_worlds(settings)
        self.scenario = self.env.agent_view.scenario
        self.shown = self._read_shown()
        self.start = self._start_weights() if self.shown is None else None
        self.teacher = self._make_teacher() if self.shown is None and self.start is None else None
        self._rounds_before = self._count_rounds_before()
        self.rivals = {name: make_player(name, self.scenario) for name in _rivals(rivals, self.scenario)}
        self.run = TrainingRun(
            settings,
            self.env,
            out,
            validate=Validation(self.env, settings),
            warm_start=self.warm_start if self.shown or self.teacher or self.start else None,
            observer=observer,
        )

    def begin(self) -> None:
        """Claim the folder of a new run; ValueError if there is a run in it already."""
        if (self.out / CONFIG).exists() or has_checkpoint(self.out / CHECKPOINTS):
            raise ValueError(f"out: {self.out} already holds a run; choose another folder or add --resume")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"out: {self.out} is a file, expected a folder")
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_config()
        clear_drafts(self.out)

    def resume(self) -> int:
        """Load the run's last checkpoint; returns the rounds trained so far (0: there was none yet)."""
        self.command = read_config(self.out)[1].get("command") or self.command
        clear_drafts(self.out)
        if has_checkpoint(self.out / CHECKPOINTS):
            self.run.load(latest_checkpoint(self.out / CHECKPOINTS))
            remove_old(self.out / CHECKPOINTS)  # a run that was killed meanwhile has kept one too many
        return self.run.done

    def train(self) -> None:
        """Train to the end and write the model."""
        self.run.train()
        save_tensors(self.out / MODEL, self.run.best_model().policy.state_dict())
        self._write_config()
        write_curve(self.out / CURVE, self.run.history)

    def compare(self, command: str = "", progress: bool = True) -> Outcome:
        """Play the learned scheduler and all handcrafted ones on the same held-out episodes, and report."""
        learned = LearnedScheduler(
            self.run.best_model(),
            self.env.agent_view.encoder,
            self.env.agent_view.action_mode,
            name=self.settings.label,
            decision=self.run.best["decision"],
            frames=self.settings.policy.frames,
            rounds_trained=self.rounds_spent,
        )
        players: Mapping[str, AnyScheduler] = {learned.name: learned, **self.rivals}
        result = evaluate(
            players, self.scenario, self.eval_episodes, "test", self.settings.seed, progress=progress
        )
        write_json(self.out / TEST, figures_on_test(result, command, self._git))
        write_html(result, self.out / "report.html", command)
        return Outcome(self.run, result, write_report(result, self.out, command=command))

    @property
    def rounds_spent(self) -> int:
        """Rounds played until now to train it, those behind what it began with included."""
        return self.run.done + self._rounds_before

    def _count_rounds_before(self) -> int:
        """Rounds behind what training begins with: recorded or played to imitate, or of its first weights."""
        if self.shown is not None:
            return len(self.shown.actions)
        if self.start is None:
            return self.settings.warm_start_rounds if self.teacher else 0
        return self.start.rounds

    @property
    def _has_set_policy(self) -> bool:
        """Whether there is an actor that can be taught, or begin with the weights of another."""
        levels = isinstance(self.env.action_space, spaces.MultiDiscrete)
        return levels and self.settings.algo not in ("dqn", "sac")

    def _read_shown(self) -> Demonstrations | None:
        """The decisions of the recorded data set that `warm_start` names; None if it names none."""
        settings, env = self.settings, self.env
        if not is_dataset(settings.warm_start):
            return None
        if not self._has_set_policy:
            raise ValueError(
                f"warm_start: {settings.warm_start!r} with algo {settings.algo!r}, expected 'none'"
            )
        gamma, frames = getattr(settings.learner, "gamma", 1.0), settings.policy.frames
        return read_demonstrations(
            settings.warm_start, env.observation_space, env.action_space, gamma, frames
        )

    def _start_weights(self) -> FirstWeights | None:
        """Weights of the trained scheduler that `warm_start` names; None if it names none."""
        name = self.settings.warm_start
        if not (is_shipped(name) or Path(name).is_dir()):
            return None
        if not self._has_set_policy:
            raise ValueError(
                f"warm_start: {name!r} fits no policy of {self.settings.algo!r}, expected 'none'"
            )
        return FirstWeights.of(name, self.scenario)

    def _make_teacher(self) -> AnyScheduler | None:
        """Whom to imitate first; `best` is the scheduler that did best when it was tuned in this world."""
        settings, world = self.settings, self.scenario.name
        name = settings.warm_start
        if name == NO_WARM_START:
            return None
        if not self._has_set_policy:
            raise ValueError(
                f"warm_start: {name!r} with algo {settings.algo!r} on {settings.env!r}, expected 'none'"
            )
        if name != BEST_WARM_START:
            return make_player(name, self.scenario)
        best = best_tuned(world)
        if best is None:
            raise ValueError(
                f"warm_start: {name!r}, but no scheduler was tuned in {world!r}; expected a name or 'none'"
            )
        return make_player(best, self.scenario)

    def warm_start(self, model: BaseAlgorithm) -> None:
        """Begin with the weights, or the behaviour, of the scheduler that the settings name."""
        if self.start is not None:
            self.start.load_into(model)
            return
        observer, settings = self._observer, self.settings
        how = CloneSettings(settings.warm_start_rounds)
        scale, progress = settings.reward_scale, observer.warm_start if observer else None
        if self.shown is not None:
            taught = clone_shown(
                model, self.shown, how, reward_scale=scale, seed=settings.seed, progress=progress
            )
        else:
            assert self.teacher is not None
            taught = clone(
                model,
                self.env,
                self.teacher,
                how,
                reward_scale=scale,
                seed=settings.seed,
                progress=progress,
            )
        self.run.notes["warm_start"] = vars(taught)

    def _write_config(self) -> None:
        document = {
            "format": RUN_FORMAT,
            "version": __version__,
            "git": self._git,
            "versions": versions(),
            "processor": processor(),
            "command": self.command,
            "settings": self.settings.to_json(),
            "rounds_trained": self.rounds_spent,
            "best": self.run.best,
        }
        write_json(self.out / CONFIG, document)


def _rivals(names: Sequence[str], world: AnyScenario) -> list[str]:
    if list(names) == [NOBODY]:
        return []
    if list(names) == [BEST]:
        serves = isinstance(world, ServingScenario)
        ends = ("hub-only", "clairvoyant+hi-lcb+at-once") if serves else ("random-m", "clairvoyant")
        return list(dict.fromkeys([*strongest(world.name, BEST_RIVALS, serves), *ends]))
    return list(name_players(names, world)) if list(names) == [ALL] else list(dict.fromkeys(names))


def resume_command(out: Path, eval_episodes: int = EVAL_EPISODES) -> str:
    """The command that goes on with a run and ends it with the same comparison."""
    episodes = "" if eval_episodes == EVAL_EPISODES else f" --eval-episodes {eval_episodes}"
    return f"python train_agent.py --resume --out {shlex.quote(str(out))}{episodes}"
