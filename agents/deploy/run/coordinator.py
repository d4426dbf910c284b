"""Coordinator of a live federation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....common.arrays import AnyArray
from ....envs.contract import RoundOutcome, RoundPlan, Scheduler, Situation
from ...players import make_player
from ..federation import LiveWorld
from ..settings import DeploySettings
from ..streams import StreamingLiveWorld
from ..transport import Clock, Transport
from .board import Board
from .checkpoints import load_round, save_round
from .dashboard import Dashboard
from .live_run import LiveRun, Summary
from .streaming_dashboard import REQUESTS, StreamingDashboard

_LOG = logging.getLogger(__name__)


class Coordinator(LiveRun[Situation, RoundPlan, RoundOutcome]):
    """Drives one federation with one scheduler.

    Args:
        settings: what to do.
        transport: reaches the nodes.
        scheduler: who decides; None: the one that the settings name.
        clock: federation time from the run's beginning; None: real time, scaled as the settings say.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    world: LiveWorld

    def __init__(
        self,
        settings: DeploySettings,
        transport: Transport,
        scheduler: Scheduler | None = None,
        clock: Clock | None = None,
    ):
        self.settings, self._transport = settings, transport
        clients = settings.world().clients
        super().__init__(settings, scheduler or named_scheduler(settings), clients, clock)

    def _make_world(self, clock: Clock) -> LiveWorld:
        said = self.settings
        scenario = said.world()
        return (LiveWorld if scenario.arrivals is None else StreamingLiveWorld)(
            scenario,
            self._transport,
            said.seed,
            said.split,
            clock,
            said.poll_s,
            defence=said.defence,
        )

    def _make_board(self, past: Sequence[Mapping[str, float]]) -> Board[RoundOutcome]:
        if isinstance(self.world, StreamingLiveWorld):
            return StreamingDashboard(self.world, self.out, past)
        return Dashboard(self.world, self.out, past)

    def _save(
        self,
        out: Path,
        number: int,
        situation: Situation,
        plan: RoundPlan,
        outcome: RoundOutcome,
        row: Mapping[str, float],
    ) -> None:
        save_round(out, number, situation, plan, outcome, row)

    def _recall(self, number: int) -> tuple[Situation, RoundPlan]:
        return load_round(self.out, number)[:2]

    def _orders(self, plan: RoundPlan) -> AnyArray:
        return plan.local_steps

    def _tell(self, row: Mapping[str, float]) -> None:
        _LOG.info(
            "round %d: %d of %d in time, %d lost, %d cancelled, %.1f s, accuracy %.3f, loss %.4f",
            *(row[name] for name in ("round", "completed", "invited", "lost", "cancelled", "duration_s")),
            row["accuracy"],
            row["loss"],
        )
        if isinstance(self.world, StreamingLiveWorld):
            _LOG.info(
                "requests: %d came, %d answered (%d right), %d unanswered, %d waiting",
                *(row[name] for name in REQUESTS),
            )

    def _summary(self, totals: dict[str, float]) -> Summary:
        summary = Summary(self.decisions, totals, float(self.world.test_scores()[0][0]))
        _LOG.info(
            "ended after %d decisions: validation accuracy %.3f, test accuracy %.3f, %.2f net points",
            summary.decisions,
            totals["accuracy"],
            summary.test_accuracy,
            totals["net_points"],
        )
        return summary


def named_scheduler(settings: DeploySettings) -> Scheduler:
    """The scheduler that the settings name; ValueError if there is none that could be used here."""
    scenario = settings.world()
    built = make_player(settings.scheduler, scenario, **settings.scheduler_settings)
    if built.clairvoyant:
        raise ValueError(f"scheduler: {built.name!r} looks into the future, which no federation can show it")
    return built
