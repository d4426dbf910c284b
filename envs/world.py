"""The simulated federation as E worlds stepped together: clients, grids, data and the training run."""

from __future__ import annotations

import numpy as np

from ..common.arrays import Bools, Floats, Floats32, Ints
from ..common.splits import Split
from ..fl_core.federation import Listener
from ..traces.availability import SessionBatch
from ..traces.carbon import CarbonBatch
from .contract import ClientFacts, Future, RoundPlan, Situation, StepResult
from .episode import (
    Ledger,
    PopulationSource,
    client_books,
    ended,
    overrun,
    reward_terms,
    run_facts,
    terms_of,
    utc_hour,
    zone_facts,
)
from .round import ClientScores, StreamingExecution, make_execution
from .scenario import Scenario


class FederatedWorld:
    """E independent worlds of one scenario, stepped together and trained in one batch.

    Seeded alike, row i of a batch and a world of one give identical episodes. An episode that has ended
    is frozen: steps neither change nor charge it until it is reset. A `SimulatedWorld`; it has more public
    members than most classes because evaluations, viewers and searches each look at another part of it.

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
        self._execution = make_execution(self.source, self.sessions, self.carbon)
        self._streams = self._execution if isinstance(self._execution, StreamingExecution) else None
        self._core = self._execution.core
        self._exposure = self.source.make_exposure(self._core)
        self._population = self._execution.population
        self._time_s = np.zeros(e)
        self._available_leads_s = np.array(scenario.forecasting.availability_leads_s)
        self._carbon_leads_s = np.array(scenario.forecasting.carbon_leads_s)
        self.initial_test_accuracy = np.zeros(e)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones, in the order of `ClientFacts.zone`."""
        return self.source.zone_names

    @property
    def available(self) -> Bools:
        """Bool `[E, N]`, whose session runs, at work or not."""
        return np.array(self.sessions.available)

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
        scores = self._execution.reset(envs, seeds)
        self._time_s[envs] = 0.0
        self.running |= envs
        self.ledger.open(envs, *scores)
        untrained = self.test_scores()[0] if self._streams is not None else self._core.accuracy(envs, "test")
        self.initial_test_accuracy[envs] = untrained[envs]
        if self._exposure is not None:
            self._exposure.begin(envs, seeds)
        self._begin_decision(envs)

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan: a round of training, a probe, a wait, or the end of the run.

        Raises:
            ValueError: if the plan's shapes or values are out of range; the world is then as before.
        """
        levels = self.scenario.levels
        plan.validate(
            self.num_envs,
            self.scenario.clients,
            levels.server_step,
            levels.upload_bits,
            self.scenario.refresh_levels,
            levels.ask_below,
        )
        active, budgets = self.running.copy(), self._population.budgets
        began_s, accuracy_before = self._time_s.copy(), self.ledger.accuracy
        exposed = None if self._exposure is None else self._exposure.highest
        outcome, trained = self._execution.run(plan, self._time_s, active, self.ledger)
        self._time_s += outcome.duration_s
        ended_sessions = self.sessions.ended_between(began_s, self._time_s) & active[:, None]
        self._execution.end_sessions(ended_sessions)
        if self._streams is not None:
            self.sessions.advance(self._time_s)
            outcome = self._streams.send_out(outcome, plan, self._time_s, active)
        self.ledger.record(outcome, trained, active, plan.is_round)
        cost = overrun(self.ledger, outcome, budgets)
        terminated, truncated = ended(self.scenario, budgets, self.ledger, plan, outcome, active)
        if self._streams is not None:
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
            whole = self._streams.serve_out(outcome, terminated, self._time_s)
            self.ledger.extend(outcome, whole)
            self._time_s += whole.duration_s - outcome.duration_s
            outcome = whole
        leaked = self._leaked_points(exposed)
        terms = reward_terms(outcome, accuracy_before, self._population.prices, leaked) * active[:, None]
        self.ledger.net_points += terms.sum(axis=1)
        self.ledger.abandon(*self._execution.abandon(terminated | truncated))
        self.running &= ~(terminated | truncated)
        self._begin_decision(self.running & ~plan.is_probe)
        return StepResult(outcome, terms.sum(axis=1), terms, cost, terminated, truncated, active)

    def cut_short(self, envs: Bools) -> None:
        """End the running episodes in the rows of `envs`, as a limit of steps from outside does."""
        ending = envs & self.running
        self.ledger.abandon(*self._execution.abandon(ending))
        self.running &= ~ending

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        p, time_s, execution = self._population, self._time_s, self._execution
        hour = utc_hour(p.start_utc_s, time_s)
        return Situation(
            clients=self._client_facts(time_s),
            zones=zone_facts(self.carbon, time_s, hour, p.utc_offset_h, self._carbon_leads_s.copy()),
            run=run_facts(self.ledger, time_s, hour, self.scenario.max_rounds),
            terms=terms_of(
                p,
                self.ledger,
                execution.download_bytes,
                execution.upload_bytes,
                self.scenario.upload_bits,
            ),
            future=self._future(time_s) if clairvoyant else None,
            stream=None if self._streams is None else self._streams.facts(time_s),
        )

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, each `[E]`."""
        charged = {} if self._exposure is None else {"mia_auc_charged": self._exposure.highest.copy()}
        return self.ledger.totals() | charged

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[E]`; for evaluators, never for agents.

        With arrivals they are prequential: of all answers so far, given before anybody knew the labels.
        """
        if self._streams is not None:
            return self._streams.serving.prequential
        return self._core.evaluate(part="test")

    def pooled_accuracy(self) -> Floats:
        """`[E]`, accuracy on validation and training rows together; for searches in hindsight only.

        With arrivals, what the reward pays for: right answers over the requests of the whole episode.
        """
        if self._streams is not None:
            return self._streams.serving.right_of_expected
        return self._core.pooled_accuracy()

    def client_test_accuracy(self) -> Floats:
        """`[E, N]`, how well the global models serve each client; for evaluators, never for agents.

        Accuracy on the test set re-weighted to the label mix of the client's own training data; in worlds of
        quadratics the world's accuracy with the client's own loss. See `client_accuracy` of the cores. With
        arrivals, the share of the client's own requests that were answered rightly.
        """
        if self._streams is not None:
            return self._streams.serving.client_accuracy
        return self._core.client_accuracy("test")

    @property
    def malicious(self) -> Bools:
        """Bool `[E, N]`, who lies in the running episodes; for evaluators, never for agents."""
        return self._core.liars

    def eavesdrop(self, listener: Listener | None) -> None:
        """Let somebody listen to clients and servers; for evaluators only. None: nobody any more."""
        paid = () if self._exposure is None else (self._exposure,)
        self._core.listeners = paid if listener is None else (*paid, listener)

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

    def _leaked_points(self, before: Floats | None) -> Floats | None:
        """`[E]`, what a step is charged for what it has given away; None where that has no price."""
        if self._exposure is None or before is None:
            return None
        return self._population.price_per_auc * 100.0 * (self._exposure.highest - before)

    def _client_facts(self, time_s: Floats) -> ClientFacts:
        s, p = self.sessions, self._population
        available, leads_s = self._execution.available, self._available_leads_s
        return ClientFacts(
            available=available,
            busy=self._execution.busy,
            zone=p.zone.copy(),
            session_age_s=np.where(available, time_s[:, None] - s.session_start_s, 0.0),
            announced_left_s=s.announced_end_s - time_s[:, None],
            forecast_leads_s=leads_s.copy(),
            available_forecast=s.forecast(time_s, leads_s).astype(np.float64),
            step_s=p.step_s.copy(),
            down_bytes_per_s=p.down_bytes_per_s.copy(),
            up_bytes_per_s=p.up_bytes_per_s.copy(),
            compute_watts=p.compute_watts.copy(),
            network_j_per_byte=p.network_j_per_byte.copy(),
            setup_bytes=self._execution.setup_bytes,
            sightings=self.ledger.sightings.copy(),
            **client_books(self.ledger, self._core, self._execution.held),
        )

    def _begin_decision(self, envs: Bools) -> None:
        """Bring the sessions up to the present; in the rows of `envs` whoever is available is counted."""
        self.sessions.advance(self._time_s)
        self.ledger.look(self.sessions.available, envs)

    def _future(self, time_s: Floats) -> Future:
        s = self.sessions
        return Future(
            session_left_s=np.where(s.available, s.session_end_s - time_s[:, None], 0.0),
            next_start_s=np.where(s.available, 0.0, s.next_start_s - time_s[:, None]),
            carbon_g_per_kwh=self.carbon.true_ahead(time_s, self._carbon_leads_s),
            drift_s=None if self._streams is None else self._streams.serving.drift_ahead_s(time_s),
        )
