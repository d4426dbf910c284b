"""How a scheduler follows a moving optimum, beside the closed form and the best pace at its prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.table import Table

from ...common.arrays import Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import Scheduler, Situation, rollout, show_episodes
from ...envs.world import FederatedWorld
from ...fl_core.quadratics import QuadraticProblem, square_per_h
from ...fl_core.theory import BestPace, Rates, best_pace
from ..schedulers.base import WithRegret, original
from .privacy import spread

_PERIODS_H = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0)
"""Hours from round to round that are compared."""


@dataclass(frozen=True)
class Followed:
    """What following the optimum came to, in E episodes."""

    right: Floats  # [E] share of the answers
    net_points: Floats  # [E]
    regret_points: Floats  # [E] behind the optimum of every moment
    own_regret: Floats | None  # [E] as the scheduler's method counts it
    regret_bound: Floats | None  # [E]
    best: tuple[BestPace, ...]  # of each episode, if everybody were always there
    hours: Floats  # [E]


def follow(world: FederatedWorld, scheduler: Scheduler, seeds: Ints) -> Followed:
    """Play the episodes and compute the best pace of each.

    Raises:
        ValueError: the world is not one of quadratics with arrivals.
    """
    if world.scenario.arrivals is None or world.source.quadratic is None:
        raise ValueError("env: nothing moves there, expected a world of quadratics with arrivals")
    show_episodes(scheduler, lambda size: world, seeds.tolist(), len(seeds))
    regret, first = np.zeros(len(seeds)), None
    for turn in rollout(world, scheduler, seeds):
        first = turn.situation if first is None else first
        served = turn.result.outcome.served
        if served is not None:
            regret += np.where(turn.running, served.regret_points, 0.0)
    assert first is not None
    totals, own = world.totals(), original(scheduler)
    bounded = own if isinstance(own, WithRegret) else None
    return Followed(
        right=np.asarray(world.test_scores()[0]),
        net_points=totals["net_points"],
        regret_points=regret,
        own_regret=None if bounded is None else bounded.regret(),
        regret_bound=None if bounded is None else bounded.regret_bound(),
        best=tuple(_best(world, first, row, int(seed)) for row, seed in enumerate(seeds)),
        hours=totals["hours"],
    )


def tracking_table(followed: Followed, scheduler: str) -> Table:
    """The scheduler beside what a fixed pace could reach."""
    best, hours = followed.best, followed.hours
    table = Table("", scheduler, "best pace", title="Following the optimum, mean and standard error")
    table.columns[0].no_wrap = True
    table.add_row(
        "right answers, %",
        spread((100 * followed.right).tolist()),
        spread([100 * each.accuracy for each in best]),
    )
    table.add_row(
        "net points",
        spread(followed.net_points.tolist()),
        spread([each.net_per_h * h for each, h in zip(best, hours.tolist(), strict=True)]),
    )
    table.add_row("  local steps per round", "", spread([float(each.steps) for each in best]))
    table.add_row(
        "  hours from round to round", "", spread([each.period_s / SECONDS_PER_HOUR for each in best])
    )
    table.add_row("  excess F - F*", "", spread([each.excess for each in best]))
    table.add_row("dynamic regret, points", spread(followed.regret_points.tolist()), "")
    if followed.own_regret is not None and followed.regret_bound is not None:
        table.add_row("regret as the method counts it", spread(followed.own_regret.tolist()), "")
        table.add_row("  its bound", spread(followed.regret_bound.tolist()), "")
    table.caption = (
        "Best pace: everybody there all the time, in every round, and sent the model at its end; "
        "errors as if they were Gaussian"
    )
    return table


def _best(world: FederatedWorld, first: Situation, row: int, seed: int) -> BestPace:
    """The best fixed pace of one episode, at the prices and the carbon of its beginning.

    Hours cost the same whatever the pace.
    """
    scenario, quadratic = world.scenario, world.source.quadratic
    task = world.source.draw(seed).task
    assert isinstance(task, QuadraticProblem)
    assert quadratic is not None
    assert first.stream is not None
    hours = float(first.terms.budget_left[row, 0])
    overhead_s = float(first.terms.overhead_s[row])
    return best_pace(
        task,
        world.source.training.learning_rate,
        square_per_h(scenario.drift),
        quadratic.chance,
        Rates(
            100.0 / hours,
            lambda steps: float(first.round_points(steps)[row].sum()),
            lambda steps: float(first.round_s(steps)[row].max()) + overhead_s,
        ),
        [steps for steps in scenario.levels.local_steps if steps > 0],
        [each * SECONDS_PER_HOUR for each in _PERIODS_H],
    )
