"""What a coordinator of inference knows, orders and brings about.

Shapes: E environments, S slots, I tasks, M rungs, Z zones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import GRAMS_PER_KG
from ..contract import SchedulerKind, ZoneFacts

NOTHING = -1
"""Of `SlotFacts.model` and `loading`: no model. A model is `task * M + rung`."""
KEEP = 0
"""Of `ServingPlan.load`: the slot stays as it is; `1 + model` loads that model."""


@dataclass(frozen=True)
class SlotFacts:
    """What is known of each slot, before a decision; slots of one machine share its session and its link."""

    node: Ints  # [S] the machine it is a part of
    zone: Ints  # [E, S] index of its grid zone
    available: Bools  # [E, S] its machine's session runs
    session_age_s: Floats  # [E, S] how long the running session has lasted; 0 if unavailable
    announced_left_s: Floats  # [E, S] until the announced end of the session; inf if none was announced
    forecast_leads_s: Floats  # [L] leads of `available_forecast`
    available_forecast: Floats  # [E, S, L] forecast probability of being available at each lead
    stay_shape: Floats  # [E, S] Weibull shape of the machine's sessions, as fitted to earlier ones
    stay_scale_s: Floats  # [E, S] and their scale
    model: Ints  # [E, S] that it holds and serves; NOTHING = none
    loading: Ints  # [E, S] that is on its way; NOTHING = none
    loading_left_s: Floats  # [E, S] until that one serves; 0 if none
    busy: Floats  # [E, S] share of its capacity used in the last step, 0 to 1
    latency_ms: Floats  # [E, S, M] of one answer, without the way there; inf = that rung cannot run there
    capacity_per_step: Floats  # [E, S, M] answers that a whole step has time for
    grams_per_request: Floats  # [E, S, M] CO2e of one answer of a busy slot, at the present intensity
    load_s: Floats  # [E, S, M] until an ordered model would serve
    load_points: Floats  # [E, S, M] points of the episode that its bytes and their emissions are charged


@dataclass(frozen=True)
class TaskFacts:
    """What is known of the tasks: who asks, what waits, how good the models are."""

    requests_last: Floats  # [E, Z, I] that arrived in the last step, the deferrable ones included
    rate: Floats  # [E, Z, I] exponential mean of `requests_last` over two hours
    answered_last: Floats  # [E, I] answers given in the last step
    dropped_last: Floats  # [E, I] requests dropped in the last step
    queue: Floats  # [E, Z, I, D] deferred requests by whole steps left: [..., 0] must be answered now
    accuracy_known: Floats  # [I, M] of each model on validation rows, 0 to 1
    ask_share: Floats  # [I, M, T] of validation answers whose confidence is below each threshold level
    ask_accuracy: Floats  # [I, M, T] on validation rows if all those are asked of the hub
    mean_rate: Floats  # [E, Z, I] requests of a step in the mean of the episode, as known beforehand
    bins_answered: Floats  # [E, I, T] answers of slots in the last step, by confidence: from each level on
    bins_asked: Floats  # [E, I, T] those of them that were asked of the hub
    bins_agreed: Floats  # [E, I, T] how many of those the hub answered as the slot had
    deferrable_share: float  # of the requests, which join the queue on arrival


@dataclass(frozen=True)
class HubFacts:
    """What is known of the hub, which is always there and holds the best model of every task."""

    zone: int  # index of its grid zone
    capacity_per_step: Floats  # [E] answers, of all tasks together
    latency_ms: Floats  # [E, Z] of one answer for each zone's requests, the way there included
    grams_per_request: Floats  # [E] CO2e of one answer at the present intensity
    rtt_ms: Floats  # [Z, Z] from a zone's requests to another zone's slots


@dataclass(frozen=True)
class ServingTerms:
    """What things cost, and how far the episode has come."""

    step_s: float
    step: Ints  # [E] steps done
    steps: int  # of a whole episode
    threshold_levels: Floats  # [T] of `ServingPlan.threshold`, the first is 0
    release_levels: Floats  # [R] of `ServingPlan.release`
    model_bytes: Floats  # [M] moved when a model of a rung is loaded
    time_s: Floats  # [E] since the episode began
    utc_hour: Floats  # [E] hour of the day, 0 to 24
    points_per_ms: Floats  # [E] of one request
    price_per_gb: Floats  # [E] points of the episode
    price_per_kg: Floats  # [E] points of the episode, per kg CO2e
    expected_requests: Floats  # [E] of the whole episode, by which its points are divided
    net_points: Floats  # [E] so far
    right: Floats  # [E] right answers so far
    answered: Floats  # [E] answers so far
    requests: Floats  # [E] requests so far
    gigabytes: Floats  # [E] moved so far
    kilograms: Floats  # [E] CO2e so far

    @property
    def points_per_gram(self) -> Floats:
        """`[E]`, points of one request per gram: what costs are compared in."""
        grams: Floats = self.price_per_kg / GRAMS_PER_KG * self.expected_requests
        return grams


@dataclass(frozen=True)
class ServingFuture:
    """What only a clairvoyant scheduler sees, over the next H steps, the present one first."""

    session_left_s: Floats  # [E, S] true time until the running session ends; 0 if unavailable
    available_share: Floats  # [E, S, H] share of each step in which the slot's machine is available
    requests: Floats  # [E, Z, I, H] that arrive in each step; 0 after the episode
    carbon_g_per_kwh: Floats  # [E, Z, H] true intensity at the middle of each step


@dataclass(frozen=True)
class ServingSituation:
    """The observable part of E worlds just before a decision.

    Attributes:
        slots: what is known of each slot.
        tasks: who asks, what waits, how good the models are.
        hub: the hub.
        zones: what is known of each grid zone.
        terms: prices, and how far the episode has come.
        future: the truth, for clairvoyant schedulers only; None for all others.
    """

    slots: SlotFacts
    tasks: TaskFacts
    hub: HubFacts
    zones: ZoneFacts
    terms: ServingTerms
    future: ServingFuture | None = None

    @property
    def num_envs(self) -> int:
        """E."""
        return int(self.slots.available.shape[0])

    @property
    def num_slots(self) -> int:
        """S."""
        return int(self.slots.available.shape[1])

    @property
    def num_clients(self) -> int:
        """S: what the loop of all worlds tells schedulers when an episode begins."""
        return self.num_slots

    @property
    def num_tasks(self) -> int:
        """I."""
        return int(self.tasks.accuracy_known.shape[0])

    @property
    def num_rungs(self) -> int:
        """M."""
        return int(self.tasks.accuracy_known.shape[1])

    @property
    def serving(self) -> Bools:
        """Bool `[E, S]`: which slots answer now."""
        return np.asarray(self.slots.available & (self.slots.model != NOTHING))

    @property
    def loadable(self) -> Bools:
        """Bool `[E, S]`: which slots may be ordered to load: available and not loading."""
        return np.asarray(self.slots.available & (self.slots.loading == NOTHING))

    def task_of(self, model: Ints) -> Ints:
        """The tasks of models; NOTHING where there is none."""
        return np.where(model == NOTHING, NOTHING, model // self.num_rungs)

    def rung_of(self, model: Ints) -> Ints:
        """The rungs of models; 0 where there is none."""
        return np.where(model == NOTHING, 0, model % self.num_rungs)

    def of_rung(self, values: Floats, model: Ints) -> Floats:
        """`[E, S]`, entries of `[E, S, M]` at the rungs of a placement `[E, S]`."""
        found: Floats = np.take_along_axis(values, self.rung_of(model)[:, :, None], axis=2)[:, :, 0]
        return found


@dataclass(frozen=True)
class ServingPlan:
    """One step's orders for E environments."""

    load: Ints  # [E, S] KEEP, or 1 + task * M + rung of the model to load
    threshold: Floats  # [E, I] confidence in [0, 1] below which a slot's answer is asked of the hub
    release: Floats  # [E] share of the deferred requests that may be answered now, the oldest first

    @classmethod
    def idle(cls, num_envs: int, num_slots: int, num_tasks: int) -> ServingPlan:
        """Keep everything, ask nobody, defer nothing."""
        return cls(
            np.zeros((num_envs, num_slots), dtype=np.int64),
            np.zeros((num_envs, num_tasks)),
            np.ones(num_envs),
        )

    def validate(self, num_envs: int, num_slots: int, num_tasks: int, num_rungs: int) -> ServingPlan:
        """Return the plan if its shapes and ranges are right, else raise ValueError naming the field."""
        shapes = {"load": (num_envs, num_slots), "threshold": (num_envs, num_tasks), "release": (num_envs,)}
        for name, shape in shapes.items():
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f"ServingPlan.{name}: shape {found}, expected {shape}")
        if self.load.dtype.kind not in "iu":
            raise ValueError(f"ServingPlan.load: dtype {self.load.dtype}, expected integers")
        models = num_tasks * num_rungs
        if self.load.size and (self.load.min() < 0 or self.load.max() > models):
            raise ValueError(
                f"ServingPlan.load: {self.load.min()} to {self.load.max()}, expected 0 to {models}: keep, or "
                "1 + task * rungs + rung"
            )
        for name in ("threshold", "release"):
            values = getattr(self, name)
            if not bool(((values >= 0) & (values <= 1)).all()):
                raise ValueError(f"ServingPlan.{name}: {values.tolist()}, expected shares from 0 to 1")
        return self


@dataclass(frozen=True)
class ServingOutcome:
    """What one step of E environments did and cost."""

    repairs: Ints  # [E] loads that could not be begun: slots away or loading, rungs that cannot run there
    requests: Floats  # [E, Z, I] that arrived
    answered: Floats  # [E, I] answers given, by slots and hub
    right: Floats  # [E, I] right ones among them, in expectation over the rows that were not run
    dropped: Floats  # [E, I] requests that nobody answered in time
    waiting: Floats  # [E, I] in the queue after it
    local: Floats  # [E, S] answers of each slot
    hub: Floats  # [E] answers of the hub to requests that no slot had room for
    asked: Floats  # [E] answers of the hub to slots that were not sure
    retried: Floats  # [E] requests whose slot left before it had answered
    waited: Floats  # [E] answers that somebody waits for
    latency_ms: Floats  # [E] summed over these answers
    loaded: Ints  # [E] models that began to serve
    begun: Ints  # [E] loads that were begun
    lost: Ints  # [E] models and loads that went with their machine's session
    bytes: Floats  # [E, S] moved to each slot
    energy_j: Floats  # [E, S] of answers, loads and holding
    emissions_g: Floats  # [E, S] CO2e of that energy, by zone and hour
    hub_j: Floats  # [E] energy of the hub
    hub_g: Floats  # [E] its emissions
    accuracy: Floats  # [E] right answers over answers so far, 0 to 1


@runtime_checkable
class ServingScheduler(Protocol):
    """Anything that turns situations of E worlds of serving into plans; as `Scheduler` for training."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def kind(self) -> SchedulerKind:
        """How tables group it."""
        ...

    @property
    def clairvoyant(self) -> bool:
        """Whether it wants to see `ServingSituation.future`."""
        ...

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Start new episodes in the rows of `envs`; `num_clients` is S."""
        ...

    def plan(self, situation: ServingSituation) -> ServingPlan:
        """Orders for all E rows. Row i depends on nothing but row i."""
        ...
