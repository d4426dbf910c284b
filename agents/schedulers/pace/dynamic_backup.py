"""Dynamic backup workers: how many answers to wait for, chosen anew every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints, Ints32
from ....envs.contract import Situation
from ..base import Rule, State, knob

_SHRINK = 0.3
"""Weight of the prior on the noise ratio, in observed rounds."""


def expected_gain(signal: Floats, noise: Floats, num_workers: int) -> Floats:
    """Loss decrease `[E, n]` to be expected of k = 1 ... n answers: signal - noise / k.

    Source: Xu, Neglia & Sebastianelli 2021: (eta - L eta^2 / 2) |grad F|^2 - (L eta^2 / 2) V / k, a lower
    bound of the decrease; `signal` and `noise` are the two coefficients with everything but k in them.
    """
    answers = np.arange(1, num_workers + 1)
    return signal[:, None] - noise[:, None] / answers[None, :]


def best_answers(gain: Floats, round_s: Floats) -> Ints:
    """Answers k `[E]` to wait for: argmax of gain per second, n where no k gains anything.

    Args:
        gain: `[E, n]`, expected loss decrease with k = 1 ... n answers.
        round_s: `[E, n]`, expected round time with k answers; made non-decreasing in k.
    """
    seconds = np.maximum.accumulate(np.maximum(round_s, 1e-9), axis=1)
    possible = np.isfinite(seconds) & np.isfinite(gain)
    rate = np.where(possible, np.where(possible, gain, 0.0) / np.where(possible, seconds, 1.0), -np.inf)
    fallback = np.full(gain.shape[0], gain.shape[1])
    return np.where((gain <= 0).all(axis=1), fallback, rate.argmax(axis=1) + 1)


@dataclass(kw_only=True)
class DynamicBackup(Rule):
    """Dynamic backup workers: the round closes at the k answers of best gain per second (Xu et al. 2021).

    Random m participants; the round closes at the k answers with the best expected gain per second.
    Paper: Xu, Neglia & Sebastianelli, "Dynamic Backup Workers for Parallel Machine Learning", Computer
    Networks 2021 (DBW): k maximises G(k) / T(k), the gain of k answers over the k-th order statistic of the
    round times; k = n if no k gains, and one more than last time if the loss rose. The paper estimates
    gradient norm and variance from the received gradients; a coordinator here sees only what came of them.
    So signal and noise are fitted to the decreases of the loss, D = signal - noise / k, by least squares
    with forgetting over `memory` rounds, drawn towards noise = `noise_ratio` x signal. Round times are those
    that speeds and bandwidths say.
    Needs: seconds per step, bandwidths, the loss after every round.
    Aggregation: the world's aggregator.
    Defaults: the last D = 5 rounds as in the paper, noise ratio 2, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "dynamic-backup"

    memory: float = knob(5.0, "rounds that count in the fit", low=2.0, high=30.0, log=True)
    noise_ratio: float = knob(2.0, "noise over signal, before any round", low=0.05, high=20.0, log=True)

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the normal equations of the fit and what the last round was."""
        numbers = {key: np.zeros(num_envs) for key in ("n_1", "n_k", "n_kk", "d_1", "d_k")}
        last = {"answers": np.zeros(num_envs), "last_loss": np.full(num_envs, np.nan)}
        last |= {"arrived": np.zeros(num_envs), "rose": np.zeros(num_envs, dtype=bool)}
        return super().fresh_state(num_envs, num_clients) | numbers | last

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """Random m, as `random-m`; then k."""
        self._learn_from_last(situation)
        chosen = super().choose(situation, allowed, wanted, steps)
        needed_s = situation.round_s(steps, self.transfers(situation))
        arrival_s = np.sort(np.where(chosen, needed_s, np.inf), axis=1)[:, : max(wanted, 1)]
        signal, noise = self._fit()
        gain = expected_gain(signal, noise, arrival_s.shape[1])
        invited = chosen.sum(axis=1)
        there = np.arange(1, arrival_s.shape[1] + 1)[None, :] <= invited[:, None]
        round_s = arrival_s + situation.terms.overhead_s[:, None]
        answers = best_answers(np.where(there, gain, -np.inf), round_s)
        raised = np.maximum(answers, self.state["answers"] + 1)
        answers = np.where(self.state["rose"], raised, answers)
        self.state["answers"] = np.clip(answers, 1, np.maximum(invited, 1)).astype(np.float64)
        return chosen

    def learn(self, situation: Situation, trained: Bools) -> None:
        """Remember the loss and the updates that had arrived before this round."""
        some = trained.any(axis=1)
        arrived = situation.clients.completions.sum(axis=1).astype(np.float64)
        self.state["last_loss"] = np.where(some, situation.run.loss, np.nan)
        self.state["arrived"] = np.where(some, arrived, self.state["arrived"])

    def _learn_from_last(self, situation: Situation) -> None:
        """One more observation of the relative loss decrease, where the last decision was a round."""
        state = self.state
        arrived = situation.clients.completions.sum(axis=1) - state["arrived"]
        seen = np.isfinite(state["last_loss"]) & (arrived > 0)
        before = np.where(seen, state["last_loss"], 1.0)
        decrease = np.where(seen, (before - situation.run.loss) / np.maximum(before, 1e-12), 0.0)
        each = -1.0 / np.maximum(arrived, 1)
        keep = np.where(seen, 1.0 - 1.0 / self.memory, 1.0)
        terms = {"n_1": np.ones_like(each), "n_k": each, "n_kk": each**2}
        terms |= {"d_1": decrease, "d_k": decrease * each}
        for key, term in terms.items():
            state[key] = keep * state[key] + np.where(seen, term, 0.0)
        state["rose"] = seen & (decrease < 0)

    def _fit(self) -> tuple[Floats, Floats]:
        """Signal and noise `[E]`, both at least 0; their prior ratio where nothing is known."""
        state = self.state
        mean = np.where(state["n_1"] > 0, state["d_1"] / np.maximum(state["n_1"], 1e-12), 1.0)
        average = np.where(state["n_1"] > 0, state["n_k"] / np.maximum(state["n_1"], 1e-12), 0.0)
        start = np.maximum(mean, 1e-6) / np.maximum(1.0 + self.noise_ratio * average, 0.1)
        a, b, c = state["n_1"] + _SHRINK, state["n_k"], state["n_kk"] + _SHRINK
        left, right = state["d_1"] + _SHRINK * start, state["d_k"] + _SHRINK * self.noise_ratio * start
        determinant = np.maximum(a * c - b * b, 1e-12)
        signal = (c * left - b * right) / determinant
        noise = (a * right - b * left) / determinant
        return np.maximum(signal, 0.0), np.maximum(noise, 0.0)

    def _quorum(self, chosen: Bools, wanted: int) -> Floats:
        invited = np.maximum(chosen.sum(axis=1), 1)
        found: Floats = np.minimum(self.state["answers"] / invited, 1.0) * (1 - 1e-9)
        return found
