"""What `frugalfl tune` is asked to search.

`frugalfl tune --help`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...envs.scenario import scenario_names
from ...envs.serving import serving_names
from .stored import TUNED_FOLDER


@dataclass
class Options:
    """Tune handcrafted schedulers on a world's validation split and store the best settings.

    Every scheduler gets the same number of trials on the same episodes, or the same number of rounds of
    training: two thirds in a search of its own (draws around its defaults, then Optuna's TPE sampler), one
    third that starts from the best settings that any of them found. The best of these are scored on other
    episodes, as the luckiest of many trials is not the best. The weights of linear-rule are found by
    evolution. Interrupted searches go on where they stopped when the same command is given again.

    Attributes:
        world: name of a packaged scenario, of training or of serving, a YAML file, or "all" for every
            packaged one.
        schedulers: which to tune, package.module:Class for one's own; in worlds of serving policies by their
            parts, such as survival-greedy+hi-lcb; none named: all that can be tuned.
        trials: settings tried per scheduler.
        rounds: of training spent per scheduler, instead of a number of trials: every decision played counts.
            None: the trials; 600,000 for linear-rule.
        episodes: episodes per trial.
        finalists: how many of the best trials are played once more, on episodes that the search has not seen.
            The settings with which it began, and those in --out, are played with them; the best are stored.
        held_out: how many such episodes.
        seed: of the episodes and of the search.
        jobs: processes of the local engine.
        log: folder of the trials, one Optuna journal per search.
        out: folder of the files with the best settings, <world>.json.
        engine: local: processes of this machine; ray: the machines of a Ray cluster.
        address: of a running Ray cluster, HOST:PORT.
        algorithm: tune the hyperparameters of this learning algorithm instead (ppo, maskable-ppo, a2c, dqn,
            sac): every trial is a short training.
        timesteps: rounds of each such training.
        training: tune how clients and server train instead (learning rates, batch, server optimiser), as the
            schedulers named score with it; none named: random-m and mpc.
    """

    world: str = "all"
    schedulers: tuple[str, ...] = ()
    trials: int = 60
    rounds: int | None = None
    episodes: int = 32
    finalists: int = 8
    held_out: int = 128
    seed: int = 0
    jobs: int = 2
    log: Path = Path("runs/tuning")
    out: Path = TUNED_FOLDER
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    algorithm: str | None = None
    timesteps: int = 30_000
    training: bool = False

    @property
    def worlds(self) -> list[str]:
        """Names or YAML files of the worlds."""
        if self.world != "all":
            return [self.world]
        # Whoever is named, or learns, or how clients train: all of that is of worlds of training.
        training = bool(self.schedulers) or self.training or self.algorithm is not None
        return [*scenario_names(), *([] if training else serving_names())]
