"""Online gradient ascent on the selection probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import knob
from .online_ascent import FEEDBACK, GradientAscent, variance_gains


@dataclass(kw_only=True)
class OnlineGradient(GradientAscent):
    """Online gradient ascent on the selection probabilities in the capped simplex (Zinkevich 2003).

    x <- projection of x + eta g onto the capped simplex; m clients by systematic sampling with it.
    Paper: Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient Ascent", ICML 2003,
    on the capped simplex as in Si Salem, Neglia & Ioannidis, "No-Regret Caching via Online Mirror Descent",
    2021. The gain is the variance gradient alpha_k^2 |Delta_k|^2 / x_k^2: an F3AST that follows the updates.
    eta = D / (G sqrt(T)) with D^2 = 2 min(m, N - m), G = 1: regret at most D G sqrt(T); see `regret`,
    `regret_bound`.
    Needs: availability, alpha, norms of the updates that arrived.
    Aggregation: alpha_k over the chance of being there and drawn (`mean`); see `MarginalRule`.
    Defaults: last known lengths (`feedback`), the theory's step, quota 0.3 m / N, m = 10, 10 local steps.
    """

    name: ClassVar[str] = "oga"

    feedback: str = knob("last-known", "which updates' lengths are followed", choices=FEEDBACK)

    def raw_gains(self, situation: Situation, done: Bools, played: Floats) -> Floats:
        """The variance gradient."""
        return variance_gains(situation, done, played, self.feedback)
