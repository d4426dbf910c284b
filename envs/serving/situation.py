"""From the state of a world of serving to what a coordinator knows, and to what only a clairvoyant sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH
from ...traces.arrivals import ArrivalBatch
from ...traces.availability import SessionBatch
from ...traces.carbon import CarbonBatch
from ..episode import utc_hour, zone_facts
from .books import Books
from .contract import (
    HubFacts,
    ServingFuture,
    ServingSituation,
    ServingTerms,
    SlotFacts,
    TaskFacts,
)
from .deferral import DeferralQueue
from .document import ServingScenario
from .fleet import Fleet, FleetSource
from .slots import SlotStates


@dataclass
class State:
    """Everything that E worlds of serving are at a moment."""

    source: FleetSource
    fleet: Fleet
    sessions: SessionBatch
    carbon: CarbonBatch
    arrivals: ArrivalBatch
    slots: SlotStates
    queue: DeferralQueue
    books: Books
    time_s: Floats  # [E]
    step: Ints  # [E]

    @staticmethod
    def blank(source: FleetSource, num_envs: int) -> State:
        """Worlds to be opened; harmless values until then."""
        scenario = source.scenario
        e, z, i = num_envs, scenario.zones, scenario.tasks
        return State(
            source=source,
            fleet=source.empty(e),
            sessions=SessionBatch(e, scenario.nodes),
            carbon=CarbonBatch(e, z),
            arrivals=ArrivalBatch(e, z * i),
            slots=SlotStates(e, scenario.slots, scenario.overlap),
            queue=DeferralQueue((e, z, i, scenario.patience), scenario.steps),
            books=Books.blank(e, z, i, scenario.slots, len(scenario.levels.threshold)),
            time_s=np.zeros(e),
            step=np.zeros(e, dtype=np.int64),
        )

    def open(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        scenario = self.source.scenario
        for env in np.flatnonzero(envs).tolist():
            draw = self.source.draw(int(seeds[env]))
            start_utc_s = draw.machines.start_utc_s
            self.fleet.set_row(env, draw, self.source.node)
            self.sessions.set(env, draw.machines.availability, start_utc_s)
            self.carbon.set(env, draw.machines.carbon)
            self.arrivals.set(env, draw.arrivals)
        self.slots.clear(envs)
        self.queue.clear(envs)
        self.time_s[envs], self.step[envs] = 0.0, 0
        cells = scenario.steps * scenario.zones * scenario.tasks
        self.books.open(envs, self.arrivals.expected() / cells)
        self.sessions.advance(self.time_s)

    def arrived(self, active: Bools) -> tuple[Ints, Floats]:
        """Requests of the present step: the number of the first of each cell, and how many, `[E, Z, I]`."""
        scenario, first = self.source.scenario, self.arrivals.until(self.time_s)
        shape = (len(self.time_s), scenario.zones, scenario.tasks)
        count = (self.arrivals.until(self.time_s + scenario.step_s) - first) * active[:, None]
        return first.reshape(shape), count.reshape(shape).astype(np.float64)

    @property
    def available(self) -> Bools:
        """Bool `[E, S]`, whose machine's session runs."""
        return np.asarray(self.sessions.available[:, self.source.node])

    @property
    def model_bytes(self) -> Floats:
        """`[M]`, moved when a model is loaded."""
        return BYTES_PER_GB * np.array(self.source.profile.gigabytes)

    @property
    def bytes_s(self) -> Floats:
        """`[E, S, M]`, seconds in which a model arrives; inf = it cannot run there."""
        seconds = self.model_bytes / self.fleet.down_bytes_per_s[:, :, None]
        return np.where(np.isfinite(self.fleet.latency_ms), seconds, np.inf)

    @property
    def capacity(self) -> Floats:
        """`[E, S, M]`, answers that a whole step has time for."""
        per_ms = self.source.concurrency[:, None] / self.fleet.latency_ms
        capacity: Floats = 1e3 * self.source.scenario.step_s * per_ms
        return capacity

    @property
    def hub_capacity(self) -> Floats:
        """`[E]`, answers of the hub in a step."""
        scenario = self.source.scenario
        return scenario.hub.share * self.arrivals.expected() / scenario.steps


def what_is_known(state: State, scenario: ServingScenario) -> ServingSituation:
    """What a coordinator knows at a moment."""
    leads_s = np.array(scenario.forecasting.carbon_leads_s)
    hour = utc_hour(state.fleet.start_utc_s, state.time_s)
    zones = zone_facts(state.carbon, state.time_s, hour, state.fleet.utc_offset_h, leads_s)
    return ServingSituation(
        slots=_slot_facts(state, scenario, zones.carbon_g_per_kwh),
        tasks=_task_facts(state, scenario),
        hub=_hub_facts(state, scenario, zones.carbon_g_per_kwh),
        zones=zones,
        terms=_terms(state, scenario, hour),
    )


def true_future(state: State, scenario: ServingScenario) -> ServingFuture:
    """What the coming steps bring, as many as a deferred request may wait."""
    s, node, step_s = state.sessions, state.source.node, scenario.step_s
    ahead_s = step_s * np.arange(scenario.patience)
    begin_s = (state.time_s[:, None] + ahead_s)[:, None, None, :]
    overlap = np.minimum(s.ends[..., None], begin_s + step_s) - np.maximum(s.starts[..., None], begin_s)
    share = np.where(np.isfinite(overlap), np.maximum(overlap, 0.0), 0.0).sum(axis=2) / step_s
    edges_s = step_s * np.arange(scenario.patience + 1)
    until = np.stack([state.arrivals.until(state.time_s + edge_s) for edge_s in edges_s], axis=-1)
    shape = (len(state.time_s), scenario.zones, scenario.tasks, scenario.patience)
    return ServingFuture(
        session_left_s=np.where(s.available, s.session_end_s - state.time_s[:, None], 0.0)[:, node],
        available_share=share[:, node],
        requests=np.diff(until, axis=-1).reshape(shape).astype(np.float64),
        carbon_g_per_kwh=state.carbon.true_ahead(
            state.time_s, np.asarray(ahead_s + step_s / 2.0, dtype=np.float64)
        ),
    )


def _slot_facts(state: State, scenario: ServingScenario, carbon: Floats) -> SlotFacts:
    source, fleet, sessions, time_s = state.source, state.fleet, state.sessions, state.time_s[:, None]
    node, available = source.node, state.available
    leads_s = np.array(scenario.forecasting.availability_leads_s)
    intensity = np.take_along_axis(carbon, fleet.zone, axis=1)
    busy = np.broadcast_to(source.concurrency, fleet.zone.shape)
    joules = source.joules(busy, fleet.joule_factor)
    load_s = state.bytes_s + scenario.start_s
    load_j = state.model_bytes * fleet.network_j_per_byte[:, :, None]
    load_j = load_j + scenario.idle * fleet.watts[:, :, None] * load_s
    load_kg = load_j / JOULES_PER_KWH * intensity[:, :, None] / GRAMS_PER_KG
    prices = fleet.prices[:, :, None, None]
    forecast = sessions.forecast(state.time_s, leads_s).astype(np.float64)
    shape, scale_s = source.stay
    return SlotFacts(
        node=node.copy(),
        zone=fleet.zone.copy(),
        available=available,
        session_age_s=np.where(available, (time_s - sessions.session_start_s)[:, node], 0.0),
        announced_left_s=(sessions.announced_end_s - time_s)[:, node],
        forecast_leads_s=leads_s,
        available_forecast=forecast[:, node],
        stay_shape=np.full(fleet.zone.shape, shape),
        stay_scale_s=np.full(fleet.zone.shape, scale_s),
        model=state.slots.model.copy(),
        loading=state.slots.loading.copy(),
        loading_left_s=np.where(state.slots.loading >= 0, np.maximum(state.slots.ready_s - time_s, 0.0), 0.0),
        busy=state.books.busy.copy(),
        latency_ms=fleet.latency_ms.copy(),
        capacity_per_step=state.capacity,
        grams_per_request=joules / JOULES_PER_KWH * intensity[:, :, None],
        load_s=load_s,
        load_points=prices[:, 1] * state.model_bytes / BYTES_PER_GB + prices[:, 2] * load_kg,
    )


def _task_facts(state: State, scenario: ServingScenario) -> TaskFacts:
    known, books = state.source.ladder.known, state.books
    levels = np.array(scenario.levels.threshold)
    below = known.confidence[..., None] < levels
    right = np.where(below, known.right[:, -1:, :, None], known.right[..., None])
    cells = scenario.steps * scenario.zones * scenario.tasks
    usual = (state.arrivals.expected() / cells)[:, None, None]
    return TaskFacts(
        requests_last=books.requests_last.copy(),
        rate=books.rate.copy(),
        answered_last=books.answered_last.copy(),
        dropped_last=books.dropped_last.copy(),
        queue=state.queue.waiting.copy(),
        accuracy_known=known.accuracy,
        ask_share=below.mean(axis=2),
        ask_accuracy=right.mean(axis=2),
        mean_rate=np.broadcast_to(usual, books.rate.shape).copy(),
        bins_answered=books.bins[0].copy(),
        bins_asked=books.bins[1].copy(),
        bins_agreed=books.bins[2].copy(),
        deferrable_share=scenario.deferrable,
    )


def _hub_facts(state: State, scenario: ServingScenario, carbon: Floats) -> HubFacts:
    hub, hardware, z = scenario.hub, state.source.profile.hardware["hub"], scenario.zones
    joules = float(hardware.joules_at(np.array(float(hardware.concurrency)))[-1])
    own = np.eye(z, dtype=bool)
    return HubFacts(
        zone=hub.zone,
        capacity_per_step=state.hub_capacity,
        latency_ms=np.full((len(state.time_s), z), hardware.ms[-1] + hub.rtt_ms),
        grams_per_request=joules / JOULES_PER_KWH * carbon[:, hub.zone],
        rtt_ms=np.where(own, hub.own_zone_rtt_ms, hub.other_zone_rtt_ms),
    )


def _terms(state: State, scenario: ServingScenario, hour: Floats) -> ServingTerms:
    books, prices = state.books, state.fleet.prices
    return ServingTerms(
        step_s=scenario.step_s,
        step=state.step.copy(),
        steps=scenario.steps,
        threshold_levels=np.array(scenario.levels.threshold),
        release_levels=np.array(scenario.levels.release),
        model_bytes=state.model_bytes,
        time_s=state.time_s.copy(),
        utc_hour=hour,
        points_per_ms=prices[:, 0].copy(),
        price_per_gb=prices[:, 1].copy(),
        price_per_kg=prices[:, 2].copy(),
        expected_requests=state.arrivals.expected(),
        net_points=books.net_points.copy(),
        right=books.right.copy(),
        answered=books.answered.copy(),
        requests=books.requests.copy(),
        gigabytes=books.gigabytes.copy(),
        kilograms=books.kilograms.copy(),
    )
