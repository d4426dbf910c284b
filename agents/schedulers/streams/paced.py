"""Base of schedulers that say when to train while the model serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....common.units import SECONDS_PER_HOUR
from ....envs.contract import PAST, STOP_S, Situation
from ..base import Rule, State, knob

_SHORTEST_WAIT_S = 60.0


@dataclass(kw_only=True)
class Paced(Rule):
    """Random m participants at times that a subclass says; between them the model serves as it is."""

    look_s: float = knob(
        1800.0, "seconds until the next look, where no round is due", low=300.0, high=14400.0, log=True
    )
    rest_h: float = knob(0.0, "no more rounds in the last hours of the budget", low=0.25, high=12.0, off=0.0)

    def due(self, situation: Situation) -> Bools:
        """Where a round is due, bool `[E]`; called once per decision."""
        raise NotImplementedError

    def over(self, situation: Situation) -> Bools:
        """Where no round will ever be due again, bool `[E]`; here: nowhere."""
        return np.zeros(situation.num_envs, dtype=bool)

    def pause_s(self, situation: Situation) -> Floats:
        """Seconds `[E]` to the next decision where no round is due; here: `look_s`."""
        return np.full(situation.num_envs, self.look_s)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `due` `[E]`, what was said at this decision."""
        return super().fresh_state(num_envs, num_clients) | {"due": np.zeros(num_envs, dtype=bool)}

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Nobody where no round is due, else whom the rule prefers."""
        self.state["due"] = self.due(situation)
        chosen = super().choose(situation, allowed, wanted, steps)
        return chosen & self.state["due"][:, None]

    def _wait(self, situation: Situation, chosen: Bools) -> Floats:
        """A pause where no round is due; the end where none will be."""
        wait_s = super()._wait(situation, chosen)
        pause_s = np.maximum(self.pause_s(situation), _SHORTEST_WAIT_S)
        wait_s = np.where(self.state["due"] | np.isinf(wait_s), wait_s, pause_s)
        resting = situation.terms.budget_left[:, 0] <= self.rest_h
        return np.where(self.over(situation) | resting, STOP_S, wait_s)


@dataclass(kw_only=True)
class Bursts(Paced):
    """Rounds in bursts, a while apart, and single ones in the long pauses between them.

    Right after a drift memories still hold what was before it, and whoever is away has the old model: rounds
    that follow one another at once learn less than the same number over some hours, and somebody has to bring
    the model to those who came back since. In a world without streams there is nothing to wait for.
    """

    spacing_s: float = knob(
        1800.0, "seconds from round to round in a burst, at least", low=300.0, high=14400.0, log=True, off=0.0
    )
    upkeep_h: float = knob(
        2.0,
        "a round after so many hours without one, whatever happens",
        low=0.5,
        high=24.0,
        log=True,
        off=0.0,
    )

    def wanted(self, situation: Situation) -> Bools:
        """Where a burst lasts, bool `[E]`; called once per decision."""
        raise NotImplementedError

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds when the last round began, and whether a burst lasts, each `[E]`."""
        more: State = {"began_s": np.full(num_envs, -np.inf), "burst": np.zeros(num_envs, dtype=bool)}
        return super().fresh_state(num_envs, num_clients) | more

    def due(self, situation: Situation) -> Bools:
        """Where a burst lasts and the last round is long enough ago, or too long."""
        self.state["burst"] = self.wanted(situation)
        ago_s = situation.run.time_s - self.state["began_s"] + 1e-6
        upkeep = self._keeps_up(situation) & (ago_s >= self.upkeep_h * SECONDS_PER_HOUR)
        apart = (ago_s >= self.spacing_s) | (situation.stream is None)
        return np.asarray((self.state["burst"] & apart) | upkeep)

    def pause_s(self, situation: Situation) -> Floats:
        """Until the next round of the burst, else a look, or until the model has to be brought round."""
        ago_s = situation.run.time_s - self.state["began_s"]
        pause_s = np.where(self.state["burst"], self.spacing_s - ago_s, super().pause_s(situation))
        if self._keeps_up(situation):
            pause_s = np.minimum(pause_s, self.upkeep_h * SECONDS_PER_HOUR - ago_s)
        return np.asarray(pause_s)

    def _keeps_up(self, situation: Situation) -> bool:
        """Whether rounds are held for those who have come since the last one."""
        return self.upkeep_h > 0 and situation.stream is not None

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Note when the round began."""
        self.state["began_s"] = np.where(trained.any(axis=1), situation.run.time_s, self.state["began_s"])


def flattened(situation: Situation, gain: float) -> Bools:
    """Whether the last five training rounds have gained fewer than so many points of accuracy, bool `[E]`."""
    past = situation.run.past_accuracy
    enough = situation.run.round_index >= PAST - 1
    return np.asarray(enough & (100 * (past[:, -1] - past[:, 0]) < gain))


def news(situation: Situation) -> tuple[Floats, Floats]:
    """Answers that became known since the last decision, and how many of them were wrong, each `[E]`.

    None in worlds without streams.
    """
    if situation.stream is None:
        return np.zeros(situation.num_envs), np.zeros(situation.num_envs)
    labels, right = situation.stream.labels.sum(axis=1), situation.stream.right.sum(axis=1)
    return labels.astype(np.float64), (labels - right).astype(np.float64)
