"""Placements by an optimiser every hour: Proteus' integer program, Clover's search over mixes of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ....common.arrays import Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from ....envs.serving_view import Ladder, coming_content, gain_of, ladder_of
from ..base import State, knob
from .policy import Placement

_NODES = 200
_GAP = 0.01
"""Branch-and-bound stops there: a limit of nodes, as one of seconds would depend on the machine."""


@dataclass(kw_only=True)
class Periodic(Placement):
    """Base of placements that are decided every so often; a slot that comes back waits for the next time."""

    every: int = knob(6, "steps between two decisions", low=1, high=144, log=True)

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds the placement."""
        held = np.full(situation.slots.available.shape, NOTHING)
        return super().fresh_state(situation) | {"plan": held}

    def decide(self, situation: ServingSituation) -> Ints:
        """A placement `[E, S]` for all rows; those whose turn it is take theirs."""
        raise NotImplementedError

    def place(self, situation: ServingSituation) -> Ints:
        """The last decision."""
        due = situation.terms.step % self.every == 0
        if due.any():
            self.state["plan"] = np.where(due[:, None], self.decide(situation), self.state["plan"])
        return self.state["plan"]


@dataclass(kw_only=True)
class ProteusMilp(Periodic):
    """Proteus: the models whose answers are most accurate in sum, with capacity for the expected requests.

    max sum_sj a_j q_sj + a_hub q_hub with x_sj in {0, 1}, sum_j x_sj <= 1, q_sj <= capacity_sj x_sj and
    sum_s q_sj <= r_i by task, where at least `coverage` of all r must be answered; where that cannot be, the
    share is lowered step by step, which is accuracy scaling.
    Paper: Ahmad, Guan, Friedman, Williams, Sitaraman & Woo, "Proteus: A High-Throughput Inference-Serving
    System with Accuracy Scaling", ASPLOS 2024: one model per device, throughputs as profiled, demand as an
    exponential mean; its products of routing and placement are linear here, as q says both.
    Needs: rates, capacities, accuracies; neither latency nor carbon nor sessions.
    Defaults: every hour; coverage 0.95. Solved by HiGHS to a gap of 1 %, nearly always at the root.
    """

    name: ClassVar[str] = "proteus-milp"

    coverage: float = knob(
        0.95, "share of the requests that must be answered, if it can be", low=0.1, high=1.0
    )
    headroom: float = knob(1.05, "factor on the expected requests", low=0.5, high=3.0, log=True)

    def decide(self, situation: ServingSituation) -> Ints:
        """One program per row."""
        tasks = situation.tasks
        known = tasks.rate.sum(axis=(1, 2), keepdims=True) > 0
        ladder = ladder_of(situation, np.where(known, tasks.rate, tasks.mean_rate) * self.headroom)
        held = coming_content(situation)
        accuracy = tasks.accuracy_known.reshape(-1)
        plan = np.full(held.shape, NOTHING)
        due = situation.terms.step % self.every == 0
        for e in np.flatnonzero(due):
            coverage = self.coverage
            while coverage > 0.0:
                room = float(situation.hub.capacity_per_step[e])
                found = most_accurate(
                    accuracy, ladder.capacity[e], ladder.requests[e], room, coverage, held[e]
                )
                if found is not None:
                    plan[e] = found
                    break
                coverage -= 0.1
        return plan


@dataclass(kw_only=True)
class CloverMix(Periodic):
    """Clover: a mix of smaller and larger models that follows the grid, found by annealing every hour.

    Maximises accuracy less the price of emissions at the present intensities, with no regard to latency
    within the step, by proposals that change one slot's model, taken if better and else with chance
    e^(change / temperature).
    Paper: Li, Samsi, Gadepally & Tiwari, "Clover: Toward Sustainable AI with Carbon-Aware Machine Learning
    Inference Service", SC 2023, without its partitions of one GPU.
    Needs: rates, capacities, accuracies, energy per answer, present intensity, price of carbon.
    Defaults: every hour, 300 proposals, starting from what is held.
    """

    name: ClassVar[str] = "clover-mix"

    proposals: int = knob(300, "models of one slot that are tried at a decision", low=10, high=5000, log=True)

    def decide(self, situation: ServingSituation) -> Ints:
        """Annealed for all rows at once."""
        tasks = situation.tasks
        known = tasks.rate.sum(axis=(1, 2), keepdims=True) > 0
        ladder = ladder_of(situation, np.where(known, tasks.rate, tasks.mean_rate), timeless=True)
        return self.anneal(ladder, coming_content(situation))

    def anneal(self, ladder: Ladder, content: Ints) -> Ints:
        """The best placement visited, int `[E, S]`."""
        envs, slots = content.shape
        rows, draws = np.arange(envs), self.uniforms(self.proposals, 3)
        value = gain_of(ladder, content)
        best, best_value = content.copy(), value.copy()
        typical = np.maximum(ladder.requests.sum(axis=1), 1.0)
        for n in range(self.proposals):
            temperature = typical * 0.5 * 0.01 ** (n / self.proposals)
            slot = np.floor(draws[:, n, 0] * slots).astype(np.int64)
            trial = content.copy()
            trial[rows, slot] = np.floor(draws[:, n, 1] * ladder.cost.shape[2]).astype(np.int64)
            gain = gain_of(ladder, trial)
            taken = draws[:, n, 2] < np.exp(np.minimum((gain - value) / temperature, 0.0))
            taken &= ladder.capacity[rows, slot, trial[rows, slot]] > 0
            content, value = np.where(taken[:, None], trial, content), np.where(taken, gain, value)
            better = value > best_value
            best, best_value = np.where(better[:, None], content, best), np.where(better, value, best_value)
        return best


def most_accurate(
    accuracy: Floats,
    capacity: Floats,
    requests: Floats,
    hub_room: float,
    coverage: float,
    held: Ints,
) -> Ints | None:
    """Proteus' integer program of one step: the content of each slot, int `[S]`, or None if there is none.

    Args:
        accuracy: `[J]`, of each content; the last rung of a task is the hub's model.
        capacity: `[S, J]`, answers in the step; 0 where a content cannot run.
        requests: `[I]`.
        hub_room: answers of the hub.
        coverage: share of all requests that must be answered.
        held: int `[S]`, contents that are there; preferred where it makes no difference.
    """
    slots, contents = capacity.shape
    tasks = requests.size
    of_task = np.arange(contents) // (contents // tasks)
    s, j = np.nonzero(capacity > 0)
    number, size = np.arange(s.size), s.size
    # Columns: x of each pair that can run, q of each, q of the hub by task. Rows: q <= capacity x, one
    # content per slot, requests of a task, the hub's room, coverage.
    used = [number, number, size + s, size + slots + of_task[j], size + slots + np.arange(tasks)]
    used += [np.full(tasks, size + slots + tasks), np.full(size + tasks, size + slots + tasks + 1)]
    answered, by_hub = size + number, 2 * size + np.arange(tasks)
    columns = [number, answered, number, answered, by_hub, by_hub, np.concatenate([answered, by_hub])]
    data = [-capacity[s, j], np.ones(size), np.ones(size), np.ones(size), np.ones(tasks), np.ones(tasks)]
    data += [np.ones(size + tasks)]
    shape = (size + slots + tasks + 2, 2 * size + tasks)
    matrix = coo_array((np.concatenate(data), (np.concatenate(used), np.concatenate(columns))), shape=shape)
    high = np.concatenate([np.zeros(size), np.ones(slots), requests, [hub_room, np.inf]])
    low = np.full(high.size, -np.inf)
    low[-1] = coverage * requests.sum()
    stays = 1e-6 * requests.sum() * (held[s] == j)
    best = accuracy.reshape(tasks, -1)[:, -1]
    solved = milp(
        -np.concatenate([stays, accuracy[j], best]),
        integrality=np.concatenate([np.ones(size), np.zeros(size + tasks)]),
        bounds=Bounds(0.0, np.concatenate([np.ones(size), np.full(size + tasks, np.inf)])),
        constraints=LinearConstraint(matrix.tocsr(), low, high),
        options={"node_limit": _NODES, "mip_rel_gap": _GAP},
    )
    if solved.x is None:
        return None
    chosen = solved.x[:size] > 0.5
    content = np.full(slots, NOTHING)
    content[s[chosen]] = j[chosen]
    return content
