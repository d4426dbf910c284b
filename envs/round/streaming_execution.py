"""Rounds of clients that serve meanwhile: they answer requests, remember labels, and are sent new models."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH
from ...traces.availability import SessionBatch
from ...traces.carbon import CarbonBatch
from ..contract import RoundOutcome, RoundPlan, Served, StreamFacts
from ..episode import EpisodeDraw, Ledger, PopulationSource
from ..streaming import HUB_ANSWER_BYTES, Now, Serving
from .execution import RoundExecution
from .personal import ClientScores
from .work import Progress


class StreamingExecution(RoundExecution):
    """A `RoundExecution` whose clients are asked things all the time, at work or not.

    A round trains on what its clients remember when it begins. Requests are answered by the version that a
    client holds when they come, and an invitation brings it the newest one. After a round the new model goes
    out to whom the plan says, beside whatever follows: each receiver has it when its own download ends, if
    its session lasts so long. Answering takes energy, a batch as much as a batch of a probe; of a model with
    an early exit only the part below it is sent out, and answers take as large a part of the energy.

    Args:
        source: draws the populations and makes the core.
        sessions: who is available, and until when.
        carbon: the grids.
    """

    serving: Serving

    def __init__(self, source: PopulationSource, sessions: SessionBatch, carbon: CarbonBatch):
        super().__init__(source, sessions, carbon)
        self.serving = Serving(source.scenario, self.core, sessions)
        nobody = np.zeros((sessions.num_envs, sessions.num_clients))
        self._got_s: Floats = nobody + np.inf
        self._moved_now: Bools = np.zeros(sessions.num_envs, dtype=bool)

    @property
    def available(self) -> Bools:
        """Bool `[E, N]`, who can be invited now: nobody who remembers nothing."""
        return super().available & (self.held > 0)

    def reset(self, envs: Bools, seeds: Ints) -> tuple[Floats, Floats]:
        """See `RoundExecution.reset`."""
        scores = super().reset(envs, seeds)
        self.serving.begin(envs, *scores)
        return scores

    def _enter(self, env: int, draw: EpisodeDraw) -> None:
        super()._enter(env, draw)
        if draw.stream is None:
            raise ValueError("arrivals: nothing drawn, expected requests of the episode")
        self.serving.set(env, draw.stream)

    def run(
        self, plan: RoundPlan, time_s: Floats, running: Bools, ledger: Ledger
    ) -> tuple[RoundOutcome, Bools]:
        """See `RoundExecution.run`; requests that come meanwhile are answered, and labels learned."""
        if self.serving.hub is not None:
            self.serving.hub.order(plan)
        outcome, trained = super().run(plan, time_s, running, ledger)
        served, energy_j, emissions_g = self._serve(time_s, outcome.duration_s, running, self._got_s)
        moved = self._moved_now
        if moved.any():
            self.serving.move(moved, self.core.accuracy(moved))
        outcome = replace(
            self._with_questions(outcome, served),
            energy_j=outcome.energy_j + energy_j,
            emissions_g=outcome.emissions_g + emissions_g,
            accuracy=self.serving.known.fast,
            loss=self.serving.known.loss,
            served=replace(served, validation=self.serving.validation.copy()),
        )
        return outcome, trained

    def facts(self, time_s: Floats) -> StreamFacts:
        """What a coordinator knows of requests, labels and memories at `time_s` `[E]`."""
        p, moved_bytes = self.population, self._question_bytes[:, None]
        gigabytes = (self._question_bytes + HUB_ANSWER_BYTES) / BYTES_PER_GB
        per_kwh = np.take_along_axis(self.carbon.now(time_s), p.zone, axis=1)
        grams = (moved_bytes + HUB_ANSWER_BYTES) * p.network_j_per_byte / JOULES_PER_KWH * per_kwh
        kilograms = grams.mean(axis=1) / GRAMS_PER_KG
        return self.serving.facts(time_s, p.prices[:, 1] * gigabytes + p.prices[:, 2] * kilograms)

    @property
    def _question_bytes(self) -> Floats:
        """`[E]`, of a question to the hub."""
        return self.population.sample_bytes

    def _with_questions(self, outcome: RoundOutcome, served: Served) -> RoundOutcome:
        """The outcome with the bytes of what was asked of the hub."""
        if served.asked is None:
            return outcome
        count = served.asked.count
        return replace(
            outcome,
            up_bytes=outcome.up_bytes + count * self._question_bytes[:, None],
            down_bytes=outcome.down_bytes + count * HUB_ANSWER_BYTES,
        )

    def send_out(
        self, outcome: RoundOutcome, plan: RoundPlan, time_s: Floats, running: Bools
    ) -> RoundOutcome:
        """Send the new model to whom the plan says, at `time_s` `[E]`, and charge the step for it."""
        p, s = self.population, self.sessions
        who = self.serving.receivers(plan, outcome.invited, s.available, time_s) & running[:, None]
        if not who.any() or outcome.served is None:
            return outcome
        share = 1.0 if self.serving.hub is None else self.serving.hub.model_share
        needed_s = self.download_bytes * share / p.down_bytes_per_s
        left_s = s.session_end_s - time_s[:, None]
        seconds = np.where(who, np.minimum(needed_s, left_s), 0.0)
        arrives = who & (left_s >= needed_s)
        self.serving.versions.send(arrives, time_s[:, None] + needed_s)
        moved_bytes = seconds * p.down_bytes_per_s
        energy_j = moved_bytes * p.network_j_per_byte
        begin_s = time_s[:, None] + np.zeros_like(seconds)
        integral = self.carbon.integral(p.zone, begin_s, begin_s + seconds)
        return replace(
            outcome,
            down_bytes=outcome.down_bytes + moved_bytes,
            energy_j=outcome.energy_j + energy_j,
            emissions_g=outcome.emissions_g + p.down_watts * integral / JOULES_PER_KWH,
            wasted_j=outcome.wasted_j + np.where(arrives, 0.0, energy_j),
            served=replace(outcome.served, refreshed=who),
        )

    def serve_out(self, outcome: RoundOutcome, ending: Bools, time_s: Floats) -> RoundOutcome:
        """What was held serves until the horizon in the rows of `ending` `[E]`, after the step `outcome`."""
        rest_s = np.where(ending, self.serving.rest_s(time_s), 0.0)
        if not rest_s.any() or outcome.served is None:
            return outcome
        never = np.full(outcome.invited.shape, np.inf)
        served, energy_j, emissions_g = self._serve(time_s, rest_s, ending, never)
        return replace(
            self._with_questions(outcome, served),
            duration_s=outcome.duration_s + rest_s,
            energy_j=outcome.energy_j + energy_j,
            emissions_g=outcome.emissions_g + emissions_g,
            accuracy=self.serving.known.fast,
            loss=self.serving.known.loss,
            served=_added(outcome.served, served),
        )

    def end_sessions(self, ended: Bools) -> None:
        """See `RoundExecution.end_sessions`; ephemeral memories go as well."""
        super().end_sessions(ended)
        self.serving.end_sessions(ended)
        self.held = self.core.held.astype(np.int64)

    def client_scores(self, time_s: Floats) -> ClientScores:
        """How well every client was served: the share of its requests that were answered rightly."""
        return ClientScores.free(self.serving.client_accuracy)

    def _serve(
        self, time_s: Floats, length_s: Floats, running: Bools, got_s: Floats
    ) -> tuple[Served, Floats, Floats]:
        """What was answered, and its joules and grams, each `[E, N]`."""
        served = self.serving.play(Now(time_s, time_s + length_s, running), got_s)
        self.held = self.core.held.astype(np.int64)
        p = self.population
        seconds = served.requests * self._forward_s / self.source.training.batch_size
        energy_j = seconds * p.compute_watts
        if self.serving.hub is not None and served.asked is not None:
            asked_bytes = served.asked.count * (self._question_bytes[:, None] + HUB_ANSWER_BYTES)
            energy_j = energy_j * self.serving.hub.model_share + asked_bytes * p.network_j_per_byte
        begin_s = time_s[:, None] + np.zeros_like(energy_j)
        span_s = np.maximum(length_s, 1.0)[:, None]
        intensity = self.carbon.integral(p.zone, begin_s, begin_s + span_s) / span_s
        return served, energy_j, energy_j * intensity / JOULES_PER_KWH

    def _scores(self, moved: Bools, ledger: Ledger) -> tuple[Floats, Floats]:
        return ledger.accuracy, ledger.loss  # known later, from answers

    def _note_models(self, time_s: Floats, progress: Progress, moved: Bools, running: Bools) -> None:
        """Who got the model of this round, and when."""
        self._got_s = np.where(progress.downloaded, time_s[:, None] + progress.down_s, np.inf)
        self._moved_now = moved


def _added(one: Served, other: Served) -> Served:
    """What two steps served together; what is no sum is the same in both."""
    kept = ("validation", "expected", "refreshed", "asked")
    sums = {f.name: getattr(one, f.name) + getattr(other, f.name) for f in fields(one) if f.name not in kept}
    if one.asked is not None and other.asked is not None:
        sums["asked"] = one.asked + other.asked
    return replace(one, **sums)


def make_execution(source: PopulationSource, sessions: SessionBatch, carbon: CarbonBatch) -> RoundExecution:
    """The execution of a scenario's plans; arguments as of `RoundExecution`."""
    serves = source.scenario.arrivals is not None
    return (StreamingExecution if serves else RoundExecution)(source, sessions, carbon)
