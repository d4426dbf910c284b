"""From the updates that arrived to the server's step.

The server moves by `w <- w + lr_s * sum_k omega_k * delta_k` over the updates that arrived; a scheduler may
put a factor on lr_s (`Arrivals.server_step`), which every aggregator takes. Which omega is right depends on
how the clients were selected (see `Unbiased`), so aggregators are plug-ins of their own, and a scheduler that
prescribes its coefficients hands them over in the plan (`Given`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.registry import Registry
from ...common.settings import Spec
from ..numerics import weighted_sums
from ..training import LocalTraining

State: TypeAlias = dict[str, AnyArray]
DType: TypeAlias = np.dtype[np.generic]


@dataclass(frozen=True)
class Arrivals:
    """The J updates that arrived in one round, sorted by environment and then by client."""

    env: Ints  # [J]
    client: Ints  # [J]
    span: Ints  # [E + 1]; environment e's arrivals are `span[e]:span[e + 1]`
    steps: Ints  # [J] local steps made
    held: Ints  # [J] rows the client holds
    target_weight: Floats  # [J] its share alpha_k of the objective
    rate: Floats | None  # [J] its participation rate, or None if nobody measured it
    given: Floats | None  # [J] coefficients from the plan, or None
    staleness: Ints  # [J] rounds since the update was started; 0 = fresh
    delta: AnyArray  # [J, P] in the parameters' precision
    num_clients: int  # N
    training: LocalTraining  # settings of the local training
    decay: Floats  # [J] of the learning rate, in the round in which the update was started; 1 = none
    round_decay: Floats  # [E] of the learning rate, in the round that closes
    server_step: Floats | None = None  # [E] factors on the server's learning rate, or None
    closes: Bools | None = None  # [E] whose round of training closes now; None = where something arrived

    @property
    def closing(self) -> Bools:
        """`[E]`, whose round of training closes now, though nothing may have arrived in it."""
        arrived: Bools = np.diff(self.span) > 0
        return arrived if self.closes is None else arrived | self.closes

    def server_rate(self, dtype: DType) -> AnyArray:
        """`[E, 1]`, or `[1, 1]` where no factors are given: the learning rates of the server's step."""
        factors = np.ones(1) if self.server_step is None else self.server_step
        return (self.training.server_learning_rate * factors)[:, None].astype(dtype)

    def select(self, keep: AnyArray) -> Arrivals:
        """The arrivals of a boolean mask `[J]`."""
        return replace(
            self,
            env=self.env[keep],
            client=self.client[keep],
            span=np.searchsorted(self.env[keep], np.arange(self.span.size)),
            steps=self.steps[keep],
            held=self.held[keep],
            target_weight=self.target_weight[keep],
            rate=None if self.rate is None else self.rate[keep],
            given=None if self.given is None else self.given[keep],
            staleness=self.staleness[keep],
            delta=self.delta[keep],
            decay=self.decay[keep],
        )


@dataclass(frozen=True)
class Start:
    """Where the J local trainings of a round start."""

    pool: AnyArray  # [M, P] starting points
    origin: Ints  # [J] row of the pool
    correction: AnyArray | None = None  # [J, P] added to each local gradient, or None


class Aggregator(ABC):
    """Turns arrivals into one step per environment; may remember things between rounds.

    Attributes:
        name: the name it is known by.
        accepts_weights: whether a plan's own coefficients may replace its rule.
        accepts_late: whether updates may have been started on older models.
        accepts_decay: whether it makes sense of a learning rate that falls from round to round.
        accepts_compression: whether it makes sense of compressed updates.
        accepts_moments: whether it makes sense of clients whose optimiser has a memory, as AdamW's.
        moves_alone: whether the model moves in a round of training in which nothing arrived.
        is_mean: whether its step is a mean of the updates in some sense, which a server optimiser may follow.
        traffic: model-sized vectors sent each way per client and round (2 where control variates go along).
    """

    name = ""
    accepts_weights = True
    accepts_late = True
    accepts_decay = True
    accepts_compression = True
    accepts_moments = True
    moves_alone = False
    is_mean = False
    traffic = 1

    def __init__(self) -> None:
        self.memory: State = {}

    def check_training(self, training: LocalTraining) -> None:
        """Refuse settings of local training of which it makes no sense; ValueError of one line."""
        if training.learning_rate_decay < 1 and not self.accepts_decay:
            raise ValueError(
                f"learning_rate_decay: {training.learning_rate_decay}, expected 1: aggregator "
                f"{self.name!r} needs a constant rate; use 'by-samples'"
            )
        if training.adamw is not None and not self.accepts_moments:
            raise ValueError(
                f"optimiser: {training.optimiser!r}, expected 'sgd': aggregator {self.name!r} takes the "
                "clients' steps for gradients; use 'by-samples'"
            )

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """Allocate `memory`, arrays with one row per environment; called once by the core."""
        self.memory = {}

    def reset(self, env: int, params: AnyArray, seed: int) -> None:
        """Forget everything about one environment, which starts from `params [P]` with this seed."""
        for table in self.memory.values():
            table[env] = 0

    def prepare(self, env: Ints, client: Ints, params: AnyArray) -> Start:
        """Say where the jobs start; by default from their server's model `params [E, P]`."""
        return Start(params, env)

    def moves(self, arrivals: Arrivals) -> Bools:
        """`[E]`, where the arrivals are enough for a step; by default where there are any."""
        return np.asarray(np.diff(arrivals.span) > 0)

    @abstractmethod
    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """`[E, P]`, the step before the server's rate; zero where nothing arrived, unless `moves_alone`."""


class Weighting(Aggregator):
    """An aggregator that is nothing but a rule for omega."""

    is_mean = True

    @abstractmethod
    def coefficients(self, arrivals: Arrivals) -> Floats:
        """`[J]`, the omega of every arrival."""

    def omega(self, arrivals: Arrivals) -> Floats:
        """The plan's own coefficients where it has any, else the rule's."""
        if arrivals.given is None:
            return self.coefficients(arrivals)
        own = np.isnan(arrivals.given)  # a plan's row of nan leaves the environment to the aggregator
        return np.where(own, self.coefficients(arrivals), arrivals.given) if own.any() else arrivals.given

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        return weighted_sums(arrivals.span, self.omega(arrivals), arrivals.delta)


AGGREGATORS: Registry[Aggregator] = Registry("aggregator", Aggregator)
"""Aggregators and server optimisers by name."""


def make_mean(spec: Spec, field: str) -> Aggregator:
    """An aggregator whose step a server optimiser may follow: a weighting, a robust rule, a noisy mean.

    Raises:
        ValueError: if it is none, naming the field; or by `Registry.make`.
    """
    inner = AGGREGATORS.make(spec)
    if not inner.is_mean:
        raise ValueError(
            f"{field}: {spec!r}, expected a plain weighting such as 'by-samples', or another mean"
        )
    return inner


def make_weighting(spec: Spec) -> Weighting:
    """An aggregator that must be a plain rule for the coefficients.

    Raises:
        ValueError: if it is not, or by `Registry.make`.
    """
    inner = AGGREGATORS.make(spec)
    if not isinstance(inner, Weighting):
        raise ValueError(f"weighting: {spec!r}, expected a plain weighting such as 'by-samples'")
    return inner
