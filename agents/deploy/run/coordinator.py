"""Coordinator of a live federation: look, plan, carry out, write down; stopped and started again at will."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ....common.files import clear_drafts
from ....envs.contract import Scheduler, scheduler_seeds
from ...players import make_player
from ..federation import LiveWorld
from ..settings import DeploySettings, read_settings
from ..transport import Clock, Transport
from .checkpoints import (
    Arrays,
    begin_folder,
    has_state,
    load_figures,
    load_round,
    load_settings,
    load_state,
    save_round,
    save_state,
)
from .dashboard import Dashboard

_LOG = logging.getLogger(__name__)

_MAY_CHANGE = {"resume", "out", "min_nodes", "gather_s", "poll_s", "defence"}
"""Settings that a resumed run may have other values of."""


@dataclass(frozen=True)
class Summary:
    """What a federation came to.

    Attributes:
        decisions: plans carried out, resumed ones included.
        totals: the ledger's sums by name.
        test_accuracy: of the final model, 0 to 1.
    """

    decisions: int
    totals: dict[str, float]
    test_accuracy: float


class Coordinator:
    """Drives one federation with one scheduler.

    Args:
        settings: what to do.
        transport: reaches the nodes.
        scheduler: who decides; None: the one that the settings name.
        clock: federation time from the run's beginning; None: real time, scaled as the settings say.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    def __init__(
        self,
        settings: DeploySettings,
        transport: Transport,
        scheduler: Scheduler | None = None,
        clock: Clock | None = None,
    ):
        self.settings, self.out = settings, settings.folder
        scenario = settings.world()
        self.scheduler = scheduler or named_scheduler(settings)
        state: Arrays | None = None
        self.decisions = 0
        if settings.resume:
            _refuse_changes(read_settings(load_settings(self.out)), settings)
            if has_state(self.out):  # else it was stopped before its first decision was made
                state, self.decisions, _ = load_state(self.out)
        elif has_state(self.out):
            raise ValueError(
                f"out: {self.out} already holds a federation; take another folder or add --resume"
            )
        else:
            begin_folder(self.out, settings.text())
        clear_drafts(self.out)
        began_s = float(state["time_s"]) if state else 0.0
        clock = clock or Clock(began_s, settings.time_scale, skips=settings.skip_waits)
        self.world = LiveWorld(
            scenario,
            transport,
            settings.seed,
            settings.split,
            clock,
            settings.poll_s,
            defence=settings.defence,
        )
        seeds = scheduler_seeds(np.array([settings.seed]))
        self.scheduler.reset(np.ones(1, dtype=bool), seeds, scenario.clients)
        if state is not None:
            self.world.load_state(state)
            self._remind()
        past = [load_figures(self.out, number) for number in range(self.decisions)]
        self.dashboard = Dashboard(self.world, self.out, past)

    def run(self, most: int | None = None) -> Summary:
        """Play until the run ends, or at most so many further decisions."""
        settings, world = self.settings, self.world
        if world.running:
            world.gather(settings.min_nodes, settings.gather_s)
        left = most
        try:
            while world.running and left != 0:
                self.decide()
                left = None if left is None else left - 1
        finally:
            self.dashboard.close()
        totals = {name: float(value[0]) for name, value in world.totals().items()}
        return Summary(self.decisions, totals, float(world.test_scores()[0][0]))

    def decide(self) -> None:
        """One decision: situation, plan, outcome, books and checkpoint."""
        situation = self.world.situation()
        plan = self.scheduler.plan(situation)
        result = self.world.step(plan)
        row = self.dashboard.figures(result)
        save_round(self.out, self.decisions, situation, plan, result.outcome, row)
        self.decisions += 1
        save_state(self.out, self.world.state(), self.decisions)
        self.dashboard.record(result, row)
        _LOG.info(
            "round %d: %d of %d in time, %d lost, %d cancelled, %.1f s, accuracy %.3f, loss %.4f",
            *(row[name] for name in ("round", "completed", "invited", "lost", "cancelled", "duration_s")),
            row["accuracy"],
            row["loss"],
        )

    def _remind(self) -> None:
        """Show the scheduler what it has seen before, so that it remembers what it had learned."""
        for number in range(self.decisions):
            situation, plan, _ = load_round(self.out, number)
            again = self.scheduler.plan(situation)
            if not np.array_equal(again.local_steps, plan.local_steps):
                _LOG.warning("decision %d: %s would now decide otherwise", number, self.scheduler.name)


def named_scheduler(settings: DeploySettings) -> Scheduler:
    """The scheduler that the settings name; ValueError if there is none that could be used here."""
    scenario = settings.world()
    built = make_player(settings.scheduler, scenario, **settings.scheduler_settings)
    if built.clairvoyant:
        raise ValueError(f"scheduler: {built.name!r} looks into the future, which no federation can show it")
    return built


def _refuse_changes(stored: DeploySettings, given: DeploySettings) -> None:
    for name in DeploySettings.model_fields:
        if name == "scenario":
            changed = stored.world() != given.world()
        else:
            changed = getattr(stored, name) != getattr(given, name)
        if changed and name not in _MAY_CHANGE:
            raise ValueError(f"{name}: not the stopped run's; leave it as it was to resume")
