"""Placements without optimisation: nothing, the smallest models, caching rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import NOTHING, ServingSituation
from ....envs.serving_view import coming_content
from ..base import State, knob
from .policy import Placement


@dataclass(kw_only=True)
class HubOnly(Placement):
    """Hub only: nothing is ever loaded, and what the hub has no room for is dropped.

    Paper: none; the floor of serving on lent machines.
    Needs: nothing.
    Defaults: none.
    """

    name: ClassVar[str] = "hub-only"

    def place(self, situation: ServingSituation) -> Ints:
        """Nothing."""
        return np.full(situation.slots.available.shape, NOTHING)


@dataclass(kw_only=True)
class CheapestLocal(Placement):
    """Cheapest local: the smallest model that runs, everywhere, slots shared out by the tasks' mean rates.

    Paper: none; what a placement is worth that looks at capacity alone.
    Needs: mean rates.
    Defaults: none.
    """

    name: ClassVar[str] = "cheapest-local"

    def place(self, situation: ServingSituation) -> Ints:
        """The first rung of the task that is furthest from its share."""
        held = coming_content(situation)
        wanted = shared_out(situation, held, situation.tasks.mean_rate.sum(axis=1), situation.loadable)
        rung = runnable(situation).argmax(axis=2)
        return np.where(wanted == NOTHING, NOTHING, wanted * situation.num_rungs + rung)


@dataclass(kw_only=True)
class Lfu(Placement):
    """Least frequently used: slots hold the best rung of the tasks that were asked most since the beginning.

    Slots are shared out by counts (D'Hondt: the next one goes to the largest count / (slots held + 1)); one
    slot a step may change hands, from the task that can spare it most.
    Paper: the caching rule, as a baseline of placement in Si Salem et al. 2024.
    Needs: requests so far.
    Defaults: best rung that runs.
    """

    name: ClassVar[str] = "lfu"

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds requests by task."""
        return super().fresh_state(situation) | {"counts": np.zeros(situation.tasks.answered_last.shape)}

    def weights(self, situation: ServingSituation) -> Floats:
        """How much each task is worth a slot, `[E, I]`."""
        self.state["counts"] = self.state["counts"] + situation.tasks.requests_last.sum(axis=1)
        return self.state["counts"]

    def place(self, situation: ServingSituation) -> Ints:
        """Free slots by counts, and one exchange."""
        weights = self.weights(situation)
        weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1.0)
        held = coming_content(situation)
        free = situation.loadable & (held == NOTHING)
        task = shared_out(situation, held, weights, free)
        task = np.where(task == NOTHING, exchanged(situation, held, task, weights), task)
        return np.where(task == NOTHING, NOTHING, task * situation.num_rungs + best_rung(situation, task))


@dataclass(kw_only=True)
class Lru(Lfu):
    """Least recently used: as `lfu`, by what was asked in the last step alone.

    Tasks are asked thousands of times a step; the chance to be the one asked last is in proportion to that.
    Paper: the caching rule, as a baseline of placement in Si Salem et al. 2024.
    Needs: requests of the last step.
    Defaults: best rung that runs.
    """

    name: ClassVar[str] = "lru"

    def weights(self, situation: ServingSituation) -> Floats:
        """The last step's requests."""
        return np.asarray(situation.tasks.requests_last.sum(axis=1))


@dataclass(kw_only=True)
class SpotHedge(Placement):
    """SpotHedge: enough replicas of a task's model and `extra` more, spread over zones, the hub behind them.

    A replica goes to the zone with the fewest of its task, the cheapest slot there. Zones in which a replica
    was lost come last until one was started there again; with fewer than two others, all are as good again.
    Paper: Mao et al., "SkyServe: Serving AI Models across Regions and Clouds with Spot Instances", EuroSys
    2025 (arXiv 2411.01438): spread over zones, over-provision, fall back on what is always there.
    Needs: availability, zones, rates, capacities.
    Defaults: one model for all, the rung `rung` (of 0 to 1), two extra replicas, as many as the mean rate
    needs; models are never exchanged while they run.
    """

    name: ClassVar[str] = "spothedge"

    extra: int = knob(2, "replicas of a task beyond those that its rate needs", low=0, high=8)
    rung: float = knob(0.5, "which rung is served: 0 the smallest, 1 the best", low=0.0, high=1.0)

    def fresh_state(self, situation: ServingSituation) -> State:
        """Adds what was held, and which zones lost some of it."""
        zones = situation.zones.carbon_g_per_kwh.shape
        held = np.full(situation.slots.available.shape, NOTHING)
        return super().fresh_state(situation) | {"held": held, "shaky": np.zeros(zones, dtype=bool)}

    def place(self, situation: ServingSituation) -> Ints:
        """The replicas that are missing."""
        held, zone = coming_content(situation), situation.slots.zone
        self._remember(held, zone)
        rung = round(self.rung * (situation.num_rungs - 1))
        capacity = situation.slots.capacity_per_step[:, :, rung]
        cost = situation.slots.grams_per_request[:, :, rung] * situation.terms.points_per_gram[:, None]
        cost = cost + situation.slots.latency_ms[:, :, rung] * situation.terms.points_per_ms[:, None]
        fits = runnable(situation)[:, :, rung]
        rate = situation.tasks.rate.sum(axis=1)
        wanted = np.full(held.shape, NOTHING)
        for e in range(held.shape[0]):
            typical = float(np.median(capacity[e][fits[e]])) if fits[e].any() else 0.0
            need = np.ceil(rate[e] / typical) + self.extra if typical > 0 else np.zeros(rate.shape[1])
            free = situation.loadable[e] & (held[e] == NOTHING) & fits[e]
            task = situation.task_of(held[e])
            for _ in range(int(free.sum())):
                missing = need - np.bincount(task[task >= 0], minlength=need.size)
                if missing.max() <= 0:
                    break
                chosen = int(missing.argmax())
                replicas = np.bincount(zone[e][task == chosen], minlength=self.state["shaky"].shape[1])
                keys = np.lexsort((cost[e], replicas[zone[e]], self.state["shaky"][e][zone[e]]))
                slot = next(int(each) for each in keys if free[each])
                free[slot], task[slot] = False, chosen
                wanted[e, slot] = chosen * situation.num_rungs + rung
        return wanted

    def _remember(self, held: Ints, zone: Ints) -> None:
        before, shaky = self.state["held"], self.state["shaky"]
        lost, begun = (before != NOTHING) & (held == NOTHING), (before == NOTHING) & (held != NOTHING)
        for e in range(held.shape[0]):
            shaky[e, zone[e][begun[e]]] = False
            shaky[e, zone[e][lost[e]]] = True
            if (~shaky[e]).sum() < 2:
                shaky[e] = False
        self.state["held"] = held


def runnable(situation: ServingSituation) -> Bools:
    """Bool `[E, S, M]`: rungs that a slot can run at all."""
    slots = situation.slots
    return np.isfinite(slots.latency_ms) & (slots.capacity_per_step > 0)


def best_rung(situation: ServingSituation, task: Ints) -> Ints:
    """The most accurate rung `[E, S]` that runs in each slot, for the task `[E, S]` meant for it."""
    accuracy = situation.tasks.accuracy_known[np.maximum(task, 0)]
    return np.asarray(np.where(runnable(situation), accuracy, -1.0).argmax(axis=2))


def shared_out(situation: ServingSituation, held: Ints, weights: Floats, free: Bools) -> Ints:
    """Tasks `[E, S]` for free slots, in order, so that all slots together follow the weights (D'Hondt)."""
    task = np.where(free, NOTHING, situation.task_of(held))
    given = np.full(held.shape, NOTHING)
    for e in range(held.shape[0]):
        counts = np.bincount(task[e][task[e] >= 0], minlength=weights.shape[1]).astype(np.float64)
        for slot in np.flatnonzero(free[e] & (held[e] == NOTHING)):
            chosen = int((weights[e] / (counts + 1)).argmax())
            given[e, slot] = chosen
            counts[chosen] += 1
    return given


def exchanged(situation: ServingSituation, held: Ints, given: Ints, weights: Floats) -> Ints:
    """The one slot per row whose task can spare it, with the task that misses it most; else NOTHING."""
    task = np.where(given != NOTHING, given, situation.task_of(held))
    moved = np.full(held.shape, NOTHING)
    for e in range(held.shape[0]):
        counts = np.bincount(task[e][task[e] >= 0], minlength=weights.shape[1]).astype(np.float64)
        missing = int((weights[e] / (counts + 1)).argmax())
        spare = np.where(counts > 0, weights[e] / np.maximum(counts, 1), np.inf)
        rich = int(spare.argmin())
        slots = np.flatnonzero((situation.task_of(held[e]) == rich) & situation.loadable[e])
        if slots.size and weights[e, missing] / (counts[missing] + 1) > spare[rich] * (1 + 1e-9):
            moved[e, slots[0]] = missing
    return moved
