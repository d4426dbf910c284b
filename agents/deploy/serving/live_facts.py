"""What is known of a live world of serving, as the `ServingSituation` that every policy reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....common.arrays import Floats, Ints
from ....common.units import BYTES_PER_GB
from ....envs.serving import (
    NOTHING,
    FleetSource,
    Ladder,
    Profile,
    ServingScenario,
    ServingSituation,
    State,
)
from ..federation import Roster
from .book import RequestBook
from .stopwatch import Stopwatch


@dataclass(frozen=True)
class Fleet:
    """What the draw says of the machines, for those whose nodes do not say it."""

    zone: Ints  # [N] grid zone
    devices: dict[str, Floats]  # speeds, links and watts by name, [N] each


def charge_moved(scenario: ServingScenario, ladder: Ladder, profile: Profile) -> ServingScenario:
    """The scenario charged for what is really moved: the trained models' own bytes, mean over the tasks."""
    gigabytes = (ladder.bytes_of_rungs / BYTES_PER_GB).tolist()
    own = {"kind": "own", **profile.model_dump(), "gigabytes": gigabytes}
    return scenario.model_copy(update={"profile": own})


def measured_profile(source: FleetSource, stopwatch: Stopwatch) -> Profile:
    """The profile with the milliseconds that were measured: means over the machines of a kind.

    What was not measured stays as it was. It calibrates the simulator: `profile:` of a document takes it.
    """
    hardware = dict(source.profile.hardware)
    for name in {group.hardware for group in source.scenario.machines if group.hardware in hardware}:
        mine = [group.hardware == name for group in source.scenario.machines]
        measured = stopwatch.answer_ms[np.array(mine)[source.group]]
        known = ~np.isnan(measured)
        mean = np.where(known, measured, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        ms = np.where(known.any(axis=0), np.maximum(mean, 1e-6), hardware[name].ms)
        hardware[name] = hardware[name].model_copy(update={"ms": tuple(ms.tolist())})
    return source.profile.model_copy(update={"hardware": hardware})


def machines_of(source: FleetSource, state: State) -> Fleet:
    """The machines of a state's first world, from what it says of their slots."""
    count = np.bincount(source.node)
    first = np.searchsorted(source.node, np.arange(count.size))
    fleet, one = state.fleet, np.ones(count.size)
    down = fleet.down_bytes_per_s[0, first] * count
    return Fleet(
        fleet.zone[0, first],
        {
            "compute_watts": fleet.watts[0, first] * count,
            "network_j_per_byte": fleet.network_j_per_byte[0, first],
            "down_bytes_per_s": down,
            "up_bytes_per_s": down,
            "step_s": one,
        },
    )


def take_roster(state: State, roster: Roster, node: Ints) -> None:
    """Enter what nodes say of themselves: zones, watts and links of the slots."""
    count = np.bincount(node)[node]
    state.fleet.zone[0] = roster.zone[node]
    state.fleet.watts[0] = roster.watts[node] / count
    state.fleet.down_bytes_per_s[0] = roster.down_bytes_per_s[node] / count


def with_sessions(known: ServingSituation, roster: Roster, now_s: float) -> ServingSituation:
    """A situation whose sessions are those of the nodes that are there: connected and not busy."""
    slots = known.slots
    node = slots.node
    available = roster.available[node][None]
    held = roster.connected[node][None]
    return replace(
        known,
        slots=replace(
            slots,
            available=available,
            session_age_s=np.where(available, (now_s - roster.session_start_s)[node], 0.0),
            announced_left_s=np.where(available, (roster.announced_end_s - now_s)[node], np.inf),
            available_forecast=roster.forecast(now_s, slots.forecast_leads_s)[node][None],
            model=np.where(held, slots.model, NOTHING),
            loading=np.where(held, slots.loading, NOTHING),
        ),
    )


def with_waiting(known: ServingSituation, book: RequestBook, patience: int) -> ServingSituation:
    """A situation with what waits in the book, by whole steps left until it must be answered."""
    zones, ids = known.hub.rtt_ms.shape[0], book.waiting()
    queue = np.zeros((1, zones, known.num_tasks, patience))
    left = np.clip(book.of("due", ids) - int(known.terms.step[0]), 0, patience - 1)
    np.add.at(queue[0], (book.of("zone", ids), book.of("task", ids), left), 1.0)
    return replace(known, tasks=replace(known.tasks, queue=queue))


def with_measured(known: ServingSituation, stopwatch: Stopwatch, patience_s: float) -> ServingSituation:
    """A situation in which milliseconds and capacities are as measured, where they were.

    A slot has time for as many answers in a step as come back within the patience; whole ones.
    """
    slots, hub = known.slots, known.hub
    rtt_ms = hub.rtt_ms if stopwatch.way_ms is None else np.full_like(hub.rtt_ms, stopwatch.way_ms)
    capacity = stopwatch.capacity(slots.capacity_per_step[0], patience_s)
    return replace(
        known,
        slots=replace(
            slots,
            latency_ms=stopwatch.latency_ms(slots.latency_ms[0])[None],
            capacity_per_step=capacity[None],
        ),
        hub=replace(hub, rtt_ms=rtt_ms, capacity_per_step=np.floor(hub.capacity_per_step)),
    )
