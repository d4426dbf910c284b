"""Worlds: what is played in, simulated or live, as schedulers and evaluators see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol

from typing_extensions import TypeVar

from ...common.arrays import Bools, Floats, Floats32, Ints
from ..scenario import LEAKAGE, REWARD_TERMS, Scenario
from .rounds import RoundOutcome, RoundPlan
from .situation import Situation

OutcomeT = TypeVar("OutcomeT", default=RoundOutcome)
"""What a step came to: a round of training, unless another class of worlds says so."""


@dataclass(frozen=True)
class StepResult(Generic[OutcomeT]):
    """What one step of E environments came to."""

    outcome: OutcomeT  # the round, or the wait, in detail
    reward: Floats  # [E] sum of the terms
    terms: Floats  # [E, T] in the order of `Scenario.reward_terms`
    cost: Floats  # [E] budget overrun of this step as a share of the budget, for constrained learning
    terminated: Bools  # [E] target reached, a budget exhausted, the run stopped or diverged
    truncated: Bools  # [E] the limit of rounds or of decisions
    active: Bools  # [E] whose episode was still running when the step began

    @property
    def reward_terms(self) -> dict[str, Floats]:
        """The terms by name, each `[E]`."""
        names = (*REWARD_TERMS, LEAKAGE)[: self.terms.shape[1]]
        return {name: self.terms[:, index] for index, name in enumerate(names)}


class World(Protocol):
    """E runs of one scenario, on simulated clients or on real nodes (E = 1)."""

    @property
    def scenario(self) -> Scenario:
        """What the world is made of."""
        ...

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones, in the order of `ClientFacts.zone`."""
        ...

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        ...

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan."""
        ...

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, each `[E]`."""
        ...

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[E]`; for evaluators, never for agents."""
        ...

    def parameters(self) -> Floats32:
        """Float32 `[E, P]`, the global models."""
        ...


class SimulatedWorld(World, Protocol):
    """A world that can be started anew, which evaluations need."""

    @property
    def num_envs(self) -> int:
        """E."""
        ...

    @property
    def participation(self) -> Ints:
        """Int64 `[E, N]`, updates that arrived so far."""
        ...

    @property
    def initial_test_accuracy(self) -> Floats:
        """`[E]`, before the first round."""
        ...

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        ...

    def pooled_accuracy(self) -> Floats:
        """`[E]`, accuracy on validation and training rows together; for searches in hindsight only."""
        ...

    def client_test_accuracy(self) -> Floats:
        """`[E, N]`, how well the global models serve each client; for evaluators, never for agents."""
        ...
