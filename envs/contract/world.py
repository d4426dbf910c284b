"""What worlds promise to schedulers and evaluators."""

from __future__ import annotations

from dataclasses import dataclass

from ...common.arrays import Bools, Floats
from .rounds import RoundOutcome

REWARD_TERMS = ("accuracy", "time", "communication", "emissions")
"""Order of the vector reward; costs are negative."""


@dataclass(frozen=True)
class StepResult:
    """What one step of E environments came to.

    Attributes:
        outcome: the round, or the wait, in detail.
        reward: `[E]`, sum of the terms.
        terms: `[E, 4]`, in the order of `REWARD_TERMS`.
        cost: `[E]`, budget overrun of this step as a share of the budget, for constrained learning.
        terminated: bool `[E]`, target reached, a budget exhausted, the run stopped or diverged.
        truncated: bool `[E]`, the round limit.
        active: bool `[E]`, whose episode was still running when the step began.
    """

    outcome: RoundOutcome
    reward: Floats
    terms: Floats
    cost: Floats
    terminated: Bools
    truncated: Bools
    active: Bools

    @property
    def reward_terms(self) -> dict[str, Floats]:
        """The terms by name, each `[E]`."""
        return {name: self.terms[:, index] for index, name in enumerate(REWARD_TERMS)}
