"""Online ascent on the capped simplex: scaled gains, quota, projected steps, regret bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import State, knob
from ..parts import fresh_lengths, project, unit_gains
from .marginal_rule import MarginalRule, floor_of, spread


@dataclass(kw_only=True)
class OnlineAscent(MarginalRule):
    """Online ascent: a point of the capped simplex that climbs along gains of length at most 1.

    Gains are divided by the running mean of their length and cut at length 1, which makes G = 1 in the
    regret bounds, whatever the model. The step is the theory's for the episode's number of rounds T, times
    `rate`; the bounds hold in every episode, not only on average.

    The marginals are x = least + (1 - least) z, so that no client's chance falls below `quota` m / N.
    """

    rate: float = knob(1.0, "step, in multiples of the one with the best bound", low=0.1, high=10.0, log=True)

    def raw_gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """The gains `[E, N]` in their own units; see `MarginalRule.gains`."""
        raise NotImplementedError

    def length(self, gains: Floats) -> Floats:
        """The length `[E]` of gains `[E, N]` in the norm of the method's bound."""
        raise NotImplementedError

    def restricted(self, marginals: Floats, allowed: Bools, wanted: int) -> Floats:
        """The method's own projection of x onto the candidates."""
        raise NotImplementedError

    def regret_bound(self) -> Floats:
        """What the theory says the regret `[E]` of a whole episode cannot exceed."""
        raise NotImplementedError

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds `point` `[E, N]` (z, all equal), and the sum and number of the gains' lengths."""
        total, _ = self.size(num_clients)
        equal = np.full((num_envs, num_clients), total / num_clients)
        return super().fresh_state(num_envs, num_clients) | {"point": equal} | fresh_lengths(num_envs)

    def gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """The raw gains over the larger of their length and its mean so far."""
        raw = self.raw_gains(situation, done, played)
        return unit_gains(self.state, raw, self.length(raw), self.state["pending"])

    def marginals(self, situation: Situation, allowed: Bools, wanted: int) -> Floats:
        """x, projected onto the candidates."""
        _, least = self.size(situation.num_clients)
        return self.restricted(least + (1 - least) * self.state["point"], allowed, wanted)

    def size(self, num_clients: int) -> tuple[float, float]:
        """Sum of z, and the least x."""
        m = min(self.invitations, num_clients)
        least = floor_of(self.quota, m, num_clients)
        return spread(m, num_clients, least), least

    def slack(self) -> float:
        """The factor by which a step other than the theory's loosens its bound."""
        return (self.rate + 1.0 / self.rate) / 2.0


@dataclass(kw_only=True)
class GradientAscent(OnlineAscent):
    """Gradient ascent: x <- projection of x + eta g, eta = D / (G sqrt(T)), D^2 = 2 min(m, N - m)."""

    def length(self, gains: Floats) -> Floats:
        """Euclidean."""
        return np.asarray(np.sqrt((gains**2).sum(axis=1)))

    def restricted(self, marginals: Floats, allowed: Bools, wanted: int) -> Floats:
        """Euclidean projection onto the candidates' face: all there gain the same amount, up to 1."""
        return project(marginals, wanted, allowed)

    def ascend(self, gains: Floats, moved: Bools) -> None:
        """One projected step."""
        total, least = self.size(gains.shape[1])
        eta = self.rate * self._diameter(gains.shape[1]) / np.sqrt(np.maximum(self.state["horizon"], 1))
        # In z = (x - least) / (1 - least) the same step is longer.
        target = self.state["point"] + (eta / (1 - least))[:, None] * gains
        point = project(target, total, np.ones(gains.shape, dtype=bool))
        self.state["point"] = np.where(moved[:, None], point, self.state["point"])

    def regret_bound(self) -> Floats:
        """D G sqrt(T) `[E]`, T the rounds of the episode, G = 1; looser if `rate` is not 1."""
        return self.slack() * self._diameter(self._num_clients) * np.sqrt(self.state["horizon"])

    def _diameter(self, num_clients: int) -> float:
        total, least = self.size(num_clients)
        return float((1 - least) * np.sqrt(2 * max(min(total, num_clients - total), 0.0)))


def variance_gains(situation: Situation, done: Bools, played: Floats, feedback: str) -> Floats:
    """alpha_k^2 |Delta_k|^2 / p_k^2 `[E, N]`: minus the gradient of the draw's variance.

    The aggregate sum_k alpha_k / p_k Delta_k over a draw with marginals p has (but for the draw's
    correlations) the variance sum_k alpha_k^2 |Delta_k|^2 / p_k, less a constant.

    Args:
        situation: after the round.
        done: bool `[E, N]`, whose update came back.
        played: `[E, N]`, the probabilities of the draw; 0 for those who were no candidates.
        feedback: "importance": the gain of those who came back, over p_k, unbiased. "last-known": of every
            candidate, with the length of its last update, however old; the mean of the known ones for who
            never trained. Far less noisy, and right as long as lengths change slowly.
    """
    chance = np.where(played > 0, played, 1.0)
    seen = np.where(done, 1.0 / chance, 0.0) if feedback == "importance" else (played > 0) * 1.0
    known = np.isfinite(situation.clients.last_norm)
    norm = np.where(known, situation.clients.last_norm, 0.0)
    mean = norm.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.asarray((situation.clients.target_weight * np.where(known, norm, mean) / chance) ** 2 * seen)


FEEDBACK = ("last-known", "importance")
"""The values of `variance_gains`' last argument."""
