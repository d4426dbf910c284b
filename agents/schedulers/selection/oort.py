"""Oort: guided selection by statistical and system utility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob, top_m


class _Constants(NamedTuple):
    decay: float  # of the share explored, per round
    cutoff: float  # of the score of the last one exploited
    clip: float  # quantile at which utilities are cut


_CONSTANTS = {"paper": _Constants(0.98, 0.95, 0.95), "code": _Constants(0.95, 0.7, 0.98)}
_UNCERTAINTY = 0.1
"""Factor of ln R / L under the root of the staleness term."""
_EXPLORE_POOL = 5
"""Never-tried clients considered for each place, in the code's variant."""


@dataclass(kw_only=True)
class Oort(Rule):
    """Oort: clients of high statistical and system utility, with exploration and a pacer (Lai et al. 2021).

    Paper: Lai et al., "Oort: Efficient Federated Learning via Guided Participant Selection", OSDI 2021.
    Utility U_k = |B_k| sqrt(mean squared loss), here samples times the last reported loss, all that is known
    of it. Score = U_k, cut at a quantile and scaled to [0, 1], + sqrt(0.1 ln R / L_k), L_k the round in which
    k last took part; times (T / t_k)^2 where its time t_k exceeds the preferred T. Of m places a share
    epsilon = 0.9 decay^R, at least 0.2, goes to clients never tried, the rest in proportion to the score
    among those above a cutoff of the last one that would be in. Whose update got lost counts as average.
    T is a quantile of the clients' times, from 10 % in steps of 5 %; every `pacer_rounds` rounds the pacer
    looks at the utility gathered: 20 in the paper, whose runs have hundreds of rounds; 5 here, or it would
    hardly move at all.

    `variant` "paper": decay 0.98, cutoff 0.95, clip 0.95; the untried in proportion to their speed; T grows
    when the last rounds gathered less than as many before. "code": 0.95, 0.7, 0.98; the untried among the
    best 5 for each place by size and straggler penalty; T grows when the sum changed by less than 10 %, and
    shrinks when it changed fivefold.
    Needs: last reported losses, samples, durations.
    Aggregation: the world's aggregator (the paper's FedAvg or YoGi); biased by design.
    Defaults: the paper's constants but for the pacer's rounds, 1.3 m invited for m answers, m = 10, 10 local
    steps.
    """

    name: ClassVar[str] = "oort"

    over_selection: float = knob(1.3, "clients invited for each one wanted", low=1.0, high=2.0)
    variant: str = knob("paper", "constants and pacer of the paper or of its code", choices=tuple(_CONSTANTS))
    explore_start: float = knob(0.9, "share of the places explored at first", low=0.0, high=1.0)
    explore_least: float = knob(0.2, "share of the places explored in the end", low=0.0, high=1.0)
    straggler_penalty: float = knob(2.0, "exponent on T / t_k of clients slower than T", low=0.0, high=5.0)
    pacer_rounds: int = knob(5, "training rounds between looks of the pacer", low=2, high=100, log=True)
    pace_start: float = knob(0.1, "T at first, as a quantile of the clients' times", low=0.05, high=1.0)
    pace_step: float = knob(0.05, "step of the pacer, in the same", low=0.01, high=0.3)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds who was tried, when, whose update failed, the pace and the utility gathered."""
        shape = (num_envs, num_clients)
        return super().fresh_state(num_envs, num_clients) | {
            "tried": np.zeros(shape, dtype=bool),
            "failed": np.zeros(shape, dtype=bool),
            "invited": np.zeros(shape, dtype=bool),
            "last_round": np.ones(shape),
            "completions": np.zeros(shape, dtype=np.int64),
            "pace": np.full(num_envs, self.pace_start),
            "gathered": np.zeros(num_envs),
            "gathered_before": np.full(num_envs, np.nan),
        }

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Exploit and explore."""
        self._look_back(situation)
        seconds = situation.round_s(steps, self.transfers(situation))
        score, penalty = self.scored(situation, seconds)
        tried = self.state["tried"]
        explore = np.rint(self.explored_share() * np.minimum(wanted, allowed.sum(axis=1)))
        known, fresh = (allowed & tried).sum(axis=1), (allowed & ~tried).sum(axis=1)
        # Places that one side cannot fill go to the other.
        explore = np.minimum(np.maximum(explore, wanted - known), fresh)
        exploit = wanted - explore
        pool = self._pool(score, allowed & tried, exploit)
        taken = self._drawn(score, pool, exploit)
        first = situation.clients.samples_held * penalty if self.variant == "code" else 1.0 / seconds
        among = allowed & ~tried
        if self.variant == "code":
            among = top_m(first, _EXPLORE_POOL * explore, among)
        return taken | self._drawn(first, among, explore)

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember who took part in this round, counted from 1."""
        state = self.state
        now = (state["rounds"] + 1.0)[:, None]
        state["tried"] = state["tried"] | trained
        state["last_round"] = np.where(trained, now, state["last_round"])
        state["invited"] = trained.copy()
        state["completions"] = situation.clients.completions.astype(np.int64)

    def explored_share(self) -> Floats:
        """The share `[E]`, epsilon, of the places for clients never tried."""
        decay = _CONSTANTS[self.variant].decay
        return np.maximum(self.explore_least, self.explore_start * decay ** self.state["rounds"])

    def utility(self, situation: Situation) -> Floats:
        """Statistical utility U `[E, N]`; the mean of the known ones where an update failed or none came."""
        raw = situation.clients.samples_held * situation.clients.last_loss
        known = np.isfinite(raw) & self.state["tried"] & ~self.state["failed"]
        total = np.where(known, raw, 0.0).sum(axis=1, keepdims=True)
        return np.where(known, raw, total / np.maximum(known.sum(axis=1, keepdims=True), 1))

    def scored(self, situation: Situation, seconds: Floats) -> tuple[Floats, Floats]:
        """Score and straggler penalty, both `[E, N]`, of rounds that take `seconds` `[E, N]`."""
        utility, tried = self.utility(situation), self.state["tried"]
        among = np.where(tried, utility, np.nan)
        among[~tried.any(axis=1)] = 0.0
        low = np.nanmin(among, axis=1, keepdims=True)
        high = np.nanquantile(among, _CONSTANTS[self.variant].clip, axis=1)[:, None]
        span = np.where(high > low, high - low, 1.0)
        scaled = np.where(high > low, (np.minimum(utility, high) - low) / span, 1.0)
        now = (self.state["rounds"] + 1.0)[:, None]
        fresh = np.sqrt(_UNCERTAINTY * np.log(now) / self.state["last_round"])
        penalty = np.minimum(self.preferred_s(seconds)[:, None] / seconds, 1.0) ** self.straggler_penalty
        return (scaled + fresh) * penalty, penalty

    def preferred_s(self, seconds: Floats) -> Floats:
        """T `[E]`, the time of a round that the pacer prefers at present."""
        ordered = np.sort(seconds, axis=1)
        place = np.rint(np.clip(self.state["pace"], 0.0, 1.0) * (seconds.shape[1] - 1)).astype(np.int64)
        return np.asarray(np.take_along_axis(ordered, place[:, None], axis=1)[:, 0])

    def _pool(self, score: Floats, among: Bools, places: Floats) -> Bools:
        """Those whose score reaches the cutoff share of the last one that would be in."""
        last = np.where(top_m(score, places, among), score, np.inf).min(axis=1)
        bar = _CONSTANTS[self.variant].cutoff * np.where(np.isfinite(last), last, 0.0)
        return among & (score >= bar[:, None])

    def _drawn(self, weight: Floats, among: Bools, places: Floats) -> Bools:
        """`places` `[E]` of the marked, without replacement, in proportion to their weight (Gumbel keys)."""
        noise = -np.log(-np.log(np.clip(self.uniforms(), 1e-300, 1.0 - 1e-16)))
        return top_m(np.log(np.maximum(weight, 1e-300)) + noise, places, among)

    def _look_back(self, situation: Situation) -> None:
        """What the last round gathered, whose update failed, and the pacer's move when its time has come."""
        state = self.state
        invited = state["invited"]
        done = invited & (situation.clients.completions > state["completions"])
        state["failed"] = np.where(invited, ~done, state["failed"])
        state["gathered"] = state["gathered"] + np.where(done, self.utility(situation), 0.0).sum(axis=1)
        due = invited.any(axis=1) & (state["rounds"] % self.pacer_rounds == 0)
        before, now = state["gathered_before"], state["gathered"]
        if self.variant == "paper":
            move = np.where(now < before, 1.0, 0.0)
        else:
            change = np.abs(now - before)
            move = np.where(change <= 0.1 * before, 1.0, np.where(change >= 5.0 * before, -1.0, 0.0))
        pace = np.clip(state["pace"] + self.pace_step * np.nan_to_num(move), self.pace_step, 1.0)
        state["pace"] = np.where(due & np.isfinite(before), pace, state["pace"])
        state["gathered_before"] = np.where(due, now, before)
        state["gathered"] = np.where(due, 0.0, now)
        state["invited"] = np.zeros_like(invited)
