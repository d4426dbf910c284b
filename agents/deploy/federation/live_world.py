"""A federation of real nodes with the face of `FederatedWorld` for one environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ....common.arrays import Bools, Floats, Floats32, Ints
from ....common.splits import Split
from ....envs.contract import STOP_S, RoundOutcome, RoundPlan, Situation, StepResult
from ....envs.episode import Ledger, PopulationSource, reward_terms
from ....envs.scenario import Scenario
from ....envs.world import MOST_PROBES_PER_ROUND
from ....fl_core.federation import TrainResult
from ....fl_core.remote import RemoteCore, TrainOrder
from ....traces.carbon import CarbonBatch
from ..transport import Clock, Transport
from .charges import charge
from .live_round import LiveRound, RoundRunner
from .live_situation import live_situation
from .roster import Roster

_LISTEN_S = 1.0
"""Real seconds between two looks at the nodes while nobody trains."""


@dataclass(frozen=True)
class Presence:
    """Who could be invited now, bool `[1, N]`; what a viewer asks a world's sessions."""

    available: Bools


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
    """

    def __init__(
        self,
        scenario: Scenario,
        transport: Transport,
        seed: int = 0,
        split: Split = "test",
        clock: Clock | None = None,
        poll_s: float = 0.2,
        wall: Callable[[], float] = time.monotonic,
    ):
        check_deployable(scenario)
        self.scenario = charge_actual(scenario)
        self.source = PopulationSource(self.scenario, split)
        draw = self.source.draw(seed)
        self.draw, self.clock = draw, clock or Clock()
        self.core = RemoteCore(
            self.source.dataset,
            self.source.model,
            scenario.clients,
            training=self.source.training,
            aggregator=scenario.aggregator,
            compression=scenario.compression,
            trainer=scenario.trainer,
        )
        self.core.reset(0, draw.task, draw.model_seed)  # type: ignore[arg-type]
        self.held = self.core.own.astype(np.int64)
        self.carbon = CarbonBatch(1, scenario.zones)
        self.carbon.set(0, draw.carbon)
        self.ledger = Ledger(1, scenario.clients)
        self.roster = Roster(draw, self.source.zone_names)
        self.runner = RoundRunner(transport, self.roster, self.clock, poll_s, wall)
        self.prices = draw.prices[None, :].copy()
        self.running = True
        self.initial_test_accuracy = self.core.evaluate(part="test")[0]
        everyone = np.ones(1, dtype=bool)
        self.ledger.open(everyone, *self.core.evaluate())
        self._poll_s = poll_s
        self._left = self.roster.leavings.copy()

    @property
    def sessions(self) -> Presence:
        """Who could be invited now."""
        return Presence(self.roster.available[None])

    @property
    def time_s(self) -> Floats:
        """`[1]`, federation time."""
        return np.array([self.clock.now()])

    @property
    def overhead_s(self) -> float:
        """Seconds a round takes beyond computing: as measured, or what the scenario says until then."""
        measured = self.runner.overhead_s
        return self.source.overhead_s if measured is None else measured

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
        began_s = self.clock.now()
        while True:
            self.runner.listen()
            here = int(self.roster.connected.sum())
            if here >= nodes:
                return
            if self.clock.now() - began_s > timeout_s * self.clock.scale:
                raise ValueError(
                    f"nodes: {here} came within {timeout_s:g} s, expected {nodes}; start more SuperNodes"
                )
            self.clock.wait(self._poll_s * self.clock.scale)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What is known now; nobody knows the future of real nodes."""
        if clairvoyant:
            raise ValueError("scheduler: it wants to see the future, which no live federation can show it")
        self.runner.listen()
        self._forget()
        return live_situation(self)

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan: a round of training, a wait, or the end of the run."""
        plan.validate(1, self.scenario.clients)
        if not self.running:
            raise ValueError("step: the run has ended")
        before, spent_before, seen = self.ledger.accuracy, self._spent(), self.sessions.available
        stop, wait_s = bool(plan.wait_s[0] == STOP_S), float(plan.wait_s[0])
        if stop or wait_s > 0:
            outcome, trained = self._wait(0.0 if stop else wait_s), np.zeros(1, dtype=bool)
        else:
            outcome, trained = self._probe(plan) if plan.probed.any() else self._train(plan)
        active, probing = np.ones(1, dtype=bool), np.array([bool(plan.probed.any())])
        self.ledger.sightings += seen & ~probing[:, None]
        terms = reward_terms(outcome, before, self.prices)
        self.ledger.record(outcome, trained, active, probing)
        self.ledger.net_points += terms.sum(axis=1)
        spent, budgets = self._spent(), self.source.budgets
        exhausted = bool((spent >= budgets).any())
        over = np.maximum(spent - budgets, 0.0) - np.maximum(spent_before - budgets, 0.0)
        cost = np.where(np.isfinite(budgets), over / budgets, 0.0).sum(keepdims=True)
        target = self.scenario.target_accuracy
        reached = target is not None and float(outcome.accuracy[0]) >= target
        terminated = np.array([reached or exhausted or stop or bool(outcome.diverged[0])])
        limit = self.scenario.max_rounds
        long = (self.ledger.rounds >= limit) | (self.ledger.probe_steps >= MOST_PROBES_PER_ROUND * limit)
        truncated = ~terminated & long
        self.running = not bool((terminated | truncated)[0])
        return StepResult(outcome, terms.sum(axis=1), terms, cost, terminated, truncated, active)

    def _wait(self, wait_s: float) -> RoundOutcome:
        """The books of a wait, or of the end of the run."""
        began_s = self.clock.now()
        self._idle(wait_s)
        blank = LiveRound.blank(self.scenario.clients)
        return self._outcome(blank, None, 0, began_s, self.clock.now() - began_s)

    def _idle(self, wait_s: float) -> None:
        """Let time pass. With nobody to decide about, a wait ends as soon as somebody has come."""
        began_s = self.clock.now()
        nobody = not self.roster.available.any()
        if self.clock.skips:
            self.clock.skip(wait_s)
        while (left_s := began_s + wait_s - self.clock.now()) > 0:
            self.clock.wait(min(left_s, _LISTEN_S * self.clock.scale))
            self.runner.listen()
            if nobody and self.roster.available.any():
                break

    def _play(self, orders: dict[int, TrainOrder], quorum: float) -> LiveRound:
        """A round; where nobody could be asked the server's overhead passes, as in the simulator."""
        if not orders:
            self._idle(self.overhead_s)
        return self.runner.run(orders, quorum, self.source.deadline_s)

    def _train(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        """Play a round and train on what arrived."""
        began_s, index = self.clock.now(), int(self.ledger.rounds[0])
        asked = plan.invited[0]
        invited = asked & self.roster.available
        sent, cut = self._transfers(plan, invited)
        orders = self.core.orders(np.where(invited, plan.local_steps[0], 0), sent, index)
        played = self._play(orders, float(plan.quorum[0]))
        self._hold({client: update.held for client, update in played.updates.items()})
        rates = np.minimum((self.ledger.completions + 1.0) / (index + 1.0), 1.0)
        result = self.core.apply(played.updates, plan.local_steps[0], index, plan.weights, rates)
        trained = np.array([bool(played.updates) and not bool(result.diverged[0])])
        scores = (
            self.core.evaluate() if trained[0] else (self.ledger.accuracy.copy(), self.ledger.loss.copy())
        )
        repairs = int((asked & ~invited).sum()) + cut
        outcome = self._outcome(played, result, repairs, began_s, self.clock.now() - began_s, scores)
        return outcome, trained

    def _probe(self, plan: RoundPlan) -> tuple[RoundOutcome, Bools]:
        """Ask clients for their loss at the present model; no round."""
        assert plan.probe_samples is not None
        began_s, index = self.clock.now(), int(self.ledger.rounds[0])
        asked = plan.probed[0]
        probed = asked & self.roster.available & (self.held[0] > 0)
        orders = self.core.probes(np.where(probed, plan.probe_samples[0], 0), index)
        played = self._play(orders, float(plan.quorum[0]))
        repairs = int((asked & ~probed).sum())
        outcome = self._outcome(played, None, repairs, began_s, self.clock.now() - began_s)
        answers = np.full((1, self.scenario.clients), np.nan, dtype=np.float32)
        for client, update in played.updates.items():
            answers[0, client] = update.loss
        none = np.zeros_like(outcome.invited)
        outcome = replace(
            outcome,
            invited=none,
            completed=none.copy(),
            lost=none.copy(),
            cancelled=none.copy(),
            probed=outcome.invited,
            answered=outcome.completed,
            probed_loss=answers,
        )
        return outcome, np.zeros(1, dtype=bool)

    def _transfers(self, plan: RoundPlan, invited: Bools) -> tuple[Ints, int]:
        """Samples to send `[N]` and orders that had to be cut or made, by the simulator's rule."""
        wanted = plan.transfer_samples[0].astype(np.int64)
        empty = invited & (self.held[0] == 0) & (wanted == 0)
        wanted = np.where(empty, self.source.training.batch_size, wanted)
        sent = np.where(invited, np.minimum(wanted, self.core.capacity[0] - self.held[0]), 0)
        return sent, int((empty | (invited & (sent < wanted))).sum())

    def restored(self) -> None:
        """Nodes have to introduce themselves again, and what they were sent belongs to the stopped run."""
        self.held = self.core.own.astype(np.int64)
        self.core.hold(self.held)
        self._left = self.roster.leavings.copy()

    def _forget(self) -> None:
        """A node that has left keeps what it was sent no longer than Flower remembers it: not at all."""
        gone = self.roster.leavings > self._left
        self._left = self.roster.leavings.copy()
        self.held[0, gone] = self.core.own[0, gone]
        self.core.hold(self.held)

    def _hold(self, held: dict[int, int]) -> None:
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
        duration_s: float,
        scores: tuple[Floats, Floats] | None = None,
    ) -> RoundOutcome:
        """The books of one step."""
        late = self.runner.late.copy()
        self.runner.late.clear()
        self._hold({answer.client: answer.update.held for answer in late})
        cost = charge(played, late, self.roster, self.carbon, began_s, self.clock.now())
        blank = np.full((1, self.scenario.clients), np.nan, dtype=np.float32)
        accuracy, loss = scores or (self.ledger.accuracy.copy(), self.ledger.loss.copy())
        return RoundOutcome(
            invited=played.invited[None],
            completed=played.completed[None],
            lost=played.lost[None],
            cancelled=played.cancelled[None],
            repairs=np.array([repairs], dtype=np.int64),
            stop_s=played.stop_s[None],
            compute_s=played.compute_s[None],
            duration_s=np.array([duration_s]),
            down_bytes=played.down_bytes[None],
            up_bytes=cost.up_bytes[None],
            sample_bytes=played.sample_bytes[None],
            energy_j=cost.energy_j[None],
            emissions_g=cost.emissions_g[None],
            wasted_j=cost.wasted_j[None],
            reported_loss=blank if result is None else result.reported_loss,
            update_norm=blank.copy() if result is None else result.update_norm,
            accuracy=accuracy,
            loss=loss,
            diverged=np.zeros(1, dtype=bool) if result is None else result.diverged,
            probed=np.zeros_like(played.invited)[None],
            answered=np.zeros_like(played.invited)[None],
            probed_loss=blank.copy(),
        )

    def _spent(self) -> Floats:
        """`[3]`, hours, GB and kg so far."""
        return np.stack([self.ledger.hours, self.ledger.gigabytes, self.ledger.kilograms])[:, 0]


def charge_actual(scenario: Scenario) -> Scenario:
    """The scenario charged for what is really moved: the trained model's and the samples' own bytes."""
    work = scenario.workload.model_copy(update={"model_bytes": "actual", "sample_bytes": "actual"})
    return scenario.model_copy(update={"workload": work})


def check_deployable(scenario: Scenario) -> None:
    """Refuse what no live federation does; ValueError naming the field, its value and what was expected."""
    wanted = {
        "late.kind": (scenario.late.kind, "drop"),
        "topology": (scenario.topology, "server"),
        "evaluation.personal": (scenario.evaluation.personal, "none"),
        "quadratic": (scenario.quadratic, None),
    }
    for name, (value, expected) in wanted.items():
        if value != expected:
            raise ValueError(f"{name}: {value!r}, expected {expected!r} in a live federation")
