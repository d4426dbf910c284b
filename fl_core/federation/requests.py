"""Requests that clients answer with models they hold: the interface between a world's clock and a core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints


@dataclass(frozen=True)
class RequestSpans:
    """J spans of requests, each of one client that answers with one model in one concept.

    What a request is about follows from the environment's seed, its client and its number: nothing of it is
    stored, and whoever asks again is told the same.
    """

    env: Ints  # [J]
    client: Ints  # [J]
    begin: Ints  # [J] number of the span's first request among the client's, from the episode's start
    end: Ints  # [J] number behind its last
    concept: Ints  # [J] of the client then
    moment_s: Floats  # [J] the middle of the span, since the episode began
    models: AnyArray  # [M, P]
    origin: Ints  # [J] row of `models` that answers

    @property
    def first(self) -> Ints:
        """`[J + 1]`, where each span's answers begin."""
        return np.concatenate([[0], np.cumsum(self.end - self.begin)]).astype(np.int64)


@dataclass(frozen=True)
class Answers:
    """The answers to R requests, one span after another."""

    right: Bools  # [R]
    loss: Floats32  # [R]
    frozen: Bools  # [R] would the optimum of that concept have been right; for evaluators
    confidence: Floats32 | None = None  # [R] of a client's own answer, where it answers from an early exit


@runtime_checkable
class StreamEngine(Protocol):
    """What a world with arrivals asks of its core beside a `RoundEngine`'s rounds."""

    def be_in(self, concept: Ints, time_s: Floats) -> None:
        """Say in which concept each client is `[E, N]` at `time_s` `[E]`: in these models are evaluated."""

    def answer(self, spans: RequestSpans) -> Answers:
        """The answers of the models to the requests of some spans."""

    def labelled(self, env: Ints, client: Ints, number: Ints) -> Ints:
        """Positions of those requests `[R]` whose label is ever known."""

    def learn(self, env: Ints, client: Ints, number: Ints, concept: Ints, moments_s: Floats) -> None:
        """These requests' labels are known now, and the clients may keep them.

        Args:
            env: `[R]`.
            client: `[R]`.
            number: `[R]`, of each request among its client's; a client's in ascending order.
            concept: `[R]`, in which it was asked.
            moments_s: `[R]`, when.
        """

    def forget(self, who: Bools) -> None:
        """These clients `[E, N]` have lost what they had kept."""

    def memory_age_s(self, time_s: Floats) -> Floats:
        """Mean age `[E, N]` at `time_s` `[E]` of what the clients hold; 0 without anything."""


@runtime_checkable
class ConsultedEngine(StreamEngine, Protocol):
    """A core whose clients answer from an early exit, and which answers itself where they ask."""

    @property
    def early_share(self) -> float:
        """What a client holds of the model to answer, in parameters over all."""
        ...

    def consult(self, spans: RequestSpans, asked: Bools) -> tuple[Bools, Floats32]:
        """Which of the requests `[R]` of spans that are asked are right, and their losses, each `[asked]`.

        Args:
            spans: with the models that the hub answers with.
            asked: bool `[R]`.
        """
