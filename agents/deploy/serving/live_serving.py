"""A world of serving on real nodes: policies place trained models on them, and they answer real rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Ints
from ....envs.contract import StepResult
from ....envs.serving import (
    NOTHING,
    FleetSource,
    Profile,
    ServingOutcome,
    ServingPlan,
    ServingSituation,
    State,
    asked_rows,
    reward_terms,
    what_is_known,
)
from ..federation import Roster, await_nodes
from ..settings import ServeSettings
from ..transport import Clock, Transport
from .answering import Answering
from .book import RequestBook
from .charges import Done, live_outcome
from .courier import Courier
from .desk import Desk, Record
from .judge import Judge
from .live_facts import (
    charge_moved,
    machines_of,
    measured_profile,
    take_roster,
    with_measured,
    with_sessions,
    with_waiting,
)
from .stopwatch import Stopwatch


class LiveServing:
    """One world of serving whose machines are nodes.

    Requests, rows and trained models are the simulator's for the same seed; nodes answer with the models they
    hold. Milliseconds and bytes are measured, joules are a node's watts times the seconds it computed, its
    share of idle watts and the network's, grams follow from the zone's trace at that hour. The hub answers
    where the coordinator runs, and is charged by the profile.

    Attributes:
        scenario: as charged here.
        roster: who is there.
        book: what became of every request.
        stopwatch: what was measured.
        record: of the last step; None before the first.
        running: whether there are steps left.

    Args:
        settings: who asks what, on which machines, at which prices; what a node does not say of itself is
            taken from the draw for its machine.
        transport: reaches the nodes.
        clock: federation time; None: real time.
        wall: a clock of real seconds that never goes back.
    """

    def __init__(
        self,
        settings: ServeSettings,
        transport: Transport,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.monotonic,
    ) -> None:
        asked, split = settings.world(), settings.split
        nominal = FleetSource(asked, split)
        self.scenario = charge_moved(asked, nominal.ladder, nominal.profile)
        self.source = FleetSource(self.scenario, split)
        self._state = State.blank(self.source, 1)
        self._state.open(np.ones(1, dtype=bool), np.array([settings.seed]))
        self.clock, self._settings = clock or Clock(), settings
        machines = machines_of(self.source, self._state)
        self.roster = Roster(machines, self.source.zone_names, settings.defence)
        self.book = RequestBook(asked.tasks)
        self.stopwatch = Stopwatch(asked.slots, self.source.profile.rungs)
        self.courier = Courier(transport, self.roster, self.clock, wall, settings.patience_s)
        self._desk = Desk(
            self.book,
            self._state.slots,
            self.courier,
            Judge(self.source.ladder, split),
            self.stopwatch,
            self.source.node,
            self.roster.leavings.copy(),
            self.clock,
            settings.poll_s,
        )
        self.steps = min(settings.steps or asked.steps, asked.steps)
        self.running = True
        self.record: Record | None = None
        self._known: tuple[ServingSituation, ServingSituation] | None = None

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones."""
        return self.source.zone_names

    @property
    def available(self) -> Bools:
        """Bool `[1, S]`, whose node is connected and not busy."""
        return self.roster.available[self.source.node][None]

    @property
    def time_s(self) -> Floats:
        """`[1]`, seconds of the scenario's day."""
        return self._state.time_s.copy()

    @property
    def holding(self) -> Ints:
        """`[S]`, the model that each slot holds; NOTHING where it has none, or its node is away."""
        connected = self.roster.connected[self.source.node]
        return np.where(connected, self._state.slots.model[0], NOTHING)

    def held_by(self, client: int) -> list[str]:
        """What a node's slots hold, in words: the task, and the rung."""
        questions, rungs = list(self.scenario.models.questions), self.source.profile.rungs
        held = self.holding[(self.source.node == client)]
        return [f"{questions[m // rungs]}/{m % rungs}" for m in held.tolist() if m != NOTHING]

    def measured(self) -> Profile:
        """The nominal ladder, with the milliseconds that were measured; see `measured_profile`."""
        return measured_profile(self.source, self.stopwatch)

    def totals(self) -> dict[str, Floats]:
        """What the run came to so far, by name, each `[1]`."""
        return self._state.books.totals()

    def gather(self, nodes: int, timeout_s: float) -> None:
        """Wait until so many nodes have said who they are; see `await_nodes`."""
        poll_s = self._settings.poll_s
        await_nodes(lambda: list(self.courier.collect()), self.roster, self.clock, poll_s, nodes, timeout_s)

    def situation(self, clairvoyant: bool = False) -> ServingSituation:
        """What is known now; nobody knows the future of real nodes."""
        if clairvoyant:
            raise ValueError("scheduler: it wants to see the future, which no live run can show it")
        self.courier.look()
        take_roster(self._state, self.roster, self.source.node)
        nominal = with_sessions(what_is_known(self._state, self.scenario), self.roster, self.clock.now())
        nominal = with_waiting(nominal, self.book, self.scenario.patience)
        known = with_measured(nominal, self.stopwatch, self._settings.patience_s)
        self._known = (known, nominal)
        return known

    def step(self, plan: ServingPlan) -> StepResult[ServingOutcome]:
        """Carry out one plan: loads, and the requests of a step, each of which is answered or counted."""
        scenario, state = self.scenario, self._state
        plan.validate(1, scenario.slots, scenario.tasks, self.source.profile.rungs)
        if not self.running:
            raise ValueError("step: the run has ended")
        if self._known is None:
            self.situation()
        assert self._known is not None
        known, nominal = self._known
        repairs, begun = state.slots.begin(
            plan.load, known.slots.available, state.time_s, state.bytes_s, scenario.start_s
        )
        held = self._holding()
        self.book.begin()
        requests = self._accept()
        self._release(float(plan.release[0]))
        step = int(state.step[0])
        answering = Answering(self._desk, known, nominal, plan, step, scenario.retry_ms)
        self.record = record = answering.run(self.clock.now() + scenario.step_s)
        done = Done(record, self.book, held | self._holding(), self.clock.scale)
        outcome = live_outcome(state, done, requests, repairs, begun)
        return self._close(outcome, record, known)

    def state(self) -> dict[str, AnyArray]:
        """Everything that a world built alike needs to go on from here; see `load_state`."""
        now = {"time_s": self.clock.now(), "step": self._state.step[0], "running": self.running}
        parts = {
            "books": vars(self._state.books),
            "book": self.book.state(),
            "stopwatch": self.stopwatch.state(),
            "roster": self.roster.state(),
        }
        arrays = {f"{part}/{name}": value for part, table in parts.items() for name, value in table.items()}
        return {name: np.array(value) for name, value in (arrays | now).items()}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Put `state()` into a world built alike, with a clock that begins at its `time_s`.

        Nodes introduce themselves again, and what they held belongs to the stopped run.

        Raises:
            ValueError: it is of another run.
        """
        parts: dict[str, dict[str, AnyArray]] = {"books": {}, "book": {}, "stopwatch": {}, "roster": {}}
        for key, value in state.items():
            part, _, name = key.partition("/")
            if name and part in parts:
                parts[part][name] = value
        for name, mine in vars(self._state.books).items():
            found = parts["books"].get(name)
            if found is None or found.shape != mine.shape:
                raise ValueError(
                    f"checkpoint: books/{name} is missing or not of shape {mine.shape}, expected one of this "
                    "run; resume with the settings and the version it was started with"
                )
            mine[...] = found
        self.book.load_state(parts["book"])
        self.stopwatch.load_state(parts["stopwatch"])
        self.roster.load_state(parts["roster"])
        self._desk.left[...] = self.roster.leavings
        self._state.slots.clear(np.ones(1, dtype=bool))
        self._state.step[0] = int(state["step"])
        self._state.time_s[0] = self._state.step[0] * self.scenario.step_s
        self._state.sessions.advance(self._state.time_s)
        self.running = bool(state["running"])

    def _holding(self) -> Bools:
        """Bool `[S]`, whose slot holds a model or waits for one."""
        slots = self._state.slots
        return np.asarray((slots.model[0] != NOTHING) | (slots.loading[0] != NOTHING))

    def _accept(self) -> Floats:
        """The requests of the present step enter the book; how many, `[1, Z, I]`."""
        scenario, state = self.scenario, self._state
        first, count = state.arrived(np.ones(1, dtype=bool))
        number = first[..., None] + np.arange(max(int(count.max()), 1))
        rows = asked_rows(state.fleet.rows, state.fleet.content_seed, number)[0]
        step, share = int(state.step[0]), scenario.deferrable
        due_later = step + min(scenario.patience - 1, self.steps - 1 - step)
        for zone in range(scenario.zones):
            for task in range(scenario.tasks):
                mine = int(count[0, zone, task])
                place = number[0, zone, task, :mine]
                # Every so manyth request can wait, whatever the steps are.
                defers = np.floor((place + 1) * share) > np.floor(place * share)
                self.book.accept(
                    np.full(mine, zone),
                    np.full(mine, task),
                    rows[zone, task, :mine],
                    np.where(defers, due_later, step),
                    ~defers,
                )
        return count

    def _release(self, share: float) -> None:
        """What is due may be answered now, and such a share of what can wait, the oldest first."""
        book, step = self.book, int(self._state.step[0])
        due = book.waiting(due=step)
        book.release(due)
        later = np.setdiff1d(book.waiting(), due)
        for zone in range(self.scenario.zones):
            for task in range(self.scenario.tasks):
                mine = book.of_cell(later, zone, task)
                book.release(mine[: int(np.ceil(share * mine.size - 1e-9))])

    def _close(
        self, outcome: ServingOutcome, record: Record, known: ServingSituation
    ) -> StepResult[ServingOutcome]:
        """Enter a step into the books, and go on to the next."""
        state, active = self._state, np.ones(1, dtype=bool)
        terms = reward_terms(state, outcome)
        capacity = known.of_rung(known.slots.capacity_per_step, state.slots.model)[0]
        busy = np.divide(record.local, capacity, out=np.zeros_like(capacity), where=capacity > 0)
        state.books.busy, state.books.bins = np.minimum(busy, 1.0)[None], record.bins[:, None]
        state.books.record(outcome, terms, active, self.scenario.step_s)
        state.time_s = state.time_s + self.scenario.step_s
        state.step = state.step + 1
        state.sessions.advance(state.time_s)
        self._known = None
        terminated = state.step >= self.steps
        self.running = not bool(terminated[0])
        none = np.zeros(1)
        return StepResult(
            outcome, terms.sum(axis=1), terms, none, terminated, np.zeros_like(terminated), active
        )
