"""What the Gaussian mechanism promises where a scheduler chose who takes part, and where nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from ...common.arrays import Ints
from ...envs.contract import RoundPlan, Scheduler, Situation, rollout, scheduler_seeds
from ...envs.world import FederatedWorld
from ...fl_core.aggregation import epsilon_bound
from .theory import Episode

_ASSUMPTIONS = (
    "no decision in these episodes depended on what clients report of their data, and none may; nothing is "
    "taken off for sampling, which needs every client to be drawn independently, with one probability"
)


def reads_reports(world: FederatedWorld, seeing: Scheduler, blind: Scheduler, seeds: Ints) -> bool:
    """Whether a scheduler decides by what clients report of their data.

    Found by playing: a twin is asked for the same decisions with the reports kept from it. What differs in
    any of them depends on reports.

    Args:
        world: where to play.
        seeing: the scheduler.
        blind: its twin.
        seeds: of the episodes.
    """
    clients = world.scenario.clients
    blind.reset(np.ones(len(seeds), dtype=bool), scheduler_seeds(seeds), clients)
    for turn in rollout(world, seeing, seeds):
        if turn.plan.is_probe.any() or _differ(
            turn.plan, blind.plan(_without_reports(turn.situation)), turn.running
        ):
            return True
    return False


def no_privacy(scheduler: str) -> str:
    """Why no figure is shown for a scheduler that reads reports."""
    return (
        f"Privacy: no figure; scheduler {scheduler} decides by what clients report of their data (losses, "
        "lengths of updates, probes), which no noise on the sum covers. Choose one that does not."
    )


def privacy_table(episodes: Sequence[Episode], rounds: Ints, noise_multiplier: float, delta: float) -> Table:
    """Epsilon of the recorded participation.

    Args:
        episodes: as recorded.
        rounds: `[E]`, rounds of training of the episodes played, those in which nothing arrived included.
        noise_multiplier: of the mechanism.
        delta: of the privacy.
    """
    most = [int(each.history.participated.sum(axis=0).max(initial=0)) for each in episodes]
    title = f"Gaussian noise at the server, multiplier {noise_multiplier:g}"
    table = Table("privacy", "recorded", title=title, caption=_ASSUMPTIONS)
    at = f"epsilon at delta {delta:g}"
    bounds = [epsilon_bound(noise_multiplier, each, delta) for each in most]
    everything = [epsilon_bound(noise_multiplier, each, delta) for each in rounds.tolist()]
    table.add_row("rounds, all of them noisy, silent ones included", spread(rounds.tolist()))
    table.add_row("most rounds in which one client answered", spread(most))
    table.add_row(f"{at}, if nobody was to answer more often than that", spread(bounds))
    table.add_row(f"{at}, of a client in every round", spread(everything))
    return table


def spread(values: Sequence[float]) -> str:
    """Mean and standard error of the finite values, and how many are not."""
    all_values = np.asarray(values, dtype=np.float64)
    finite = all_values[np.isfinite(all_values)]
    if not finite.size:
        return "none finite"
    error = f" ± {finite.std(ddof=1) / math.sqrt(finite.size):.1g}" if finite.size > 1 else ""
    rest = all_values.size - finite.size
    return f"{finite.mean():.4g}{error}" + (f" ({rest} infinite)" if rest else "")


def _without_reports(situation: Situation) -> Situation:
    blank = np.full_like(situation.clients.last_loss, np.nan)
    return situation.changed(last_loss=blank, last_norm=blank, probed_loss=blank)


def _differ(one: RoundPlan, other: RoundPlan, running: np.ndarray) -> bool:
    """Whether two plans say different things of the episodes that still run."""
    for mine, theirs in zip(vars(one).values(), vars(other).values(), strict=True):
        if (mine is None) != (theirs is None):
            return True
        if mine is not None and not np.array_equal(
            mine[running], theirs[running], equal_nan=mine.dtype.kind == "f"
        ):
            return True
    return False
