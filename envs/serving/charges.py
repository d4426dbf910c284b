"""What a step of serving costs: waiting, joules by load, grams, and the terms of the reward."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH
from ..scenario import REWARD_TERMS
from .assignment import POINTS_PER_ANSWER, Assignment
from .contract import NOTHING, ServingOutcome, ServingSituation
from .ladders import Given
from .situation import State
from .slots import Service


def waiting_ms(
    known: ServingSituation, model: Ints, now: Assignment, given: Given, waited: Floats, slots: Floats
) -> Floats:
    """`[E]`, milliseconds of the answers that somebody waits for; retries are not in it.

    Args:
        known: what is known.
        model: `[E, S]`, that each slot answers with.
        now: who answers what cannot wait.
        given: the answers.
        waited: `[E, Z, I]`, share of these that somebody waits for.
        slots: `[E, Z, S]`, all answers of slots.
    """
    share = _of_slots(known, model, waited)
    own = np.where(model == NOTHING, 0.0, known.of_rung(known.slots.latency_ms, model))
    way = np.moveaxis(known.hub.rtt_ms[:, known.slots.zone], 0, 1)
    urgent = np.divide(now.slots, slots, out=np.zeros_like(slots), where=slots > 0) * share
    asked = (given.asked * urgent).sum(axis=2) * known.hub.latency_ms
    hub = (now.hub * waited).sum(axis=2) * known.hub.latency_ms
    local = (now.slots * share * (own[:, None, :] + way)).sum(axis=2)
    total: Floats = (local + hub + asked).sum(axis=1)
    return total


def waited_for(known: ServingSituation, model: Ints, now: Assignment, waited: Floats) -> Floats:
    """`[E]`, answers that somebody waits for; arguments as of `waiting_ms`."""
    slots = (now.slots * _of_slots(known, model, waited)).sum(axis=(1, 2))
    total: Floats = slots + (now.hub * waited).sum(axis=(1, 2))
    return total


def _of_slots(known: ServingSituation, model: Ints, waited: Floats) -> Floats:
    """`[E, Z, S]`, share of each slot's answers to what cannot wait that somebody waits for."""
    task = np.maximum(known.task_of(model), 0)
    e, z, _ = waited.shape
    share: Floats = np.take_along_axis(
        waited, np.broadcast_to(task[:, None, :], (e, z, task.shape[1])), axis=2
    )
    return share


def energy(
    state: State, capacity: Floats, service: Service, local: Floats, at_hub: Floats
) -> tuple[Floats, Floats]:
    """Joules of slots `[E, S]` and hub `[E]` in a step.

    An answer costs E(b) joules, b the answers in work at once: a slot's load times its concurrency, at least
    1. A slot that holds or loads a model draws its share of idle watts all the time.

    Args:
        state: of the worlds.
        capacity: `[E, S]`, answers that each slot has time for.
        service: of the slots.
        local: `[E, S]`, answers of slots.
        at_hub: `[E]`, answers of the hub.
    """
    fleet, source = state.fleet, state.source
    busy = np.divide(local, capacity, out=np.zeros_like(local), where=capacity > 0)
    batch = np.maximum(1.0, busy * source.concurrency)
    rung = np.where(service.model == NOTHING, 0, service.model % source.profile.rungs)[:, :, None]
    each = np.take_along_axis(source.joules(batch, fleet.joule_factor), rung, axis=2)[:, :, 0]
    joules = np.where(local > 0, local * each, 0.0)
    joules = joules + source.scenario.idle * fleet.watts * service.held_s
    joules = joules + service.moved_bytes * fleet.network_j_per_byte
    return joules, hub_energy(state, at_hub)


def hub_energy(state: State, at_hub: Floats) -> Floats:
    """Joules of the hub `[E]` for so many answers `[E]` of a step."""
    hardware, most = state.source.profile.hardware["hub"], state.hub_capacity
    share = np.divide(at_hub, most, out=np.zeros_like(at_hub), where=most > 0)
    hub: Floats = at_hub * hardware.joules_at(np.maximum(1.0, share * hardware.concurrency))[:, -1]
    return hub


def emissions(state: State, energy_j: Floats, hub_j: Floats) -> tuple[Floats, Floats]:
    """Grams CO2e of slots `[E, S]` and hub `[E]`, at the mean intensity of the step in each zone."""
    scenario = state.source.scenario
    hub_zone = np.full((len(hub_j), 1), scenario.hub.zone)
    zone = np.concatenate([state.fleet.zone, hub_zone], axis=1)
    begin_s = np.broadcast_to(state.time_s[:, None], zone.shape)
    mean = state.carbon.integral(zone, begin_s, begin_s + scenario.step_s) / scenario.step_s
    grams = np.concatenate([energy_j, hub_j[:, None]], axis=1) / JOULES_PER_KWH * mean
    return grams[:, :-1], grams[:, -1]


def reward_terms(state: State, outcome: ServingOutcome) -> Floats:
    """`[E, 4]` in the order of `REWARD_TERMS`: points of the episode."""
    prices = state.fleet.prices
    expected = np.maximum(state.arrivals.expected(), 1e-9)
    terms = np.zeros((len(expected), len(REWARD_TERMS)))
    terms[:, 0] = POINTS_PER_ANSWER * outcome.right.sum(axis=1) / expected
    terms[:, 1] = -prices[:, 0] * outcome.latency_ms / expected
    terms[:, 2] = -prices[:, 1] * outcome.bytes.sum(axis=1) / BYTES_PER_GB
    terms[:, 3] = -prices[:, 2] * (outcome.emissions_g.sum(axis=1) + outcome.hub_g) / GRAMS_PER_KG
    return terms
