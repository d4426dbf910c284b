"""Coordinator of a live world of serving."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from ....common.arrays import AnyArray
from ....common.files import write_text
from ....envs.serving import ServingOutcome, ServingPlan, ServingScheduler, ServingSituation
from ...players import make_player
from ..serving import LiveServing
from ..settings import ServeSettings
from ..transport import Clock, Transport
from .board import Board
from .live_run import LiveRun, Summary
from .serving_board import ServingBoard
from .serving_checkpoints import load_step, save_step

MEASURED = "measured.yaml"
"""The ladder as it was measured, as a document of the simulator takes it."""

_LOG = logging.getLogger(__name__)


class ServingCoordinator(LiveRun[ServingSituation, ServingPlan, ServingOutcome]):
    """Drives one world of serving with one policy.

    Args:
        settings: what to do.
        transport: reaches the nodes.
        policy: who decides; None: the one that the settings name.
        clock: federation time; None: real time, scaled as the settings say.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    world: LiveServing

    def __init__(
        self,
        settings: ServeSettings,
        transport: Transport,
        policy: ServingScheduler | None = None,
        clock: Clock | None = None,
    ):
        self.settings, self._transport = settings, transport
        super().__init__(settings, policy or named_policy(settings), settings.world().slots, clock)

    def _make_world(self, clock: Clock) -> LiveServing:
        return LiveServing(self.settings, self._transport, clock)

    def _make_board(self, past: Sequence[Mapping[str, float]]) -> Board[ServingOutcome]:
        return ServingBoard(self.world, self.out, past)

    def _save(
        self,
        out: Path,
        number: int,
        situation: ServingSituation,
        plan: ServingPlan,
        outcome: ServingOutcome,
        row: Mapping[str, float],
    ) -> None:
        save_step(out, number, situation, plan, outcome, row)

    def _recall(self, number: int) -> tuple[ServingSituation, ServingPlan]:
        return load_step(self.out, number)[:2]

    def _orders(self, plan: ServingPlan) -> AnyArray:
        return np.concatenate([part.ravel() for part in (plan.load, plan.threshold, plan.release)])

    def _tell(self, row: Mapping[str, float]) -> None:
        names = ("step", "requests", "answered", "right", "dropped", "waiting", "retried", "connected")
        _LOG.info(
            "step %d: %d asked, %d answered (%d right), %d dropped, %d wait, %d retried, %d nodes, "
            "%.0f ms measured, %.0f ms nominal",
            *(row[name] for name in (*names, "measured_ms", "nominal_ms")),
        )

    def _summary(self, totals: dict[str, float]) -> Summary:
        book = self.world.book
        profile = {"kind": "own"} | self.world.measured().model_dump(mode="json")
        write_text(self.out / MEASURED, yaml.safe_dump({"profile": profile}, sort_keys=False))
        _LOG.info(
            "ended after %d steps: %d accepted = %d answered + %d dropped + %d waiting; %.3f right, "
            "%.2f net points",
            *(self.decisions, book.accepted, book.answered, book.dropped, book.open),
            totals["accuracy"],
            totals["net_points"],
        )
        return Summary(self.decisions, totals)


def named_policy(settings: ServeSettings) -> ServingScheduler:
    """The policy that the settings name; ValueError if there is none that could be used here."""
    policy = make_player(settings.scheduler, settings.world(), **settings.scheduler_settings)
    if policy.clairvoyant:
        raise ValueError(f"scheduler: {policy.name!r} looks into the future, which no node can show it")
    return policy
