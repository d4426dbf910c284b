"""Assignment of requests to slots: cheapest first up to capacity, then the hub, the rest is dropped.

It is the rule of inference delivery networks (Si Salem et al. 2024): a request goes to the option that is
cheapest for it and has room. Options are pairs of a zone and a slot that holds a model of the request's task;
they are filled in the order of their cost, whatever the task, since a slot serves one task only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from .assignment_kernels import fill_cheapest_first
from .contract import NOTHING, ServingSituation

POINTS_PER_ANSWER = 100.0
"""Of a right answer, in points of one request."""


@dataclass(frozen=True)
class Assignment:
    """Who answers what."""

    slots: Floats  # [E, Z, S] requests of each zone that each slot answers
    hub: Floats  # [E, Z, I] that the hub answers
    dropped: Floats  # [E, Z, I] that nobody answers


@dataclass(frozen=True)
class Options:
    """What may answer, and at what cost."""

    task: Ints  # [E, S] whose model each slot holds; NOTHING = none
    cost: Floats  # [E, Z, S] points of one request of each zone at each slot
    capacity: Floats  # [E, S] answers in the step
    share: (
        Floats  # [E, S] of the step that the slot serves; it answers no larger share of any zone's requests
    )
    hub_cost: Floats  # [E, Z, I] points of one request at the hub
    hub_capacity: Floats  # [E] answers in the step


def assign(requests: Floats, options: Options) -> Assignment:
    """Requests `[E, Z, I]` to options, cheapest first up to capacity, then the hub; the rest is dropped."""
    slots, hub, dropped = fill_cheapest_first(
        np.ascontiguousarray(requests, dtype=np.float64),
        np.ascontiguousarray(options.task, dtype=np.int64),
        np.ascontiguousarray(options.cost, dtype=np.float64),
        np.ascontiguousarray(options.capacity, dtype=np.float64),
        np.ascontiguousarray(options.share, dtype=np.float64),
        np.ascontiguousarray(options.hub_cost, dtype=np.float64),
        np.ascontiguousarray(options.hub_capacity, dtype=np.float64),
    )
    return Assignment(slots, hub, dropped)


def slot_costs(situation: ServingSituation, model: Ints) -> Floats:
    """`[E, Z, S]`, points of one request of each zone at each slot of a placement `[E, S]`; inf = no model.

    Points lost to wrong answers, by the accuracy known from validation, and those of time and emissions.
    """
    s, terms = situation, situation.terms
    task, rung = s.task_of(model), s.rung_of(model)
    wrong = POINTS_PER_ANSWER * (1.0 - s.tasks.accuracy_known[np.maximum(task, 0), rung])
    grams = s.of_rung(s.slots.grams_per_request, model) * terms.points_per_gram[:, None]
    way_ms = np.moveaxis(s.hub.rtt_ms[:, s.slots.zone], 0, 1)
    latency_ms = s.of_rung(s.slots.latency_ms, model)[:, None, :] + way_ms
    cost = (wrong + grams)[:, None, :] + latency_ms * terms.points_per_ms[:, None, None]
    found: Floats = np.where((model == NOTHING)[:, None, :], np.inf, cost)
    return found


def hub_costs(situation: ServingSituation) -> Floats:
    """`[E, Z, I]`, points of one request of each zone and task at the hub."""
    s, terms = situation, situation.terms
    wrong = POINTS_PER_ANSWER * (1.0 - s.tasks.accuracy_known[:, -1])
    rest = s.hub.latency_ms * terms.points_per_ms[:, None]
    rest = rest + (s.hub.grams_per_request * terms.points_per_gram)[:, None]
    found: Floats = rest[:, :, None] + wrong
    return found


def placement_options(situation: ServingSituation, model: Ints) -> Options:
    """The options of a placement `[E, S]` as if all of it served a whole step; slots away serve nothing."""
    s = situation
    there = s.slots.available & (model != NOTHING)
    model = np.where(there, model, NOTHING)
    capacity = np.where(there, s.of_rung(s.slots.capacity_per_step, model), 0.0)
    return Options(
        s.task_of(model),
        slot_costs(s, model),
        capacity,
        there.astype(np.float64),
        hub_costs(s),
        s.hub.capacity_per_step,
    )


def assigned_points(found: Assignment, options: Options) -> Floats:
    """`[E]`, points of one request summed over all that are answered: `POINTS_PER_ANSWER` minus the cost."""
    slots = np.where(found.slots > 0, POINTS_PER_ANSWER - options.cost, 0.0)
    points: Floats = (found.slots * slots).sum(axis=(1, 2))
    return np.asarray(points + (found.hub * (POINTS_PER_ANSWER - options.hub_cost)).sum(axis=(1, 2)))


def placement_points(situation: ServingSituation, model: Ints, requests: Floats) -> Floats:
    """`[E]`, expected points of one request, summed over the requests `[E, Z, I]` of a step, of a placement.

    What loading costs is not in it (`SlotFacts.load_points`), nor what confidence thresholds bring.
    """
    options = placement_options(situation, model)
    return assigned_points(assign(requests, options), options)
