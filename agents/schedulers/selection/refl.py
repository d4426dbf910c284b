"""REFL: least available clients first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation, survival
from ..base import Rule, State, knob, switch, top_m

_SMOOTHING = 0.25
"""Weight of the past in the expected length of a round, mu <- 0.75 D + 0.25 mu."""


_PRESENT = 0.5
"""A client whose chance to be there is at least this counts as there."""


@dataclass(kw_only=True)
class Refl(Rule):
    """REFL: the m clients least likely to be available a round later (Abdelmoniem et al. 2023).

    The m candidates least likely to be available a round later, of those likely to finish this one; nobody
    twice within five rounds.
    Paper: Abdelmoniem et al., "REFL: Resource-Efficient Federated Learning", EuroSys 2023. IPS: with mu the
    expected length of a round, mu <- 0.75 D + 0.25 mu, the availability forecast for [mu, 2 mu] orders the
    candidates, the least available first, ties at random. As in the paper's code a candidate has to be there
    for the round itself, [0, mu]: here, more likely than not. A client is not selected again for `cooldown`
    rounds. Where too few such clients are there the others fill up, last selected last (the paper has 1000
    clients, some worlds have 16). APT (`adaptive_target`): one client fewer for each one of the last round
    that was cut off but is expected to finish within mu, but at least `least_participants`.
    SAA, the paper's weighting of late updates, is no matter of the schedule: a world has it by its `late`
    option, `{kind: staleness}`. Without it what a cut-off client had done is lost, and APT saves cost only.
    Needs: availability forecast, announced ends, durations.
    Aggregation: the world's aggregator; biased by design.
    Defaults: 5 rounds apart, no APT, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "refl"

    cooldown: int = knob(
        5, "training rounds before a client is selected again", low=1, high=50, log=True, off=0
    )
    adaptive_target: bool = switch(False, "APT: fewer new clients while stragglers are expected")
    least_participants: int = knob(1, "clients per round with APT, at least", low=1, high=100, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the expected round, who is resting, and what is needed to see the stragglers."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "expected_s": np.full(num_envs, np.nan),
            "began_s": np.full(num_envs, np.nan),
            "selected_at": np.full(shape, -np.inf),
            "invited": np.zeros(shape, dtype=bool),
            "needed_s": np.zeros(shape),
            "completions": np.zeros(shape, dtype=np.int64),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Rested and soon gone, first."""
        stragglers = self._look_back(situation, situation.round_s(steps, self.transfers(situation)))
        target: int | np.ndarray = wanted
        if self.adaptive_target:
            target = np.maximum(wanted - stragglers, min(self.least_participants, wanted))
        apart = self.state["rounds"][:, None] - self.state["selected_at"]
        lasting = survival(situation, self._expected_s(situation)) >= _PRESENT
        first = allowed & lasting & (apart > self.cooldown)
        soon_gone = top_m(-self.stay(situation), target, first, self.uniforms())
        missing = target - soon_gone.sum(axis=1)
        return soon_gone | top_m(apart, missing, allowed & ~first, self.uniforms())

    def stay(self, situation: Situation) -> Floats:
        """Chance `[E, N]` of being there from one to two expected rounds ahead, mean of three leads."""
        leads = [factor * self._expected_s(situation) for factor in (1.0, 1.5, 2.0)]
        return np.asarray(sum(survival(situation, lead) for lead in leads) / len(leads))

    def _expected_s(self, situation: Situation) -> Floats:
        """The expected length of a round, the same `[E, N]` for every client."""
        return np.broadcast_to(self.state["expected_s"][:, None], situation.clients.available.shape)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember who rests from now on, and what the round was expected to need."""
        state = self.state
        state["selected_at"] = np.where(trained, state["rounds"][:, None], state["selected_at"])
        state["invited"] = trained.copy()
        state["completions"] = situation.clients.completions.astype(np.int64)
        state["began_s"] = np.where(trained.any(axis=1), situation.run.time_s, np.nan)

    def _look_back(self, situation: Situation, needed_s: Floats) -> Floats:
        """Update the expected round; how many `[E]` of the last one were cut off and nearly done."""
        state = self.state
        lasted_s = situation.run.time_s - state["began_s"] - situation.terms.overhead_s
        typical_s = np.median(needed_s, axis=1)
        known = np.isfinite(state["expected_s"])
        mixed_s = (1 - _SMOOTHING) * lasted_s + _SMOOTHING * state["expected_s"]
        expected_s = np.where(np.isfinite(lasted_s) & (lasted_s > 0), mixed_s, state["expected_s"])
        state["expected_s"] = np.where(known, expected_s, typical_s)
        missing = state["invited"] & ~(situation.clients.completions > state["completions"])
        left_s = state["needed_s"] - np.nan_to_num(lasted_s)[:, None]
        late = missing & situation.clients.available & (left_s <= state["expected_s"][:, None])
        state["needed_s"] = needed_s
        state["invited"] = np.zeros_like(state["invited"])
        return np.asarray(late.sum(axis=1))
