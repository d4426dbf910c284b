"""An evolutionary search for a linear rule, and what it found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.scenario import Scenario
from ...evaluation.measures import interquartile_mean
from ...schedulers import StoredSetting
from ...schedulers.linear import (
    WEIGHTS,
    Knowledge,
    LinearRule,
    Middle,
    Theta,
    by_name,
    free_weights,
    theta_rows,
)
from ..search import check_budget, fingerprint


@dataclass(frozen=True)
class Evolution:
    """Which rule is searched, where, and with how many rounds.

    Attributes:
        scenario: the world.
        rounds: of training that the search may spend: every decision played, in training and validation
            episodes alike. 600,000 is more than a learned scheduler has by default.
        seed: of the search; its validation episodes are those of `tune` with the same seed.
        val_episodes: on which the centre of the search is scored.
        freeze: decisions held at constants, see `FREEZABLE`; their weights are not searched.
        knowledge: which future the rule is shown, see `LinearRule`.
        start: weights to begin with; None: those of `WEIGHTS`.
        width: how far the search looks at first, in units of each weight's own spread.
        candidates: per generation.
        episodes: training episodes of each candidate, new ones in each generation, the same for all of it.
    """

    scenario: Scenario
    rounds: int = 600_000
    seed: int = 0
    val_episodes: int = 32
    freeze: Mapping[str, float] = field(default_factory=dict)
    knowledge: Knowledge = "real"
    start: Theta | None = None
    width: float = 1.0
    candidates: int = 20
    episodes: int = 12

    @property
    def middle(self) -> Middle:
        """The middle of the world's prices and hours."""
        return Middle.of(self.scenario)

    @property
    def centre(self) -> Floats:
        """`[P]`, the weights to begin with."""
        rows = theta_rows(self.start)
        if len(rows) != 1:
            raise ValueError(f"start: {len(rows)} rows of weights, expected one")
        first: Floats = rows[0]
        return first

    def rule(self, theta: Theta) -> LinearRule:
        """The rule with some weights, no client given more steps than an agent's menu here has."""
        most_steps, bits = int(self.scenario.levels.local_steps[-1]), self.scenario.levels.upload_bits
        room = (bits[0], bits[-1]) if bits else (0, 0)
        whom = self.scenario.refresh_levels
        return LinearRule(theta, self.middle, most_steps, self.freeze, self.knowledge, *room, whom)

    @property
    def free(self) -> Bools:
        """Bool `[P]`: the weights that are searched: of decisions that are not frozen and offered here."""
        silent = dict(self.freeze)
        if not self.scenario.levels.upload_bits:
            silent |= {"upload_bits": 0.0}
        if self._served:
            silent |= {"transfer_samples": 0.0}  # no hub has data where clients live on what they are asked
        if len(self.scenario.refresh_levels) < 2:
            silent |= {"refresh": 0.0}
        return free_weights(silent, self._served)

    @property
    def _served(self) -> bool:
        """Whether models serve in this world."""
        return self.scenario.arrivals is not None

    def check(self) -> Evolution:
        """Return the search if it can be begun; ValueError naming the field that is wrong."""
        check_budget("val", rounds=self.rounds, val_episodes=self.val_episodes)
        if self.candidates < 4 or self.episodes < 1:
            raise ValueError(
                f"candidates, episodes: {self.candidates}, {self.episodes}, expected at least 4 and 1"
            )
        if not 0 < self.width < math.inf:
            raise ValueError(f"width: {self.width}, expected a number above 0")
        self.rule(self.centre)
        return self

    def head(self) -> dict[str, object]:
        """What makes it this search and no other, JSON-able."""
        kept = ("rounds", "seed", "val_episodes", "knowledge", "width", "candidates", "episodes")
        head: dict[str, object] = {name: getattr(self, name) for name in kept}
        known = [self._served or not each.served for each in WEIGHTS.values()]
        return head | {
            "freeze": dict(self.freeze),
            "start": fingerprint(self.centre[known].tolist()),
            "weights": fingerprint([name for name, here in zip(WEIGHTS, known, strict=True) if here]),
            "world": fingerprint(self.scenario),
        }


@dataclass(frozen=True)
class Generation:
    """How far a search had come.

    Attributes:
        rounds: spent so far.
        train_points: mean net points of the candidates; None where only the centre was scored.
        val_points: mean net points of the centre on the validation episodes; None where it was not scored.
    """

    rounds: int
    train_points: float | None
    val_points: float | None


@dataclass(frozen=True)
class Evolved:
    """What a search found.

    Attributes:
        theta: `[P]`, the best centre by the mean over the validation episodes.
        start: `[P]`, the weights that the search began with.
        val_points: `[V]`, its net points in each of them.
        start_points: `[V]`, those of `start`.
        rounds: of training spent.
        history: all generations.
        rule: plays with these weights.
    """

    theta: tuple[float, ...]
    start: tuple[float, ...]
    val_points: Floats
    start_points: Floats
    rounds: int
    history: tuple[Generation, ...]
    rule: LinearRule

    @property
    def scheduler(self) -> str:
        """Its name."""
        return self.rule.name

    @property
    def score(self) -> float:
        """Interquartile mean of the validation net points, as `tune` scores."""
        return float(interquartile_mean(self.val_points))

    @property
    def default_score(self) -> float:
        """The same of the weights that the search began with."""
        return float(interquartile_mean(self.start_points))

    @property
    def settings(self) -> dict[str, StoredSetting]:
        """What `make_scheduler` builds the rule of."""
        return self._settings(self.theta)

    @property
    def start_settings(self) -> dict[str, StoredSetting]:
        """The same for the weights that the search began with."""
        return self._settings(self.start)

    @property
    def contenders(self) -> list[tuple[Mapping[str, StoredSetting], float]]:
        """What was found, and its score: of the centres the search has chosen one itself."""
        return [(self.settings, self.score)]

    def _settings(self, theta: tuple[float, ...]) -> dict[str, StoredSetting]:
        middle = {name: float(value) for name, value in vars(self.rule.middle).items()}
        return {
            "theta": by_name(np.array(theta)),
            "middle": middle,
            "most_steps": self.rule.most_steps,
            **{name: value for name, value in self.rule.bits.items() if value},
            **({"refresh": list(self.rule.refresh)} if self.rule.refresh else {}),
        }
