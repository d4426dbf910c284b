"""The world, written once and batched over E: time, clients, grids, data and the training run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arrays import Bools, Floats, Floats32, Ints
from ..common.splits import Split
from ..traces.availability import SessionBatch
from ..traces.carbon import CarbonBatch
from .contract import STOP_S, Future, RoundOutcome, RoundPlan, Situation, StepResult
from .episode import Ledger, PopulationSource, reward_terms
from .round import ClientScores, RoundExecution
from .scenario import Scenario

MOST_PROBES_PER_ROUND = 10
"""Probes do not count as rounds; so many per round of the limit end the episode all the same."""


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
        self.sessions = SessionBatch(e, n)
        self.carbon = CarbonBatch(e, scenario.zones)
        self.ledger = Ledger(e, n)
        self.running = np.zeros(e, dtype=bool)
        self._execution = RoundExecution(self.source, self.sessions, self.carbon)
        self._core: Any = self._execution.core
        self._population = self._execution.population
        self._time_s = np.zeros(e)
        self.initial_test_accuracy = np.zeros(e)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones, in the order of `ClientFacts.zone`."""
        return tuple(self.source.zone_names)

    @property
    def participation(self) -> Ints:
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

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        self._execution.reset(envs, seeds)
        self._time_s[envs] = 0.0
        self.running |= envs
        accuracy, loss = self._core.evaluate(envs)
        self.ledger.open(envs, accuracy, loss)
        self.initial_test_accuracy[envs] = self._core.evaluate(envs, part="test")[0][envs]
        self._arrive(envs)

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan: a round of training, a probe, a wait, or the end of the run.

        Raises:
            ValueError: if the plan's shapes or values are out of range; the world is then as before.
        """
        plan.validate(self.num_envs, self.scenario.clients)
        active = self.running.copy()
        began_s, accuracy_before = self._time_s.copy(), self.ledger.accuracy
        outcome, trained = self._execution.run(plan, self._time_s, active, self.ledger)
        probing: Bools = np.any(plan.probed, axis=1)
        self._time_s += outcome.duration_s
        terms = reward_terms(outcome, accuracy_before, self._population.prices) * active[:, None]
        self.ledger.record(outcome, trained, active, probing)
        self.ledger.net_points += terms.sum(axis=1)
        self._wipe(began_s, active)
        cost = self._overrun(outcome)
        terminated, truncated = self._ended(plan, outcome, active)
        self.ledger.abandon(*self._execution.abandon(terminated | truncated))
        self.running &= ~(terminated | truncated)
        self._arrive(self.running & ~probing)
        return StepResult(outcome, terms.sum(axis=1), terms, cost, terminated, truncated, active)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        s, p, ledger, time_s = self.sessions, self._population, self.ledger, self._time_s
        leads = self.scenario.forecasting
        carbon_leads_s = np.array(leads.carbon_leads_s)
        available_leads_s = np.array(leads.availability_leads_s)
        utc_hour = ((p.start_utc_s + time_s) / 3600.0) % 24.0
        available = self._execution.available
        index, held = ledger.rounds, self._execution.held
        return Situation.of(
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
            samples_held=held.copy(),
            samples_sent=held - self._core.own,
            storage_left=self._core.capacity - held,
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
            model_bytes=self._execution.download_bytes,
            sample_bytes=self.source.sample_bytes,
            overhead_s=self.source.overhead_s,
            deadline_s=np.full(self.num_envs, self.source.deadline_s),
            future=self._future(time_s, carbon_leads_s) if clairvoyant else None,
            probed_loss=ledger.probed_loss.copy(),
            busy=self._execution.busy,
            upload_bytes=np.full(self.num_envs, self._execution.upload_bytes),
        )

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, each `[E]`."""
        return self.ledger.totals()

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[E]`; for evaluators, never for agents."""
        return self._core.evaluate(part="test")

    def client_test_accuracy(self) -> Floats:
        """`[E, N]`, how well the global models serve each client; for evaluators, never for agents.

        Accuracy on the test set re-weighted to the label mix of the client's own training data; in worlds of
        quadratics the world's accuracy with the client's own loss. See `client_accuracy` of the cores.
        """
        scores: Floats = self._core.client_accuracy("test")
        return scores

    def client_scores(self) -> ClientScores:
        """How well every client is served by what it uses in the end; for evaluators, at an episode's end.

        `Scenario.evaluation` says what that is. What it costs beyond training is charged to the episode,
        once: gigabytes, kilowatt-hours and kilograms in `totals`, and their price in `net_points`.
        """
        scores = self._execution.client_scores(self._time_s)
        self.ledger.charge(scores.moved_bytes, scores.energy_j, scores.emissions_g, self._population.prices)
        return scores

    def parameters(self) -> Floats32:
        """Float32 `[E, P]`, the global models."""
        return self._core.parameters()

    def _wipe(self, began_s: Floats, active: Bools) -> None:
        """Data sent to a client whose session has ended since is gone, where storage is ephemeral."""
        if not self.scenario.hub.ephemeral:
            return
        gone = self.sessions.ended_between(began_s, self._time_s) & active[:, None]
        self._execution.wipe(gone)

    def _arrive(self, envs: Bools) -> None:
        """Look around at the present time; in the rows of `envs` a new round begins."""
        self.sessions.advance(self._time_s)
        self.ledger.sightings += self.sessions.available & envs[:, None]

    def _spent(self) -> Floats:
        """`[E, 3]`, hours, GB and kg so far."""
        return np.stack([self.ledger.hours, self.ledger.gigabytes, self.ledger.kilograms], axis=1)

    def _overrun(self, outcome: RoundOutcome) -> Floats:
        """`[E]`, how far this step went beyond the budgets, as the sum of shares of each."""
        spent, budgets = self._spent(), self.source.budgets
        if not (spent > budgets).any():  # nearly every step
            return np.zeros(self.num_envs)
        before = spent - self._step_cost(outcome)
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
        limit = self.scenario.max_rounds
        over = (self.ledger.rounds >= limit) | (self.ledger.probe_steps >= MOST_PROBES_PER_ROUND * limit)
        truncated = active & ~terminated & over
        return terminated, truncated

    def _future(self, time_s: Floats, carbon_leads_s: Floats) -> Future:
        s = self.sessions
        return Future(
            session_left_s=np.where(s.available, s.session_end_s - time_s[:, None], 0.0),
            next_start_s=np.where(s.available, 0.0, s.next_start_s - time_s[:, None]),
            carbon_g_per_kwh=self.carbon.true_ahead(time_s, carbon_leads_s),
        )
