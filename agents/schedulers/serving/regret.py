"""Regret of placements: the best fixed one in hindsight, found from below and bounded from above.

A fixed placement gains only while its slots are there (`Ladder.capacity` is 0 elsewhere). To find the best is
NP-hard; greedy with exchanges comes close from below, and the concave relaxation bounds it from above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import NOTHING, ServingPlan, ServingSituation
from ....envs.serving_view import (
    Ladder,
    at_content,
    coming_content,
    fill_greedily,
    gain_and_slope,
    gain_of,
    joined_rows,
    ladder_of,
    load_delays,
    marginals,
)
from .simplices import softmax

PSI = 1.0 - np.exp(-1.0)
"""What rounding keeps of the concave gain, in expectation, and greedy of the best set."""
_SWEEPS = 4


@dataclass(frozen=True)
class Hindsight:
    """What an episode of T steps would have given to a fixed placement, in points of one request."""

    placement: Ints  # [S] the best fixed one that was found
    best: float  # its gain, a lower bound of the best
    relaxed: float  # no fixed placement, not even a fractional one, gains more


def look_back(ladder: Ladder, iterations: int = 200) -> Hindsight:
    """The best fixed placement of an episode, and a bound on any.

    Args:
        ladder: of the episode's T steps, in the place of E.
        iterations: of the ascent behind the bound; more tighten it.
    """
    placement = best_fixed(ladder)
    gain = float(gain_of(ladder, np.broadcast_to(placement, ladder.cost.shape[:2])).sum())
    bound = relaxed_bound(ladder._replace(hub_last=False), iterations)
    return Hindsight(placement, gain, max(bound, gain))


def best_fixed(ladder: Ladder) -> Ints:
    """A placement `[S]` that no exchange of one slot's content improves, from the greedy one.

    Args:
        ladder: of the T steps of an episode, in the place of E.
    """
    steps, slots, _ = ladder.cost.shape

    def added(content: Ints) -> Floats:
        every = marginals(ladder, np.broadcast_to(content, (steps, slots)))
        return np.asarray(every.sum(axis=0, keepdims=True))

    content = fill_greedily(added, np.full((1, slots), NOTHING), np.ones((1, slots), dtype=bool))
    for _ in range(_SWEEPS):
        before = content.copy()
        for slot in range(slots):
            worth = added(content)[0, slot]
            held = content[0, slot]
            if worth.max() > (worth[held] if held >= 0 else 0.0) * (1 + 1e-12):
                content[0, slot] = worth.argmax()
        if np.array_equal(content, before):
            break
    return np.asarray(content[0])


def relaxed_bound(ladder: Ladder, iterations: int = 200) -> float:
    """An upper bound on the gain of every fixed placement, fractions included.

    Mirror ascent on the sum of the concave gains; by concavity every point y visited bounds the best:
    `G(y*) <= G(y) + <g, y* - y>`, and so does their mean, whose best answer is a corner.

    Args:
        ladder: of the T steps of an episode, in the place of E.
        iterations: of the ascent; the bound tightens with their square root.
    """
    steps, slots, contents = ladder.cost.shape
    scores, slopes = np.zeros((slots, contents)), np.zeros((slots, contents))
    constant, scale = 0.0, np.full((slots, 1), 1e-300)
    best = np.inf
    for count in range(1, iterations + 1):
        y = softmax(scores)
        gains, slope = gain_and_slope(ladder, np.broadcast_to(y, (steps, slots, contents)))
        total = slope.sum(axis=0)
        constant += float(gains.sum() - (total * y).sum())
        slopes += total
        scale = np.maximum(scale, np.ptp(total, axis=1)[:, None])
        scores = slopes / scale * np.sqrt(8 * np.log(contents) / iterations)
        best = min(best, (constant + slopes.max(axis=1).sum()) / count)
        best = min(best, float(gains.sum() - (total * y).sum() + total.max(axis=1).sum()))
    return float(best)


def relaxed_by_program(ladder: Ladder, fixed: bool = True) -> float:
    """The largest concave gain of an episode, exactly, as a linear program (HiGHS).

    Args:
        ladder: of the T steps of an episode, in the place of E.
        fixed: whether y is the same in all steps; else every step has its own, which bounds every schedule.

    Raises:
        ValueError: HiGHS found no optimum.
    """
    steps, slots, contents = ladder.cost.shape
    tasks = ladder.requests.shape[1]
    of_task = np.arange(contents) // (contents // tasks)
    room = np.minimum(ladder.capacity, ladder.requests[:, :, None].swapaxes(1, 2)[:, :, of_task])
    spared = np.maximum(ladder.dropped - ladder.cost, 0.0)
    hub_room = np.minimum(ladder.hub_capacity, ladder.requests)
    hub_spared = np.maximum(ladder.dropped - ladder.hub_cost, 0.0)
    answers, hubs = steps * slots * contents, steps * tasks
    fractions = slots * contents * (1 if fixed else steps)
    # Columns: answers by slots [T, S, J], by the hub [T, I], fractions. Rows: answers <= room y, the
    # requests of a task, the unit of a slot.
    t, s, j = (index.ravel() for index in np.indices((steps, slots, contents)))
    own = answers + hubs + (s * contents + j if fixed else np.arange(answers))
    number = np.arange(answers)
    unit = np.arange(fractions) // contents
    rows = [
        number,
        number,
        answers + t * tasks + of_task[j],
        answers + np.arange(hubs),
        answers + hubs + unit,
    ]
    columns = [number, own, number, answers + np.arange(hubs), answers + hubs + np.arange(fractions)]
    data = [np.ones(answers), -room.ravel(), np.ones(answers), np.ones(hubs), np.ones(fractions)]
    matrix = coo_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))).tocsr()
    limit = np.concatenate([np.zeros(answers), ladder.requests.ravel(), np.ones(fractions // contents)])
    value = np.concatenate([spared.ravel(), hub_spared.ravel(), np.zeros(fractions)])
    high = np.concatenate([np.full(answers, np.inf), hub_room.ravel(), np.ones(fractions)])
    within = LinearConstraint(matrix, np.full(limit.size, -np.inf), limit)
    solved = milp(-value, bounds=Bounds(np.zeros(high.size), high), constraints=within)
    if solved.x is None:
        raise ValueError(f"relaxation: {solved.message}, expected an optimum; check the ladder for nan")
    return float(-solved.fun - (hub_room * hub_spared).sum())


class PlacementRegret:
    """Regret of what any policy of serving places, recorded step by step from a rollout.

    Policy and fixed placements are measured by the same ladders: a slot counts while it is there at the
    beginning of a step. The fixed ones wait for no loads and pay none; the policy's slots serve from the end
    of their loads on, which is part of its regret.
    """

    def __init__(self) -> None:
        self._ladders: list[Ladder] = []
        self._own: list[Floats] = []
        self._running: list[Bools] = []
        self._expected: Floats = np.ones(0)

    def record(
        self, situation: ServingSituation, plan: ServingPlan, requests: Floats, running: Bools
    ) -> None:
        """Remember one step.

        Args:
            situation: before it.
            plan: what was ordered.
            requests: `[E, Z, I]` that arrived in it (`ServingOutcome.requests`).
            running: bool `[E]`, whose episode was running.
        """
        step_s, loads = situation.terms.step_s, (plan.load > 0) & situation.loadable
        content = np.where(loads, plan.load - 1, coming_content(situation))
        delay_s = at_content(load_delays(situation), content)
        share = np.clip((step_s - delay_s) / step_s, 0.0, 1.0)
        ladder = ladder_of(situation, requests, hub_last=True)
        self._ladders.append(ladder)
        self._own.append(gain_of(ladder, content, share))
        self._running.append(running)
        self._expected = situation.terms.expected_requests

    def hindsight(self, iterations: int = 50, known: Sequence[Hindsight | None] = ()) -> list[Hindsight]:
        """The best fixed placement of each episode, which no policy changes.

        Args:
            iterations: behind the bound, see `look_back`.
            known: those of earlier plays of the same episodes; None, or none at all: found anew.
        """
        found = []
        for e in range(self._expected.size):
            there = known[e] if known else None
            steps = [t for t, running in enumerate(self._running) if running[e]]
            found.append(there or look_back(joined_rows([self._ladders[t] for t in steps], e), iterations))
        return found

    def points(self, iterations: int = 50, fixed: Sequence[Hindsight] | None = None) -> dict[str, Floats]:
        """Points of the episode, each `[E]`.

        Args:
            iterations: behind `relaxed_points`, see `look_back`.
            fixed: the best fixed placements; None: those of `hindsight`.

        Returns:
            `own_points` and `best_points`, what the policy's placements and the best fixed one that was found
            spare against the hub alone; `regret_points`, their difference; `psi_regret_points`, the same
            against (1 - 1/e) of the best, as the theory of rounded placements counts it; `relaxed_points`,
            which no fixed placement exceeds.
        """
        rows = []
        for e, found in enumerate(self.hindsight(iterations) if fixed is None else fixed):
            running = [own[e] for own, on in zip(self._own, self._running, strict=True) if on[e]]
            own = sum(map(float, running))
            rows.append((own, found.best, found.best - own, PSI * found.best - own, found.relaxed))
        names = ("own_points", "best_points", "regret_points", "psi_regret_points", "relaxed_points")
        values = np.array(rows) / self._expected[:, None]
        return dict(zip(names, values.T, strict=True))
