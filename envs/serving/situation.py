"""From the state of a world of serving to what a coordinator knows, and to what only a clairvoyant sees."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from ...traces.arrivals import ArrivalBatch
from ...traces.availability import SessionBatch
from ...traces.carbon import CarbonBatch
from ..episode import utc_hour, zone_facts
from .answers import Given
from .contract import (
    HubFacts,
    ServingFuture,
    ServingOutcome,
    ServingSituation,
    ServingTerms,
    SlotFacts,
    TaskFacts,
)
from .deferral import DeferralQueue
from .document import ServingScenario
from .fleet import Fleet, FleetSource
from .slots import SlotStates

_RATE_MEMORY_S = 7200.0
"""Over which `TaskFacts.rate` is a mean."""


@dataclass
class Books:
    """Running sums of E episodes, and what the last step told."""

    right: Floats  # [E] so far, as all below
    answered: Floats  # [E]
    requests: Floats  # [E]
    dropped: Floats  # [E]
    hub: Floats  # [E] answered by the hub because no slot had room
    asked: Floats  # [E] asked of the hub by slots that were not sure
    retried: Floats  # [E]
    loads: Floats  # [E] begun
    lost: Floats  # [E] models and loads that went with their machines
    gigabytes: Floats  # [E]
    kilowatt_hours: Floats  # [E]
    kilograms: Floats  # [E]
    repairs: Floats  # [E]
    net_points: Floats  # [E]
    steps: Floats  # [E]
    hours: Floats  # [E]
    rate: Floats  # [E, Z, I]
    requests_last: Floats  # [E, Z, I]
    answered_last: Floats  # [E, I]
    dropped_last: Floats  # [E, I]
    busy: Floats  # [E, S]
    bins: Floats  # [3, E, I, T]

    @staticmethod
    def blank(e: int, z: int, i: int, s: int, t: int) -> Books:
        """Nothing has happened."""
        shapes = {"rate": (e, z, i), "requests_last": (e, z, i), "answered_last": (e, i)}
        shapes |= {"dropped_last": (e, i), "busy": (e, s), "bins": (3, e, i, t)}
        return Books(**{field.name: np.zeros(shapes.get(field.name, (e,))) for field in fields(Books)})

    def open(self, envs: Bools, usual: Floats) -> None:
        """Begin new episodes in the rows of `envs`, whose cells are asked so much `[E]` in a usual step."""
        for field in fields(self):
            values = getattr(self, field.name)
            if field.name == "bins":
                values[:, envs] = 0.0
            else:
                values[envs] = 0.0
        self.rate[envs] = usual[envs, None, None]

    @property
    def accuracy(self) -> Floats:
        """`[E]`, right answers over answers so far."""
        return np.divide(self.right, self.answered, out=np.zeros_like(self.right), where=self.answered > 0)

    def feedback(self, given: Given, local: Floats, capacity: Floats, active: Bools) -> None:
        """Enter what slots and hub were seen to do."""
        busy = np.divide(local, capacity, out=np.zeros_like(local), where=capacity > 0)
        self.busy = np.where(active[:, None], busy, self.busy)
        self.bins = np.where(active[None, :, None, None], given.bins, self.bins)

    def record(self, outcome: ServingOutcome, terms: Floats, active: Bools, step_s: float) -> None:
        """Enter one step; rows that are not active carry zeros and stay as they are."""
        self.right += outcome.right.sum(axis=1)
        self.answered += outcome.answered.sum(axis=1)
        self.requests += outcome.requests.sum(axis=(1, 2))
        self.dropped += outcome.dropped.sum(axis=1)
        self.hub += outcome.hub
        self.asked += outcome.asked
        self.retried += outcome.retried
        self.loads += outcome.begun
        self.lost += outcome.lost
        self.gigabytes += outcome.bytes.sum(axis=1) / BYTES_PER_GB
        self.kilowatt_hours += (outcome.energy_j.sum(axis=1) + outcome.hub_j) / JOULES_PER_KWH
        self.kilograms += (outcome.emissions_g.sum(axis=1) + outcome.hub_g) / GRAMS_PER_KG
        self.repairs += outcome.repairs
        self.net_points += terms.sum(axis=1)
        self.steps += active
        self.hours += active * step_s / SECONDS_PER_HOUR
        kept = np.where(active, np.exp(-step_s / _RATE_MEMORY_S), 1.0)[:, None, None]
        self.rate = kept * self.rate + (1.0 - kept) * outcome.requests
        for name in ("requests", "answered", "dropped"):
            new, old = getattr(outcome, name), getattr(self, f"{name}_last")
            setattr(self, f"{name}_last", np.where(active.reshape(-1, *[1] * (new.ndim - 1)), new, old))

    def totals(self) -> dict[str, Floats]:
        """The sums by name, fresh arrays `[E]`."""
        sums = {f.name: getattr(self, f.name).copy() for f in fields(self) if getattr(self, f.name).ndim == 1}
        return {**sums, "accuracy": self.accuracy}


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
