"""When to answer what can wait: at once, at the deadline, in clean hours, by a linear program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import linprog

from ....common.arrays import Floats
from ....common.units import SECONDS_PER_HOUR
from ....envs.serving import NOTHING, POINTS_PER_ANSWER, ServingSituation
from ....envs.serving_view import coming_content
from ..base import knob
from .greedy import serving_ahead
from .policy import Release


@dataclass(kw_only=True)
class AtOnce(Release):
    """At once: whatever can wait is answered in the step in which it arrives, as far as there is room.

    Paper: none.
    Needs: nothing.
    Defaults: none.
    """

    name: ClassVar[str] = "at-once"

    def shares(self, situation: ServingSituation) -> Floats:
        """All."""
        return np.ones(situation.num_envs)


@dataclass(kw_only=True)
class EarliestDeadline(Release):
    """Earliest deadline, latest moment: a request is answered when it is due, and not before.

    The queue is served in the order of deadlines whatever is released (EDF, Liu & Layland, JACM 20, 1973);
    this releases nothing, so that only what is due goes.
    Paper: none; the other end of `at-once`.
    Needs: nothing.
    Defaults: none.
    """

    name: ClassVar[str] = "edf"

    def shares(self, situation: ServingSituation) -> Floats:
        """None."""
        return np.zeros(situation.num_envs)


@dataclass(kw_only=True)
class ThresholdDefer(Release):
    """Threshold deferral: everything is released while the grid is as clean as in the best hours ahead.

    Paper: Wiesner et al., "Let's Wait Awhile: How Temporal Workload Shifting Can Reduce Carbon Emissions in
    the Cloud", Middleware 2021, whose interruptible jobs run in the cleanest slots before their deadline.
    Needs: present and forecast intensity where slots serve.
    Defaults: released while the intensity is below the 30 % quantile of the time until the last deadline.
    """

    name: ClassVar[str] = "threshold-defer"

    quantile: float = knob(0.3, "share of the coming time that counts as clean", low=0.0, high=1.0)

    def shares(self, situation: ServingSituation) -> Floats:
        """All or none."""
        ahead = intensity_ahead(situation, situation.tasks.queue.shape[3])
        limit = np.quantile(ahead, self.quantile, axis=1)
        return np.where(ahead[:, 0] <= limit * (1 + 1e-9), 1.0, 0.0)


@dataclass(kw_only=True)
class LpDefer(Release):
    """LP deferral: release so much now as the cheapest plan to the deadlines has in its first step.

    min sum_h c_h x_h + P o_h with x_h <= room_h + o_h, all that is due by step h answered by then, and the
    whole queue by the last: c is what an answer's emissions cost at the forecast intensity and `risk` for
    every hour that it waits, room what slots and hub can answer beyond the requests that cannot wait, P what
    a dropped request costs. Of equal steps the earliest.
    Paper: carbon-aware shifting as a linear program, e.g. Radovanovic et al., "Carbon-Aware Computing for
    Datacenters", IEEE Transactions on Power Systems 38(2), 2023.
    Needs: the queue by deadline, forecast intensity, rates, capacities, prices; with a clairvoyant placement,
    the truth instead of the forecasts.
    Defaults: an hour of waiting has to save a point: forecasts of room are worth only so much.
    """

    name: ClassVar[str] = "lp-defer"

    risk: float = knob(
        1.0, "points of a request that an hour of waiting costs", low=0.001, high=50.0, log=True
    )

    def shares(self, situation: ServingSituation) -> Floats:
        """The first step of each row's plan, over its queue."""
        waiting = situation.tasks.queue.sum(axis=(1, 2))
        hours = np.arange(waiting.shape[1]) * situation.terms.step_s / SECONDS_PER_HOUR
        cost = answer_cost(situation)[:, None] * intensity_ahead(situation, hours.size) + self.risk * hours
        room = room_ahead(situation, waiting.shape[1])
        shares = np.ones(situation.num_envs)
        for e in np.flatnonzero(waiting.sum(axis=1) > 0):
            plan = cheapest_release(waiting[e], cost[e], room[e])
            shares[e] = plan[0] / waiting[e].sum()
        return np.clip(shares, 0.0, 1.0)


def cheapest_release(waiting: Floats, cost: Floats, room: Floats) -> Floats:
    """How much of a queue to answer in each step, `[D]`.

    Args:
        waiting: `[D]`, requests by whole steps left; the first are due now.
        cost: `[D]`, of one answer in each step, points.
        room: `[D]`, answers that each step has room for; more cost a dropped request each.
    """
    depth = waiting.size
    due, total = np.cumsum(waiting), waiting.sum()
    # Columns: x_0 ... x_D-1, o_0 ... o_D-1; of equal costs the earliest (beyond HiGHS' tolerance).
    order = 1e-5 * np.arange(depth) * max(float(np.abs(cost).max()), 1.0)
    objective = np.concatenate([cost + order, np.full(depth, POINTS_PER_ANSWER)])
    one = np.eye(depth)
    limits = np.block([[one, -one], [-np.tril(np.ones((depth, depth))), np.zeros((depth, depth))]])
    right = np.concatenate([np.clip(room, 0.0, total), -due])
    scale = max(float(total), 1e-300)
    solved = linprog(
        objective,
        A_ub=limits,
        b_ub=right / scale,
        A_eq=np.concatenate([np.ones((1, depth)), np.zeros((1, depth))], axis=1),
        b_eq=[1.0],
        bounds=(0.0, None),
        method="highs",
    )
    plan: Floats = waiting.copy() if solved.x is None else solved.x[:depth] * scale
    return plan


def intensity_ahead(situation: ServingSituation, depth: int) -> Floats:
    """Mean intensity over the present one, `[E, depth]` steps ahead, where slots and hub answer now.

    The truth where the future is shown, else the forecast, linear between its leads and constant behind.
    """
    zones = situation.zones
    leads = np.concatenate([[0.0], zones.carbon_leads_s])
    known = np.concatenate([zones.carbon_g_per_kwh[:, :, None], zones.carbon_forecast], axis=2)
    at = (np.arange(depth) + 0.5) * situation.terms.step_s
    at[0] = 0.0
    left = np.clip(np.searchsorted(leads, at, side="right") - 1, 0, leads.size - 2)
    part = np.clip((at - leads[left]) / np.maximum(leads[left + 1] - leads[left], 1e-9), 0.0, 1.0)
    ahead = known[:, :, left] * (1 - part) + known[:, :, left + 1] * part
    if situation.future is not None:
        shown = min(depth, situation.future.carbon_g_per_kwh.shape[2])
        ahead[:, :, :shown] = situation.future.carbon_g_per_kwh[:, :, :shown]
    weights = _places(situation)
    mean = (weights[:, :, None] * ahead).sum(axis=1)
    return np.asarray(mean / np.maximum(mean[:, :1], 1e-9))


def answer_cost(situation: ServingSituation) -> Floats:
    """Points that the emissions of one answer cost now, `[E]`, in the mean of what serves, hub included."""
    slots, hub = situation.slots, situation.hub
    amount = np.where(situation.serving, situation.of_rung(slots.capacity_per_step, slots.model), 0.0)
    grams = amount * np.where(situation.serving, situation.of_rung(slots.grams_per_request, slots.model), 0.0)
    total = grams.sum(axis=1) + hub.capacity_per_step * hub.grams_per_request
    mean = total / np.maximum(amount.sum(axis=1) + hub.capacity_per_step, 1e-300)
    return np.asarray(mean * situation.terms.points_per_gram)


def room_ahead(situation: ServingSituation, depth: int) -> Floats:
    """Answers that slots and hub can give to what waits in each coming step, `[E, depth]`.

    Beyond what cannot wait, and of a task's slots no more than waits for that task. Slots serve what they
    hold for as long as they are expected to stay, or in truth where the future is shown; nothing is loaded
    anew, which errs on the side of answering early.
    """
    slots, tasks = situation.slots, situation.tasks
    held = coming_content(situation)
    amount = np.where(held == NOTHING, 0.0, situation.of_rung(slots.capacity_per_step, held))
    stays = serving_ahead(situation, depth)
    of_task = situation.task_of(held)[:, :, None] == np.arange(situation.num_tasks)
    room = np.einsum("es,esh,esi->eih", amount, stays, of_task.astype(np.float64))
    known = tasks.rate.sum(axis=(1, 2), keepdims=True) > 0
    rate = np.where(known, tasks.rate, tasks.mean_rate).sum(axis=1)
    asked = np.repeat(rate[:, :, None], depth, axis=2)
    if situation.future is not None:
        shown = min(depth, situation.future.requests.shape[3])
        asked[:, :, :shown] = situation.future.requests.sum(axis=1)[:, :, :shown]
    asked = asked * (1.0 - tasks.deferrable_share)
    waiting = tasks.queue.sum(axis=(1, 3))[:, :, None]
    spare = np.minimum(np.maximum(room - asked, 0.0), waiting).sum(axis=1)
    over = np.maximum(asked - room, 0.0).sum(axis=1)
    return np.asarray(spare + np.maximum(situation.hub.capacity_per_step[:, None] - over, 0.0))


def _places(situation: ServingSituation) -> Floats:
    """Shares `[E, Z]` of the zones in what is answered now: serving slots and hub by capacity."""
    slots, hub = situation.slots, situation.hub
    amount = np.where(situation.serving, situation.of_rung(slots.capacity_per_step, slots.model), 0.0)
    places = np.zeros_like(situation.zones.carbon_g_per_kwh)
    places[:, hub.zone] += hub.capacity_per_step
    rows = np.arange(places.shape[0])[:, None]
    np.add.at(places, (rows, slots.zone), amount)
    return np.asarray(places / np.maximum(places.sum(axis=1, keepdims=True), 1e-300))
