"""The execution of a plan: who works, for how long, what it costs, and the training on what arrives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import JOULES_PER_KWH
from ...fl_core.federation import FederatedCore, RoundEngine, TrainResult
from ...traces.availability import SessionBatch
from ...traces.carbon import CarbonBatch
from ..contract import STOP_S, RoundOutcome, RoundPlan
from ..episode import (
    EpisodeDraw,
    Ledger,
    Population,
    PopulationSource,
    participation_rates,
    transfers,
    utc_hour,
)
from .billing import bill_phases
from .late import make_late_rule
from .overlay import Overlays, join
from .personal import FORWARD_SHARE, ClientScores, PersonalModels
from .shares import step_shares
from .timeline import play_round
from .work import Progress, Step, Work

PROBE_ANSWER_BYTES = 8.0
"""One loss in double precision."""


class RoundExecution:
    """The clients of E worlds at work: their data, their devices and the training run.

    Args:
        source: draws the populations and makes the core.
        sessions: who is available, and until when.
        carbon: the grids.
    """

    def __init__(self, source: PopulationSource, sessions: SessionBatch, carbon: CarbonBatch):
        self.source = source
        self.sessions = sessions
        self.carbon = carbon
        e, n = sessions.num_envs, sessions.num_clients
        self.core: RoundEngine = source.make_core(e)
        self.population: Population = source.empty(e)
        self.held = np.zeros((e, n), dtype=np.int64)
        self._has_model, self._warm, self._left = (np.zeros((e, n), dtype=bool) for _ in range(3))
        self.personal: PersonalModels | None = None
        if source.scenario.evaluation.personal != "none" and isinstance(self.core, FederatedCore):
            self.personal = PersonalModels(source.scenario.evaluation, self.core)
        self._late = make_late_rule(source.scenario.late, self.core.aggregator, e, n)

    @property
    def _forward_s(self) -> Floats:
        """`[E, N]`, seconds in which one batch is run forward through one model."""
        return np.asarray(self.population.step_s / self.source.models_trained * FORWARD_SHARE)

    @property
    def busy(self) -> Bools:
        """Bool `[E, N]`, who is at work for an earlier round."""
        return self._late.busy

    @property
    def available(self) -> Bools:
        """Bool `[E, N]`, who can be invited now."""
        return self.sessions.available & ~self._late.busy

    @property
    def download_bytes(self) -> float:
        """Bytes of the model on its way to a client, control variates included; of the part exchanged."""
        return self.source.model_bytes * float(self.core.aggregator.traffic) * self.core.exchange_share

    @property
    def upload_bytes(self) -> float:
        """Bytes of an update on its way back: compressed, and with control variates where there are any."""
        return self.source.model_bytes * float(self.core.upload_share)

    def _upload_bytes_of(self, plan: RoundPlan) -> Floats:
        """`[E, 1]`, the same at the bits that a plan says."""
        bits = [0] * len(plan.wait_s) if plan.upload_bits is None else plan.upload_bits.tolist()
        shares = np.array([self.core.upload_share_at(each) for each in bits])
        return np.asarray(self.source.model_bytes * shares[:, None])

    @property
    def setup_bytes(self) -> Floats:
        """Bytes `[E, N]` that each client has to fetch before the model in its present or next session."""
        joining = self.core.joining_share * self.source.model_bytes
        return joining + np.where(self._warm, 0.0, self.source.setup_bytes)

    def reset(self, envs: Bools, seeds: Ints) -> tuple[Floats, Floats]:
        """Draw new episodes for the rows of `envs`; the scores `[E]` of their models, nan for the others."""
        for env in np.flatnonzero(envs).tolist():
            self._enter(env, self.source.draw(int(seeds[env])))
        self._late.reset(envs)
        for marks in (self._has_model, self._warm, self._left):
            marks[envs] = False
        self._set_held(np.where(envs[:, None], self.core.own, self.held))
        return self.core.evaluate(envs)

    def _enter(self, env: int, draw: EpisodeDraw) -> None:
        """Begin one episode."""
        self.population.set_row(env, draw)
        self.sessions.set(env, draw.availability, draw.start_utc_s)
        self.carbon.set(env, draw.carbon)
        self.core.reset(env, draw.task, draw.model_seed)
        if self.core.attack is not None:
            self.core.mark_liars(env, draw.liars)
        if self.personal is not None:
            self.personal.reset(env, draw.model_seed)

    def run(
        self, plan: RoundPlan, time_s: Floats, running: Bools, ledger: Ledger
    ) -> tuple[RoundOutcome, Bools]:
        """Play the step's clock, charge it, and train on the updates that arrived.

        Args:
            plan: the orders.
            time_s: `[E]`, the present.
            running: bool `[E]`, rows that are not are left alone.
            ledger: the books before the step.

        Returns:
            The outcome, and bool `[E]`, whose model was trained.
        """
        training = running & (plan.wait_s <= 0)
        waited_s = np.where(running & (plan.wait_s > 0) & (plan.wait_s != STOP_S), plan.wait_s, 0.0)
        step, overlays = self._step(plan, training, waited_s, time_s, ledger)
        work, progress = step.work, self._late.play(step)
        self._set_held(self.held + progress.received)
        self._warm = self._warm | progress.downloaded
        answered = step.timeline.completed & work.probed
        answers = np.full(answered.shape, np.nan, dtype=np.float32)
        if answered.any() and plan.probe_samples is not None:
            answers = self.core.client_losses(answered, plan.probe_samples, ledger.rounds)
        result = self._train(progress, ledger)
        moved = self._moved(progress, result)
        accuracy, loss = self._scores(moved, ledger)
        bill = bill_phases(self.population, self.carbon, time_s, progress, work.lead_bytes)
        if overlays is not None:
            bill = overlays.bill(bill, self.population, self.carbon, time_s, progress)
        own_j = np.where(work.probed, 0.0, bill.energy_j)
        cancelled, wasted_j = self._late.settle(progress, own_j, self.core.version)
        trained = progress.completed.any(axis=1) & ~result.diverged
        self._note_models(time_s, progress, moved, running)
        outcome = RoundOutcome(
            invited=work.invited,
            completed=progress.completed,
            lost=progress.lost,
            cancelled=cancelled,
            repairs=work.repairs,
            stop_s=progress.stop_s,
            duration_s=step.duration_s,
            **vars(bill),
            wasted_j=wasted_j + np.where(work.probed & ~answered, bill.energy_j, 0.0),
            reported_loss=result.reported_loss,
            update_norm=result.update_norm,
            accuracy=accuracy,
            loss=loss,
            diverged=result.diverged,
            probed=work.probed,
            answered=answered,
            probed_loss=answers,
        )
        return outcome, trained

    def client_scores(self, time_s: Floats) -> ClientScores:
        """How well every client is served in the end; see `PersonalModels`."""
        if self.personal is None:
            return ClientScores.free(self.core.client_accuracy("test"))
        per_kwh = np.take_along_axis(self.carbon.now(time_s), self.population.zone, axis=1)
        return self.personal.scores(self.population, self.source, per_kwh / JOULES_PER_KWH)

    def abandon(self, envs: Bools) -> tuple[Bools, Floats]:
        """Clients still at work where the episodes of `envs` end, and joules they spent, each `[E, N]`."""
        return self._late.abandon(envs)

    def end_sessions(self, ended: Bools) -> None:
        """These clients `[E, N]` start afresh: cold, and without the data sent to them if it is ephemeral.

        What their optimisers remember is gone as well; a delivered update that waits for its round was made
        before, hence with it.
        """
        left, busy = self._left | ended, self._late.busy
        self._left = left & busy
        self.core.end_sessions(left & ~busy)
        if self.personal is not None:
            self.personal.end_sessions(left & ~busy)
        self._warm = self._warm & ~ended
        if self.source.scenario.hub.ephemeral:
            self._set_held(np.where(ended, self.core.own, self.held))

    def _set_held(self, held: Ints) -> None:
        self.held = held
        self.core.hold(held)

    def _step(
        self, plan: RoundPlan, training: Bools, waited_s: Floats, time_s: Floats, ledger: Ledger
    ) -> tuple[Step, Overlays | None]:
        """Repair the plan and play the round of those it invites or probes; with their overlays, if any."""
        work, overlays = self._work(plan, training), None
        quorum, kind = plan.quorum, self.source.scenario.topology
        if kind != "server":
            sizes = (self.download_bytes, self.upload_bytes)
            work, overlays = join(kind, work, self.population, self._has_model, sizes)
        if overlays is not None:
            quorum = np.where(overlays.joined.any(axis=1), 1.0, quorum)  # nobody can go on without the others
        session_left_s = self.sessions.session_end_s - time_s[:, None]
        phases_s = (work.down_s, work.compute_s, work.up_s)
        asked, deadline_s = work.invited | work.probed, self.population.deadline_s
        timeline = play_round(asked, session_left_s, *phases_s, quorum, deadline_s)
        step = Step(
            plan=plan,
            work=work,
            session_left_s=session_left_s,
            timeline=timeline,
            duration_s=np.where(training, timeline.duration_s + self.population.overhead_s, waited_s),
            closes=training & plan.is_round,
            round_index=ledger.rounds,
            versions=self.core.version,
            held=self.held,
        )
        return step, overlays

    def _work(self, plan: RoundPlan, training: Bools) -> Work:
        """Repair the plan and say what everyone has to do."""
        p, source, free = self.population, self.source, self.available
        asked = plan.invited & training[:, None]
        invited = asked & free
        batch_size = source.training.batch_size
        sent, cut = transfers(plan, invited, self.held, self.core.capacity, batch_size)
        lead_bytes = self.setup_bytes + self.download_bytes
        compute_s = plan.local_steps * p.step_s
        if self.personal is not None:
            extra = self.personal.extra_batches(self.held + sent, batch_size)
            compute_s = compute_s + extra * self._forward_s
        up_bytes = np.broadcast_to(self._upload_bytes_of(plan), invited.shape)
        repairs = (asked & ~invited).sum(axis=1) + cut
        probed = np.zeros_like(invited)
        if plan.probe_samples is not None:
            asked = plan.probed & training[:, None]
            probed = asked & free & (self.held > 0)
            batches = -(-np.minimum(plan.probe_samples, self.held) // batch_size)
            compute_s = np.where(probed, batches * self._forward_s, compute_s)
            up_bytes = np.where(probed, PROBE_ANSWER_BYTES, up_bytes)
            repairs = repairs + (asked & ~probed).sum(axis=1)
        return Work(
            invited=invited,
            probed=probed,
            sent=sent,
            lead_bytes=lead_bytes,
            down_s=(lead_bytes + sent * p.sample_bytes[:, None]) / p.down_bytes_per_s,
            compute_s=compute_s,
            up_s=up_bytes / p.up_bytes_per_s,
            repairs=repairs,
        )

    def _note_models(self, time_s: Floats, progress: Progress, moved: Bools, running: Bools) -> None:
        """Note who has the present model now, and whatever personal models need."""
        if self.source.scenario.topology != "server":
            self._has_model = np.where(moved[:, None], progress.completed, self._has_model)
        if self.personal is not None:
            hour = utc_hour(self.population.start_utc_s, time_s)
            self.personal.note_decision(self.sessions.available, hour, moved, running)

    def _train(self, progress: Progress, ledger: Ledger) -> TrainResult:
        """Train on the updates that enter the model."""
        held = self.held
        if progress.held is not None:
            held = progress.held
            self.core.hold(held)
        orders = progress.orders
        weights = step_shares(orders.weights, (orders.local_steps > 0) & (held > 0))
        rates = participation_rates(ledger.completions, ledger.rounds, progress.completed)
        result = self.core.run_round(replace(orders, weights=weights, rates=rates))
        if self.personal is not None:
            self.personal.train(progress.orders, ledger.rounds)
        if progress.held is not None:
            self.core.hold(self.held)
        return result

    def _scores(self, moved: Bools, ledger: Ledger) -> tuple[Floats, Floats]:
        """Accuracy and loss afterwards, each `[E]`."""
        accuracy, loss = ledger.accuracy.copy(), ledger.loss.copy()
        if moved.any():
            new_accuracy, new_loss = self.core.evaluate(moved)
            accuracy, loss = np.where(moved, new_accuracy, accuracy), np.where(moved, new_loss, loss)
        return accuracy, loss

    def _moved(self, progress: Progress, result: TrainResult) -> Bools:
        """Bool `[E]`, whose model the round has moved; by some aggregators although nothing arrived."""
        moved = progress.completed.any(axis=1)
        if self.core.aggregator.moves_alone:
            moved = moved | np.asarray(progress.orders.closes)
        return np.asarray(moved & ~result.diverged)
