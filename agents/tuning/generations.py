"""Trials in generations: a search whose trials are dear and are carried out side by side.

Trials are proposed in generations of four from all earlier generations, and a generation is carried out side
by side; so the trials do not depend on how many processes there are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..execution import Engine
from ..schedulers.base import Setting
from .search_space import SearchSpace
from .trial_log import Journal, Trial

GENERATION = 4
"""Trials proposed together."""


@dataclass(frozen=True)
class Generations:
    """What is searched, and by which random numbers.

    Attributes:
        label: what errors call it; searches of another label draw other settings.
        space: what may be changed.
        defaults: the settings of trial 0.
        trials: how many.
        seed: of the proposals.
    """

    label: str
    space: SearchSpace
    defaults: Mapping[str, Setting]
    trials: int
    seed: int

    def run(
        self,
        journal: Journal,
        engine: Engine,
        job: Callable[..., tuple[float, int]],
        arguments: Callable[[int, Mapping[str, Setting]], tuple[object, ...]],
        after: Callable[[int], None] = lambda number: None,
    ) -> list[Trial]:
        """All trials; those in the journal are not played again.

        Args:
            journal: of this search.
            engine: who carries the trials out.
            job: plays one trial in another process; gives its score, and the rounds of training it spent.
            arguments: of the job, for a trial's number and its changes of the defaults.
            after: called with the number of every trial that is in the journal now.

        Raises:
            ValueError: a trial crashed twice.
        """
        found = journal.trials()[: self.trials]
        while len(found) < self.trials:
            # From whole generations only, also where a kill has cut the last one short.
            first = len(found) - len(found) % GENERATION
            numbers = range(len(found), min(first + GENERATION, self.trials))
            proposals = {number: self._propose(number, found[:first]) for number in numbers}
            scores: dict[int, tuple[float, int]] = {}
            work = {str(number): arguments(number, changes) for number, changes in proposals.items()}
            for landed in engine.run(job, work):
                if landed.failure is not None:
                    raise ValueError(f"trial {landed.key} of {self.label}: {landed.failure}")
                scores[int(landed.key)] = landed.result()
            for number, changes in proposals.items():
                different = {name: value for name, value in changes.items() if value != self.defaults[name]}
                found.append(Trial(number, different, *scores[number]))
                journal.append(found[-1], self.space)
                after(number)
        return found

    def _propose(self, number: int, past: list[Trial]) -> dict[str, Setting]:
        if number == 0:
            return {}
        words = [0x1EA2, self.seed, zlib.crc32(self.label.encode()), number]
        if not past:
            rng = np.random.default_rng(words)
            return {name: value for name, value in self.space.draw(rng).items() if rng.random() < 0.5}
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        known = [self.space.frozen(trial.settings, trial.score) for trial in past]
        return self.space.settings(self.space.suggest(known, seed))
