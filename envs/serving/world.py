"""The world of serving: E days of inference on machines that leave, stepped together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.splits import Split
from ..contract import StepResult
from .assignment import Assignment, Options, assign, hub_costs, slot_costs
from .charges import emissions, energy, reward_terms, waited_for, waiting_ms
from .contract import NOTHING, ServingOutcome, ServingPlan, ServingSituation
from .document import ServingScenario
from .fleet import FleetSource
from .ladders import RealAnswers
from .situation import State, true_future, what_is_known
from .slots import Service


@dataclass(frozen=True)
class _Flows:
    """Who answers what in one step."""

    requests: Floats  # [E, Z, I] that arrived
    first: Ints  # [E, Z, I] number of the first of them
    waited: Floats  # [E, Z, I] share of those that cannot wait which somebody waits for
    now: Assignment  # of those that cannot wait
    slots: Floats  # [E, Z, S] answers of slots
    hub: Floats  # [E, Z, I] answers of the hub
    answered: Floats  # [E, Z, I]
    retried: Floats  # [E] sent to a slot that left


class ServingWorld:
    """E independent worlds of one scenario of serving, stepped together.

    Seeded alike, row i of a batch and a world of one give identical episodes. An episode that has ended is
    frozen: steps neither change nor charge it until it is reset.

    Args:
        scenario: what the worlds are made of.
        num_envs: E.
        split: which disjoint part of machines, trace windows and rows to draw from.
    """

    def __init__(self, scenario: ServingScenario, num_envs: int = 1, split: Split = "train"):
        if num_envs < 1:
            raise ValueError(f"num_envs: {num_envs}, expected at least 1")
        self.scenario, self.num_envs = scenario, num_envs
        self.source = FleetSource(scenario, split)
        self._state = State.blank(self.source, num_envs)
        levels = np.array(scenario.levels.threshold)
        answers = self.source.ladder.asked[split]
        self._answers = RealAnswers(answers, scenario.rows_per_cell, levels)
        self.running: Bools = np.zeros(num_envs, dtype=bool)
        self._known: ServingSituation | None = None

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones."""
        return self.source.zone_names

    @property
    def available(self) -> Bools:
        """Bool `[E, S]`, whose machine's session runs."""
        return self._state.available

    @property
    def time_s(self) -> Floats:
        """`[E]`, seconds since each episode began."""
        return self._state.time_s.copy()

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        self._state.open(envs, seeds)
        self._known = None
        self.running |= envs

    def step(self, plan: ServingPlan) -> StepResult[ServingOutcome]:
        """Carry out one plan: orders to load, then the answers of a step.

        Raises:
            ValueError: if the plan's shapes or values are out of range; the world is then as before.
        """
        scenario, state = self.scenario, self._state
        plan.validate(self.num_envs, scenario.slots, scenario.tasks, self.source.profile.rungs)
        self._what_is_known()  # before anything changes: costs are those that the plan was made by
        active, began_s = self.running.copy(), state.time_s.copy()
        load = np.where(active[:, None], plan.load, 0)
        bytes_s = state.bytes_s
        repairs, begun = state.slots.begin(load, state.available, began_s, bytes_s, scenario.start_s)
        end_s = state.sessions.session_end_s[:, self.source.node]
        service = state.slots.serve(began_s, scenario.step_s, end_s, state.fleet.down_bytes_per_s)
        outcome, terms = self._answer(plan, service, repairs, begun, active)
        state.time_s = np.where(active, began_s + scenario.step_s, began_s)
        left = service.left & active[:, None]
        had = (state.slots.model != NOTHING) | (state.slots.loading != NOTHING)
        done = state.slots.end(state.time_s, left)
        outcome = replace(outcome, loaded=np.where(active, done, 0), lost=(left & had).sum(axis=1))
        state.queue.age(active)
        state.step += active
        state.books.record(outcome, terms, active, scenario.step_s)
        state.sessions.advance(state.time_s)
        self._known = None
        terminated = active & (state.step >= scenario.steps)
        self.running &= ~terminated
        outcome = replace(outcome, accuracy=state.books.accuracy)
        none = np.zeros(self.num_envs)
        return StepResult(
            outcome, terms.sum(axis=1), terms, none, terminated, np.zeros_like(terminated), active
        )

    def cut_short(self, envs: Bools) -> None:
        """End the running episodes in the rows of `envs`, as a limit of steps from outside does."""
        self.running &= ~envs

    def situation(self, clairvoyant: bool = False) -> ServingSituation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        known = what_is_known(self._state, self.scenario)
        return replace(known, future=true_future(self._state, self.scenario)) if clairvoyant else known

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, each `[E]`."""
        return self._state.books.totals()

    def _what_is_known(self) -> ServingSituation:
        """The present situation, computed once per step."""
        if self._known is None:
            self._known = what_is_known(self._state, self.scenario)
        return self._known

    def _answer(
        self, plan: ServingPlan, service: Service, repairs: Ints, begun: Ints, active: Bools
    ) -> tuple[ServingOutcome, Floats]:
        """Who answers what in this step, and what it costs: the outcome, and the terms `[E, 4]`."""
        scenario, state = self.scenario, self._state
        known = self._what_is_known()
        flows = self._assigned(plan, known, service, active)
        now, hub = flows.now, flows.hub.sum(axis=(1, 2))
        statistics = self._answers.statistics(
            state.fleet.rows, state.fleet.content_seed, flows.first, flows.answered, plan.threshold
        )
        capacity, room = self._capacity(service), known.hub.capacity_per_step - hub
        given = self._answers.given(statistics, flows.slots, flows.hub, service.model, room)
        asked, local = given.asked.sum(axis=(1, 2)), flows.slots.sum(axis=1)
        latency_ms = waiting_ms(known, service.model, now, given, flows.waited, flows.slots)
        energy_j, hub_j = energy(state, capacity, service, local, hub + asked)
        grams, hub_g = emissions(state, energy_j, hub_j)
        outcome = ServingOutcome(
            repairs=repairs,
            requests=flows.requests,
            answered=given.answered,
            right=given.right,
            dropped=now.dropped.sum(axis=1),
            waiting=state.queue.total().sum(axis=1),
            local=local,
            hub=hub,
            asked=asked,
            retried=flows.retried,
            waited=waited_for(known, service.model, now, flows.waited),
            latency_ms=latency_ms + scenario.retry_ms * flows.retried,
            loaded=np.zeros(self.num_envs, dtype=np.int64),
            begun=begun,
            lost=np.zeros(self.num_envs, dtype=np.int64),
            bytes=service.moved_bytes * active[:, None],
            energy_j=energy_j * active[:, None],
            emissions_g=grams * active[:, None],
            hub_j=hub_j * active,
            hub_g=hub_g * active,
            accuracy=state.books.accuracy,
        )
        state.books.feedback(given, local, capacity, active)
        return outcome, reward_terms(state, outcome)

    def _assigned(
        self, plan: ServingPlan, known: ServingSituation, service: Service, active: Bools
    ) -> _Flows:
        """Requests to slots and hub: first what cannot wait, then what the plan releases of the rest."""
        scenario, state = self.scenario, self._state
        first, requests = state.arrived(active)
        state.queue.push(scenario.deferrable * requests, state.step)
        interactive = (1.0 - scenario.deferrable) * requests
        urgent = interactive + state.queue.take_due(active)
        options = self._options(known, service)
        now = assign(urgent, options)
        released = (plan.release * active)[:, None, None] * state.queue.total()
        later = assign(released, _what_is_left(options, now))
        served_later = self._by_cell(later.slots, options.task) + later.hub
        state.queue.take(served_later)
        return _Flows(
            requests=requests,
            first=first,
            waited=interactive / np.maximum(urgent, 1e-12),
            now=now,
            slots=now.slots + later.slots,
            hub=now.hub + later.hub,
            answered=urgent - now.dropped + served_later,
            retried=self._retried(known, service, options, now, urgent),
        )

    def _options(self, known: ServingSituation, service: Service) -> Options:
        """What may answer in this step, as it turns out."""
        return Options(
            known.task_of(service.model),
            slot_costs(known, service.model),
            self._capacity(service),
            service.share,
            hub_costs(known),
            known.hub.capacity_per_step,
        )

    def _capacity(self, service: Service) -> Floats:
        """`[E, S]`, answers that each slot has time for in its share of the step."""
        whole = np.take_along_axis(self._state.capacity, self._rung(service.model), axis=2)[:, :, 0]
        capacity: Floats = np.where(service.model == NOTHING, 0.0, whole * service.share)
        return capacity

    def _retried(
        self,
        known: ServingSituation,
        service: Service,
        options: Options,
        found: Assignment,
        requests: Floats,
    ) -> Floats:
        """`[E]`, requests that had been sent to a slot which left before it could answer."""
        left = service.left & (service.planned_share > service.share)
        if not left.any():
            return np.zeros(self.num_envs)
        whole = known.of_rung(known.slots.capacity_per_step, service.model)
        capacity = np.where(service.model == NOTHING, 0.0, whole * service.planned_share)
        planned = assign(requests, replace(options, capacity=capacity, share=service.planned_share))
        short = np.maximum(planned.slots - found.slots, 0.0).sum(axis=1)
        missed: Floats = np.where(left, short, 0.0).sum(axis=1)
        return missed

    def _by_cell(self, slots: Floats, task: Ints) -> Floats:
        """`[E, Z, I]`, answers of slots `[E, Z, S]` by task."""
        of_task = (task[:, :, None] == np.arange(self.scenario.tasks)).astype(np.float64)
        cells: Floats = slots @ of_task
        return cells

    def _rung(self, model: Ints) -> Ints:
        """`[E, S, 1]`, rungs of models; 0 where there is none."""
        return np.where(model == NOTHING, 0, model % self.source.profile.rungs)[:, :, None]


def _what_is_left(options: Options, used: Assignment) -> Options:
    """The options with the room that an assignment has left."""
    return replace(
        options,
        capacity=np.maximum(options.capacity - used.slots.sum(axis=1), 0.0),
        hub_capacity=np.maximum(options.hub_capacity - used.hub.sum(axis=(1, 2)), 0.0),
    )
