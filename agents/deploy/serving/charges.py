"""A step of serving on real nodes, charged: the `ServingOutcome` of one environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import ServingOutcome, State, emissions, hub_energy
from .book import RequestBook
from .desk import Record


@dataclass(frozen=True)
class Done:
    """What a step was seen to do."""

    record: Record
    book: RequestBook
    held: Bools  # [S] whose slot held a model or waited for one
    scale: float  # of federation time over real time


def live_outcome(state: State, done: Done, requests: Floats, repairs: Ints, begun: Ints) -> ServingOutcome:
    """The outcome of one step, E = 1.

    Joules are a slot's watts times the seconds that it computed, its share of idle watts while it holds a
    model, and the network's for the bytes that moved; the hub's are the profile's.

    Args:
        state: prices, watts and grids, before the step is entered.
        done: the step.
        requests: `[1, Z, I]`, that arrived.
        repairs: `[1]`, loads that could not be begun.
        begun: `[1]`, those that were.
    """
    record, book, scenario = done.record, done.book, state.source.scenario
    watts = state.fleet.watts[0]
    joules = watts * (record.compute_s * done.scale + scenario.idle * scenario.step_s * done.held)
    joules = (joules + record.moved_bytes * state.fleet.network_j_per_byte[0])[None]
    hub_j = hub_energy(state, np.array([float(record.hub + record.asked)]))
    grams, hub_g = emissions(state, joules, hub_j)
    waiting = book.counts(book.waiting(), scenario.zones).sum(axis=0)
    return ServingOutcome(
        repairs=repairs,
        requests=requests,
        answered=book.tally.answered[None].astype(np.float64),
        right=book.tally.right[None].astype(np.float64),
        dropped=book.tally.dropped[None].astype(np.float64),
        waiting=waiting[None].astype(np.float64),
        local=record.local[None],
        hub=np.array([float(record.hub)]),
        asked=np.array([float(record.asked)]),
        retried=np.array([float(book.tally.retried)]),
        waited=np.array([float(record.waited)]),
        latency_ms=np.array([record.measured_ms]),
        loaded=np.array([record.loaded]),
        begun=begun,
        lost=np.array([record.lost]),
        bytes=record.moved_bytes[None],
        energy_j=joules,
        emissions_g=grams,
        hub_j=hub_j,
        hub_g=hub_g,
        accuracy=state.books.accuracy,
    )
