"""A live run of any kind: look, plan, carry out, write down; stopped and started again at will."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints
from ....common.files import clear_drafts
from ....envs.contract import StepResult, scheduler_seeds
from ..settings import LiveSettings, read_settings
from ..transport import Clock
from .board import Board
from .checkpoints import Arrays, begin_folder, has_state, load_figures, load_settings, load_state, save_state

_LOG = logging.getLogger(__name__)

_MAY_CHANGE = {"resume", "out", "min_nodes", "gather_s", "poll_s", "defence", "patience_s", "steps"}
"""Settings that a resumed run may have other values of."""

SituationT = TypeVar("SituationT")
PlanT = TypeVar("PlanT")
OutcomeT = TypeVar("OutcomeT")
SituationIn = TypeVar("SituationIn", contravariant=True)
SituationOut = TypeVar("SituationOut", covariant=True)
PlanIn = TypeVar("PlanIn", contravariant=True)
PlanOut = TypeVar("PlanOut", covariant=True)


class Decides(Protocol[SituationIn, PlanOut]):
    """Who decides."""

    @property
    def name(self) -> str:
        """What logs call it."""
        ...

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start a new run."""
        ...

    def plan(self, situation: SituationIn) -> PlanOut:
        """Orders."""
        ...


class Live(Protocol[SituationOut, PlanIn, OutcomeT]):
    """A world of real nodes, E = 1."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        ...

    def gather(self, nodes: int, timeout_s: float) -> None:
        """Wait for nodes; in the beginning only."""
        ...

    def situation(self, clairvoyant: bool = False) -> SituationOut:
        """What is known now."""
        ...

    def step(self, plan: PlanIn) -> StepResult[OutcomeT]:
        """Carry out one plan."""
        ...

    def totals(self) -> dict[str, Floats]:
        """What the run came to so far, by name, each `[1]`."""
        ...

    def state(self) -> Arrays:
        """Everything that a world built alike needs to go on from here."""
        ...

    def load_state(self, state: Arrays) -> None:
        """Put `state()` into a world built alike."""
        ...


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        decisions: plans carried out, resumed ones included.
        totals: the books' sums by name.
        test_accuracy: of the final model, 0 to 1; nan where nothing is trained.
    """

    decisions: int
    totals: dict[str, float]
    test_accuracy: float = float("nan")


class LiveRun(ABC, Generic[SituationT, PlanT, OutcomeT]):
    """Drives one world of real nodes with one scheduler, and keeps what is needed to go on.

    Attributes:
        decisions: made so far, resumed ones included.

    Args:
        settings: what to do.
        scheduler: who decides.
        elements: clients or slots that it decides about.
        clock: federation time; None: real time, scaled as the settings say.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    world: Live[SituationT, PlanT, OutcomeT]
    dashboard: Board[OutcomeT]

    def __init__(
        self,
        settings: LiveSettings,
        scheduler: Decides[SituationT, PlanT],
        elements: int,
        clock: Clock | None = None,
    ) -> None:
        self._live, self.out, self.scheduler = settings, settings.folder, scheduler
        state: Arrays | None = None
        self.decisions = 0
        if settings.resume:
            _refuse_changes(read_settings(load_settings(self.out)), settings)
            if has_state(self.out):  # else it was stopped before its first decision was made
                state, self.decisions, _ = load_state(self.out)
        elif has_state(self.out):
            raise ValueError(f"out: {self.out} already holds a run; take another folder or add --resume")
        else:
            begin_folder(self.out, settings.text())
        clear_drafts(self.out)
        began_s = float(state["time_s"]) if state else 0.0
        clock = clock or Clock(began_s, settings.time_scale, skips=settings.skip_waits)
        self.world = self._make_world(clock)
        seeds = scheduler_seeds(np.array([settings.seed]))
        self.scheduler.reset(np.ones(1, dtype=bool), seeds, elements)
        if state is not None:
            self.world.load_state(state)
            self._remind()
        past = [load_figures(self.out, number) for number in range(self.decisions)]
        self.dashboard = self._make_board(past)

    def run(self, most: int | None = None) -> Summary:
        """Play until the run ends, or at most so many further decisions."""
        settings, world = self._live, self.world
        if world.running:
            world.gather(settings.min_nodes, settings.gather_s)
        left = most
        try:
            while world.running and left != 0:
                self.decide()
                left = None if left is None else left - 1
        finally:
            self.dashboard.close()
        return self._summary({name: float(value[0]) for name, value in world.totals().items()})

    def decide(self) -> None:
        """One decision: situation, plan, outcome, books and checkpoint."""
        situation = self.world.situation()
        plan = self.scheduler.plan(situation)
        result = self.world.step(plan)
        row = self.dashboard.figures(result)
        self._save(self.out, self.decisions, situation, plan, result.outcome, row)
        self.decisions += 1
        save_state(self.out, self.world.state(), self.decisions)
        self.dashboard.record(result, row)
        self._tell(row)

    @abstractmethod
    def _make_world(self, clock: Clock) -> Live[SituationT, PlanT, OutcomeT]:
        """The world."""

    @abstractmethod
    def _make_board(self, past: Sequence[Mapping[str, float]]) -> Board[OutcomeT]:
        """Its dashboard."""

    @abstractmethod
    def _save(
        self,
        out: Path,
        number: int,
        situation: SituationT,
        plan: PlanT,
        outcome: OutcomeT,
        row: Mapping[str, float],
    ) -> None:
        """Keep one decision."""

    @abstractmethod
    def _recall(self, number: int) -> tuple[SituationT, PlanT]:
        """A decision that was kept."""

    @abstractmethod
    def _orders(self, plan: PlanT) -> AnyArray:
        """What of a plan tells whether two are the same."""

    @abstractmethod
    def _tell(self, row: Mapping[str, float]) -> None:
        """A line of the log about a decision."""

    @abstractmethod
    def _summary(self, totals: dict[str, float]) -> Summary:
        """What the run came to; a last line of the log."""

    def _remind(self) -> None:
        """Show the scheduler what it has seen before, so that it remembers what it had learned."""
        for number in range(self.decisions):
            situation, plan = self._recall(number)
            again = self.scheduler.plan(situation)
            if not np.array_equal(self._orders(again), self._orders(plan)):
                _LOG.warning("decision %d: %s would now decide otherwise", number, self.scheduler.name)


def _refuse_changes(stored: LiveSettings, given: LiveSettings) -> None:
    if type(stored) is not type(given):
        raise ValueError("scenario: not the stopped run's; leave it as it was to resume")
    for name in type(stored).model_fields:
        if name == "scenario":
            changed = stored.world() != given.world()
        else:
            changed = getattr(stored, name) != getattr(given, name)
        if changed and name not in _MAY_CHANGE:
            raise ValueError(f"{name}: not the stopped run's; leave it as it was to resume")
