"""A federation of real nodes as a `World` of one environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats, Floats32
from ....common.splits import Split
from ....envs.contract import STOP_S, RoundOutcome, RoundPlan, Situation, StepResult
from ....envs.episode import (
    Ledger,
    PopulationSource,
    ended,
    overrun,
    participation_rates,
    reward_terms,
    transfers,
)
from ....envs.round import step_shares
from ....envs.scenario import Scenario
from ....fl_core.federation import TrainResult
from ....fl_core.remote import RemoteCore, TrainOrder
from ....traces.carbon import CarbonBatch
from ..settings import DEFENCE, Defence
from ..transport import Clock, Transport
from .charges import charge
from .deployable import charge_actual, check_deployable
from .gathering import await_nodes, idle
from .live_outcome import live_outcome, probed_outcome
from .live_round import LiveRound, RoundRunner
from .live_situation import live_situation
from .live_state import federation_state, restore_federation
from .roster import Roster


class LiveWorld:
    """One federation: plans are carried out on the nodes that a transport reaches.

    Time and bytes are measured, joules are a node's watts times the seconds it computed plus the network's
    share, grams follow from the zone's trace at that hour. Model, partition, minibatches, aggregation and
    validation are the simulator's.

    Args:
        scenario: what is trained, on what data and at which prices; its device, bandwidth and zone of a
            client count where its node says nothing.
        transport: reaches the nodes.
        seed: of the partition, the initial model, the minibatches and the carbon window; the same number
            makes `FederatedWorld.reset` draw the same ones.
        split: which part of populations and traces to draw from.
        clock: federation time.
        poll_s: real seconds between two looks for answers.
        wall: a clock of real seconds that never goes back.
        defence: against wrong answers.
    """

    core_type: ClassVar[type[RemoteCore]] = RemoteCore  # the coordinator's half of the training

    def __init__(
        self,
        scenario: Scenario,
        transport: Transport,
        seed: int = 0,
        split: Split = "test",
        clock: Clock | None = None,
        poll_s: float = 0.2,
        wall: Callable[[], float] = time.monotonic,
        defence: Defence = DEFENCE,
    ):
        check_deployable(scenario)
        self.scenario = charge_actual(scenario)
        self.source = PopulationSource(self.scenario, split)
        self.draw = draw = self.source.draw(seed)
        self.clock = clock or Clock()
        self.population = self.source.empty(1)
        self.population.set_row(0, draw)
        source, parts = self.source, (scenario.aggregator, scenario.trainer, scenario.compression)
        task = (source.dataset, source.model, scenario.clients, source.training)
        self.core = self.core_type(*task, *parts)
        self.core.reset(0, draw.task, draw.model_seed)
        self.held = self.core.own.astype(np.int64)
        self.carbon = CarbonBatch(1, scenario.zones)
        self.carbon.set(0, draw.carbon)
        self.ledger = Ledger(1, scenario.clients)
        self.roster = Roster(draw, self.source.zone_names, defence, self.clock.scale)
        self.runner = RoundRunner(transport, self.roster, self.clock, poll_s, wall, defence.norm_bound)
        self.prices, self.running = draw.prices[None, :].copy(), True
        self.initial_test_accuracy = self.core.evaluate(part="test")[0]
        self.ledger.open(np.ones(1, dtype=bool), *self.core.evaluate())
        self._poll_s, self._left = poll_s, self.roster.leavings.copy()

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones, in the order of `ClientFacts.zone`."""
        return self.source.zone_names

    @property
    def available(self) -> Bools:
        """Bool `[1, N]`, who could be invited now."""
        return self.roster.available[None]

    @property
    def time_s(self) -> Floats:
        """`[1]`, federation time."""
        return np.array([self.clock.now()])

    @property
    def overhead_s(self) -> float:
        """Seconds a round takes beyond computing: as measured, or what the scenario says until then."""
        measured = self.runner.overhead_s
        return self.draw.operator["overhead_s"] if measured is None else measured

    def parameters(self) -> Floats32:
        """Float32 `[1, P]`, the global model."""
        return self.core.parameters()

    def totals(self) -> dict[str, Floats]:
        """What the run came to so far, by name, each `[1]`."""
        return self.ledger.totals()

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[1]`; for evaluators, never for schedulers."""
        return self.core.evaluate(part="test")

    def gather(self, nodes: int, timeout_s: float) -> None:
        """Wait until so many nodes have said who they are; in the beginning only, never between rounds.

        Raises:
            ValueError: they do not come in time.
        """
        await_nodes(self.runner.listen, self.roster, self.clock, self._poll_s, nodes, timeout_s)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What is known now; nobody knows the future of real nodes."""
        if clairvoyant:
            raise ValueError("scheduler: it wants to see the future, which no live federation can show it")
        self.runner.listen()
        self._forget_sent()
        return live_situation(
            self.roster,
            self.ledger,
            self.core,
            self.carbon,
            self.population,
            self.source,
            self.clock.now(),
            self.overhead_s,
        )

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan: a round of training, a wait, or the end of the run."""
        scenario, levels = self.scenario, self.scenario.levels
        sizes, offered = (1, scenario.clients), (levels.server_step, levels.upload_bits)
        plan.validate(*sizes, *offered, scenario.refresh_levels)
        if not self.running:
            raise ValueError("step: the run has ended")
        before, seen, budgets = self.ledger.accuracy, self.available, self.draw.budgets[None]
        outcome, trained = self._carry_out(plan)
        active = np.ones(1, dtype=bool)
        self.ledger.look(seen, active & ~plan.is_probe)
        self.ledger.record(outcome, trained, active, plan.is_round)
        cost = overrun(self.ledger, outcome, budgets)
        terminated, truncated = ended(scenario, budgets, self.ledger, plan, outcome, active)
        self.running = not bool((terminated | truncated)[0])
        if not self.running:
            outcome = self._end(outcome)
        terms = reward_terms(outcome, before, self.prices)
        self.ledger.net_points += terms.sum(axis=1)
        return StepResult(outcome, terms.sum(axis=1), terms, cost, terminated, truncated, active)

    def _carry_out(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        """What a plan comes to, and bool `[1]`, whether it has trained the model."""
        if (wait_s := float(plan.wait_s[0])) > 0:
            return self._wait(0.0 if wait_s == STOP_S else wait_s), np.zeros(1, dtype=bool)
        return self._probe(plan) if plan.probed.any() else self._train(plan)

    def _end(self, outcome: RoundOutcome) -> RoundOutcome:
        """The outcome of the last step, with whatever is still to be done."""
        return outcome

    def _wait(self, wait_s: float) -> RoundOutcome:
        """The books of a wait, or of the end of the run."""
        began_s = self.clock.now()
        self._idle(wait_s)
        return self._outcome(LiveRound.blank(self.scenario.clients), None, 0, began_s)

    def _idle(self, wait_s: float) -> None:
        """Let time pass, and hear what nodes say."""
        idle(self.runner.listen, self.roster, self.clock, wait_s)

    @property
    def _ready(self) -> Bools:
        """Bool `[N]`, who can be sent an order now."""
        return self.roster.available

    def _play(self, orders: dict[int, TrainOrder], quorum: float) -> LiveRound:
        """A round; where nobody could be asked the server's overhead passes, as in the simulator."""
        if not orders:
            self._idle(self.overhead_s)
        return self.runner.run(orders, quorum, self.draw.operator["deadline_s"])

    def _train(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        """Play a round and train on what arrived."""
        began_s, index = self.clock.now(), int(self.ledger.rounds[0])
        asked = plan.invited[0]
        invited = asked & self._ready
        batch_size = self.source.training.batch_size
        sent, cut = transfers(plan, invited[None], self.held, self.core.capacity, batch_size)
        steps, bits = np.where(invited, plan.local_steps[0], 0), plan.upload_bits
        orders = self.core.orders(steps, sent[0], index, 0 if bits is None else int(bits[0]))
        played = self._play(orders, float(plan.quorum[0]))
        self._enter_held({client: update.held for client, update in played.updates.items()})
        arrived = np.isin(np.arange(self.scenario.clients), list(played.updates))[None] & (self.held > 0)
        rates = participation_rates(self.ledger.completions, self.ledger.rounds, arrived)
        weights = step_shares(plan.weights, arrived)
        result = self.core.apply(played.updates, plan.local_steps[0], index, weights, rates, plan.server_step)
        trained = np.array([bool(played.updates) and not bool(result.diverged[0])])
        moved = trained[0] or self.core.aggregator.moves_alone
        scores = self.core.evaluate() if moved else None
        repairs = int((asked & ~invited).sum() + cut[0])
        return self._outcome(played, result, repairs, began_s, scores), trained

    def _probe(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        """Ask clients for their loss at the present model; no round."""
        assert plan.probe_samples is not None
        began_s, index = self.clock.now(), int(self.ledger.rounds[0])
        asked = plan.probed[0]
        probed = asked & self._ready & (self.held[0] > 0)
        orders = self.core.probes(np.where(probed, plan.probe_samples[0], 0), index)
        played = self._play(orders, float(plan.quorum[0]))
        outcome = self._outcome(played, None, int((asked & ~probed).sum()), began_s)
        return probed_outcome(outcome, played), np.zeros(1, dtype=bool)

    def state(self) -> dict[str, AnyArray]:
        """Everything that a world built alike needs to go on from here; see `load_state`."""
        now = {"time_s": self.clock.now(), "running": self.running, "lengths": self.runner.bound.lengths}
        arrays = federation_state(self.core, self.ledger, self.roster)
        return arrays | {name: np.array(value) for name, value in now.items()}

    def load_state(self, state: Mapping[str, AnyArray]) -> None:
        """Put `state()` into a world built alike, with a clock that begins at its `time_s`.

        Nodes introduce themselves again, and what they were sent belongs to the stopped run.

        Raises:
            ValueError: it is of another federation.
        """
        restore_federation(self.core, self.ledger, self.roster, state)
        self.running = bool(state["running"])
        self.runner.bound.lengths = state["lengths"].tolist() if "lengths" in state else []
        self.core.bring(self.roster.own.samples)
        self._forget(np.ones(self.scenario.clients, dtype=bool))
        self._left = self.roster.leavings.copy()

    def _forget_sent(self) -> None:
        """A node that has left keeps nothing, neither what it was sent nor what its optimiser remembers."""
        gone = self.roster.leavings > self._left
        self._left = self.roster.leavings.copy()
        changed = self.core.bring(self.roster.own.samples)
        self.held[0, changed] = self.core.own[0, changed]
        self._forget(gone)

    def _forget(self, gone: Bools) -> None:
        """What these clients `[N]` were sent, and what their optimisers remember, is lost."""
        self.held[0, gone] = self.core.own[0, gone]
        self.core.hold(self.held)
        self.core.end_sessions(gone[None])

    def _enter_held(self, held: dict[int, int]) -> None:
        """What clients say they hold, as far as the partition allows it."""
        own, capacity = self.core.own[0], self.core.capacity[0]
        for client, count in held.items():
            self.held[0, client] = int(np.clip(count, own[client], capacity[client]))
        self.core.hold(self.held)

    def _outcome(
        self,
        played: LiveRound,
        result: TrainResult | None,
        repairs: int,
        began_s: float,
        scores: tuple[Floats, Floats] | None = None,
    ) -> RoundOutcome:
        """The books of one step."""
        duration_s = self.clock.now() - began_s
        late = self.runner.late.copy()
        self.runner.late.clear()
        self._enter_held({answer.client: answer.update.held for answer in late})
        cost = charge(played, late, self.roster, self.carbon, began_s, self.clock.now())
        scores = scores or (self.ledger.accuracy.copy(), self.ledger.loss.copy())
        return live_outcome(played, cost, result, repairs, duration_s, scores)
