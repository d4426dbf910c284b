"""The world, written once and batched over E: time, clients, grids, data and the training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fl_core.rounds import STOP_S, RoundOutcome, RoundPlan
from ..fl_core.timeline import RoundTimeline, play_round
from ..traces.carbon import CarbonBatch
from ..traces.sessions import SessionBatch
from .ledger import Ledger
from .population import Population, PopulationSource
from .reward import REWARD_TERMS, reward_terms
from .scenario import Scenario, Split
from .situation import JOULES_PER_KWH, Future, Situation

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepResult:
    """What one step of E environments came to.

    Attributes:
        outcome: the round, or the wait, in detail.
        reward: `[E]`, sum of the terms.
        terms: `[E, 4]`, in the order of `REWARD_TERMS`.
        cost: `[E]`, budget overrun of this step as a share of the budget, for constrained learning.
        terminated: bool `[E]`, target reached, a budget exhausted, the run stopped or diverged.
        truncated: bool `[E]`, the round limit.
        active: bool `[E]`, whose episode was still running when the step began.
    """

    outcome: RoundOutcome
    reward: Floats
    terms: Floats
    cost: Floats
    terminated: Bools
    truncated: Bools
    active: Bools

    @property
    def reward_terms(self) -> dict[str, Floats]:
        """The terms by name, each `[E]`."""
        return {name: self.terms[:, index] for index, name in enumerate(REWARD_TERMS)}


class FederatedWorld:
    """E independent worlds of one scenario, stepped together and trained in one batch.

    Seeded alike, row i of a batch and a world of one give identical episodes. An episode that has ended
    is frozen: steps neither change nor charge it until it is reset.

    Args:
        scenario: what the worlds are made of.
        num_envs: E.
        split: which disjoint part of the populations and trace windows to draw from.
    """

    def __init__(self, scenario: Scenario, num_envs: int = 1, split: Split = "train"):
        if num_envs < 1:
            raise ValueError(f"num_envs: {num_envs}, expected at least 1")
        self.scenario = scenario
        self.num_envs = num_envs
        self.source = PopulationSource(scenario, split)
        e, n = num_envs, scenario.clients
        self._core: Any = self.source.make_core(e)
        self.sessions = SessionBatch(e, n)
        self.carbon = CarbonBatch(e, scenario.zones)
        self.ledger = Ledger(e, n)
        self.running = np.zeros(e, dtype=bool)
        self._population: Population = self.source.empty(e)
        self._time_s = np.zeros(e)
        self._held = np.zeros((e, n), dtype=np.int64)
        self.initial_test_accuracy = np.zeros(e)

    @property
    def participation(self) -> NDArray[np.int64]:
        """Int64 `[E, N]`, updates that arrived so far."""
        return self.ledger.completions.copy()

    @property
    def prices(self) -> Floats:
        """`[E, 3]`, points per hour, GB and kg CO2e in the running episodes."""
        return self._population.prices.copy()

    @property
    def time_s(self) -> Floats:
        """`[E]`, seconds since each episode began."""
        return self._time_s.copy()

    def reset(self, envs: Bools, seeds: NDArray[np.int64]) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        for env in np.flatnonzero(envs).tolist():
            draw = self.source.draw(int(seeds[env]))
            self._population.set_row(env, draw)
            self.sessions.set(env, draw.availability, draw.start_utc_s)
            self.carbon.set(env, draw.carbon)
            self._core.reset(env, draw.task, draw.model_seed)
        own = self._core.own
        self._held[envs] = own[envs]
        self._core.hold(self._held)
        self._time_s[envs] = 0.0
        self.running |= envs
        accuracy, loss = self._core.evaluate(envs)
        self.ledger.open(envs, accuracy, loss)
        self.initial_test_accuracy[envs] = self._core.evaluate(envs, part="test")[0][envs]
        self._arrive(envs)

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan: a round of training, a wait, or the end of the run.

        Raises:
            ValueError: if the plan's shapes or values are out of range; the world is then as before.
        """
        plan.validate(self.num_envs, self.scenario.clients)
        active = self.running.copy()
        began_s, accuracy_before = self._time_s.copy(), self.ledger.accuracy
        training = active & (plan.wait_s <= 0)
        waits = active & (plan.wait_s > 0) & (plan.wait_s != STOP_S)
        outcome, trained = self._train(plan, training, np.where(waits, plan.wait_s, 0.0))
        self._time_s += outcome.duration_s
        terms = reward_terms(outcome, accuracy_before, self._population.prices) * active[:, None]
        self.ledger.record(outcome, trained, active)
        self.ledger.net_points += terms.sum(axis=1)
        self._wipe(began_s, active)
        cost = self._overrun(outcome)
        terminated, truncated = self._ended(plan, outcome, active)
        self.running &= ~(terminated | truncated)
        self._arrive(self.running)
        return StepResult(outcome, terms.sum(axis=1), terms, cost, terminated, truncated, active)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        s, p, ledger, time_s = self.sessions, self._population, self.ledger, self._time_s
        leads = self.scenario.forecasting
        carbon_leads_s = np.array(leads.carbon_leads_s)
        available_leads_s = np.array(leads.availability_leads_s)
        utc_hour = ((p.start_utc_s + time_s) / 3600.0) % 24.0
        available = s.available
        index = ledger.rounds
        return Situation(
            time_s=time_s.copy(),
            utc_hour=utc_hour,
            local_hour=(utc_hour[:, None] + p.utc_offset_h) % 24.0,
            round_index=index.copy(),
            rounds_left=self.scenario.max_rounds - index,
            available=available,
            zone=p.zone.copy(),
            session_age_s=np.where(available, time_s[:, None] - s.session_start_s, 0.0),
            announced_left_s=s.announced_end_s - time_s[:, None],
            forecast_leads_s=available_leads_s,
            available_forecast=s.forecast(time_s, available_leads_s).astype(np.float64),
            step_s=p.step_s.copy(),
            down_bytes_per_s=p.down_bytes_per_s.copy(),
            up_bytes_per_s=p.up_bytes_per_s.copy(),
            compute_watts=p.compute_watts.copy(),
            network_j_per_byte=p.network_j_per_byte.copy(),
            samples=self._held.copy(),
            samples_sent=self._held - self._core.own,
            storage_left=self._core.capacity - self._held,
            target_weight=self._core.target_weight,
            last_loss=ledger.last_loss.copy(),
            last_norm=ledger.last_norm.copy(),
            rounds_since=index[:, None] - ledger.last_round,
            invitations=ledger.invitations.copy(),
            completions=ledger.completions.copy(),
            sightings=ledger.sightings.copy(),
            carbon_g_per_kwh=self.carbon.now(time_s),
            carbon_leads_s=carbon_leads_s,
            carbon_forecast=self.carbon.forecast(time_s, carbon_leads_s),
            accuracy=ledger.accuracy.copy(),
            loss=ledger.loss.copy(),
            recent_gain=ledger.recent_gain,
            hours=ledger.hours.copy(),
            gigabytes=ledger.gigabytes.copy(),
            kilograms=ledger.kilograms.copy(),
            budget_left=self.source.budgets - self._spent(),
            price_per_hour=p.prices[:, 0].copy(),
            price_per_gb=p.prices[:, 1].copy(),
            price_per_kg=p.prices[:, 2].copy(),
            model_bytes=self.source.model_bytes,
            sample_bytes=self.source.sample_bytes,
            overhead_s=self.source.overhead_s,
            deadline_s=np.full(self.num_envs, self.source.deadline_s),
            future=self._future(time_s, carbon_leads_s) if clairvoyant else None,
        )

    def totals(self) -> dict[str, NDArray[np.float64]]:
        """What every episode came to so far, by name, each `[E]`."""
        return self.ledger.totals()

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[E]`; for evaluators, never for agents."""
        return self._core.evaluate(part="test")

    def parameters(self) -> NDArray[np.float32]:
        """Float32 `[E, P]`, the global models."""
        return self._core.parameters()

    def _train(self, plan: RoundPlan, training: Bools, waited_s: Floats) -> tuple[RoundOutcome, Bools]:
        """Play the round's clock, charge it, and train on the updates that arrived."""
        p, source = self._population, self.source
        asked = plan.invited & training[:, None]
        invited = asked & self.sessions.available
        sent, cut = self._transfers(plan, invited)
        down_bytes = source.model_bytes + sent * source.sample_bytes
        time_s = self._time_s[:, None]
        timeline = play_round(
            invited,
            self.sessions.session_end_s - time_s,
            down_bytes / p.down_bytes_per_s,
            plan.local_steps * p.step_s,
            source.model_bytes / p.up_bytes_per_s,
            plan.quorum,
            np.full(self.num_envs, source.deadline_s),
        )
        downloaded = invited & (timeline.down_s >= down_bytes / p.down_bytes_per_s)
        self._held += np.where(downloaded, sent, 0)
        self._core.hold(self._held)
        steps = np.where(timeline.completed, plan.local_steps, 0).astype(np.int32)
        rates = (self.ledger.completions + 1.0) / (self.ledger.rounds[:, None] + 1.0)
        result = self._core.run_round(steps, plan.weights, self.ledger.rounds.copy(), np.minimum(rates, 1.0))
        trained = timeline.completed.any(axis=1) & ~result.diverged
        accuracy, loss = self.ledger.accuracy.copy(), self.ledger.loss.copy()
        if trained.any():
            new_accuracy, new_loss = self._core.evaluate(trained)
            accuracy, loss = np.where(trained, new_accuracy, accuracy), np.where(trained, new_loss, loss)
        moved_down = timeline.down_s * p.down_bytes_per_s
        moved_up = timeline.up_s * p.up_bytes_per_s
        energy_j, emissions_g = self._charge(timeline, moved_down, moved_up)
        outcome = RoundOutcome(
            invited=invited,
            completed=timeline.completed,
            lost=timeline.lost,
            cancelled=timeline.cancelled,
            repairs=(asked & ~invited).sum(axis=1) + cut,
            stop_s=timeline.stop_s,
            compute_s=timeline.compute_s,
            duration_s=np.where(training, timeline.duration_s + source.overhead_s, waited_s),
            down_bytes=moved_down,
            up_bytes=moved_up,
            sample_bytes=np.maximum(moved_down - source.model_bytes, 0.0),
            energy_j=energy_j,
            emissions_g=emissions_g,
            wasted_j=np.where(timeline.completed, 0.0, energy_j),
            reported_loss=result.reported_loss,
            update_norm=result.update_norm,
            accuracy=accuracy,
            loss=loss,
            diverged=result.diverged,
        )
        return outcome, trained

    def _transfers(self, plan: RoundPlan, invited: Bools) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Samples really sent `[E, N]` and orders that had to be cut or made `[E]`.

        A client with nothing to train on is sent one batch, whatever the plan says.
        """
        wanted = plan.transfer_samples.astype(np.int64)
        empty = invited & (self._held == 0) & (wanted == 0)
        wanted = np.where(empty, self.source.training.batch_size, wanted)
        left = self._core.capacity - self._held
        sent = np.where(invited, np.minimum(wanted, left), 0)
        repaired = empty | (invited & (sent < wanted))
        return sent, repaired.sum(axis=1)

    def _charge(self, timeline: RoundTimeline, moved_down: Floats, moved_up: Floats) -> tuple[Floats, Floats]:
        """Joules and grams `[E, N]`: each phase at its own power, integrated over the zone's trace."""
        p = self._population
        computing_s = self._time_s[:, None] + timeline.down_s
        uploading_s = computing_s + timeline.compute_s
        down_j = moved_down * p.network_j_per_byte
        up_j = moved_up * p.network_j_per_byte
        phases = (
            (self._time_s[:, None] + np.zeros_like(down_j), timeline.down_s, p.down_watts),
            (computing_s, timeline.compute_s, p.compute_watts),
            (uploading_s, timeline.up_s, p.up_watts),
        )
        grams = np.zeros_like(down_j)
        for start_s, length_s, watts in phases:
            integral = self.carbon.integral(p.zone, start_s, start_s + length_s)
            grams += watts * integral / JOULES_PER_KWH
        return down_j + timeline.compute_s * p.compute_watts + up_j, grams

    def _wipe(self, began_s: Floats, active: Bools) -> None:
        """Data sent to a client whose session has ended since is gone, where storage is ephemeral."""
        if not self.scenario.hub.ephemeral:
            return
        gone = self.sessions.ended_between(began_s, self._time_s) & active[:, None]
        self._held = np.where(gone, self._core.own, self._held)
        self._core.hold(self._held)

    def _arrive(self, envs: Bools) -> None:
        """Look around at the present time; the rows of `envs` face a new decision."""
        self.sessions.advance(self._time_s)
        self.ledger.sightings += self.sessions.available & envs[:, None]

    def _spent(self) -> Floats:
        """`[E, 3]`, hours, GB and kg so far."""
        return np.stack([self.ledger.hours, self.ledger.gigabytes, self.ledger.kilograms], axis=1)

    def _overrun(self, outcome: RoundOutcome) -> Floats:
        """`[E]`, how far this step went beyond the budgets, as the sum of shares of each."""
        spent = self._spent()
        before = spent - self._step_cost(outcome)
        budgets = self.source.budgets
        over = np.maximum(spent - budgets, 0.0) - np.maximum(before - budgets, 0.0)
        return np.where(np.isfinite(budgets), over / budgets, 0.0).sum(axis=1)

    @staticmethod
    def _step_cost(outcome: RoundOutcome) -> Floats:
        moved = outcome.down_bytes.sum(axis=1) + outcome.up_bytes.sum(axis=1)
        return np.stack(
            [outcome.duration_s / 3600.0, moved / 1e9, outcome.emissions_g.sum(axis=1) / 1e3], axis=1
        )

    def _ended(self, plan: RoundPlan, outcome: RoundOutcome, active: Bools) -> tuple[Bools, Bools]:
        target = self.scenario.target_accuracy
        reached = outcome.accuracy >= target if target is not None else np.zeros_like(active)
        exhausted = (self._spent() >= self.source.budgets).any(axis=1)
        stopped = plan.wait_s == STOP_S
        terminated = active & (reached | exhausted | stopped | outcome.diverged)
        truncated = active & ~terminated & (self.ledger.rounds >= self.scenario.max_rounds)
        return terminated, truncated

    def _future(self, time_s: Floats, carbon_leads_s: Floats) -> Future:
        s = self.sessions
        return Future(
            session_left_s=np.where(s.available, s.session_end_s - time_s[:, None], 0.0),
            next_start_s=np.where(s.available, 0.0, s.next_start_s - time_s[:, None]),
            carbon_g_per_kwh=self.carbon.true_ahead(time_s, carbon_leads_s),
        )
