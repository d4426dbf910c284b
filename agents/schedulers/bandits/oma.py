"""Online mirror ascent on the selection probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import knob
from ..parts import capped_proportional
from .online_ascent import FEEDBACK, OnlineAscent, variance_gains


@dataclass(kw_only=True)
class OnlineMirror(OnlineAscent):
    """Online mirror ascent on the selection probabilities, with negative entropy (Si Salem et al. 2021).

    x proportional to x e^(eta g), capped at 1; m clients by systematic sampling with it.
    Paper: mirror ascent with the negative entropy on the capped simplex, Si Salem, Neglia & Ioannidis,
    "No-Regret Caching via Online Mirror Descent", 2021 (Hazan, "Introduction to Online Convex Optimization",
    2016, for the analysis). The gain is the variance gradient alpha_k^2 |Delta_k|^2 / x_k^2.
    eta = sqrt(2 ln(N / m) / (G^2 T)), G = 1 the largest gain: regret at most m G sqrt(2 ln(N / m) T); see
    `regret`, `regret_bound`. Better than the gradient's where gains are spread over many and m is small.
    Needs: availability, alpha, norms of the updates that arrived.
    Aggregation: alpha_k over the chance of being there and drawn (`mean`); see `MarginalRule`.
    Defaults: last known lengths (`feedback`), the theory's step, quota 0.3 m / N, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "oma"

    feedback: str = knob("last-known", "which updates' lengths are followed", choices=FEEDBACK)

    def raw_gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """The variance gradient."""
        return variance_gains(situation, done, played, self.feedback)

    def length(self, gains: Floats) -> Floats:
        """The largest gain."""
        return np.asarray(np.abs(gains).max(axis=1))

    def restricted(self, marginals: Floats, allowed: Bools, wanted: int) -> Floats:
        """Kullback-Leibler projection onto the candidates' face: everyone's chance times the same factor."""
        return capped_proportional(marginals, wanted, allowed)

    def ascend(self, gains: Floats, moved: Bools) -> None:
        """One multiplicative step, capped at 1.

        In z both the gradient and its bound G shrink by 1 - least, which leaves eta g as it is.
        """
        total, _ = self.size(gains.shape[1])
        eta = self.rate * np.sqrt(2 * self._log_ratio() / np.maximum(self.state["horizon"], 1))
        weights = self.state["point"] * np.exp(eta[:, None] * gains)
        point = capped_proportional(weights, total, np.ones(gains.shape, dtype=bool))
        self.state["point"] = np.where(moved[:, None], point, self.state["point"])

    def regret_bound(self) -> Floats:
        """The bound m G sqrt(2 ln(N / m) T) `[E]`, T the episode's rounds, G = 1, m and x above the quota.

        Looser if `rate` is not 1.
        """
        total, least = self.size(self._num_clients)
        root = np.sqrt(2 * self._log_ratio() * self.state["horizon"])
        return np.asarray(self.slack() * (1 - least) * total * root)

    def _log_ratio(self) -> float:
        total, _ = self.size(self._num_clients)
        return float(np.log(max(self._num_clients / max(total, 1e-12), 1.0)))
