"""From the updates that arrived to the server's step.

The server moves by ``w <- w + lr_s * sum_k omega_k * delta_k`` over the updates that arrived. Which omega is
right depends on how the clients were selected (see `Unbiased`), so aggregators are plug-ins of their own,
and a scheduler that prescribes its coefficients hands them over in the plan (`Given`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from .settings import Settings, TrainingSettings, parse_settings, split_spec, suggest
from .threads import run_ranges

State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Arrivals:
    """The J updates that arrived in one round, sorted by environment and then by client.

    Attributes:
        env: ``int64 [J]``.
        client: ``int64 [J]``.
        span: ``int64 [E + 1]``; environment e's arrivals are ``span[e]:span[e + 1]``.
        steps: ``int64 [J]`` local steps made.
        held: ``int64 [J]`` rows the client holds.
        target_weight: ``float64 [J]`` its share alpha_k of the objective.
        rate: ``float64 [J]`` its participation rate, or None if nobody measured it.
        given: ``float64 [J]`` coefficients from the plan, or None.
        staleness: ``int64 [J]`` rounds since the update was started; 0 = fresh.
        delta: ``[J, P]`` in the parameters' precision.
        num_clients: N.
        training: Settings of the local training.
    """

    env: NDArray[np.int64]
    client: NDArray[np.int64]
    span: NDArray[np.int64]
    steps: NDArray[np.int64]
    held: NDArray[np.int64]
    target_weight: NDArray[np.float64]
    rate: NDArray[np.float64] | None
    given: NDArray[np.float64] | None
    staleness: NDArray[np.int64]
    delta: NDArray[Any]
    num_clients: int
    training: TrainingSettings

    def select(self, keep: NDArray[Any]) -> Arrivals:
        """The arrivals of a boolean mask ``[J]``."""
        per_job = ("env", "client", "steps", "held", "target_weight", "rate", "given", "staleness", "delta")
        kept: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[keep] for name in per_job
        }
        span = np.searchsorted(kept["env"], np.arange(self.span.size))
        return replace(self, span=span, **kept)


@dataclass(frozen=True)
class Start:
    """Where the J local trainings of a round start.

    Attributes:
        pool: ``[M, P]`` starting points.
        origin: ``int64 [J]``, row of the pool.
        correction: ``[J, P]`` added to each local gradient, or None.
    """

    pool: NDArray[Any]
    origin: NDArray[np.int64]
    correction: NDArray[Any] | None = None


class Aggregator(ABC):
    """Turns arrivals into one step per environment; may remember things between rounds.

    Attributes:
        name: The name it is known by.
        accepts_weights: Whether a plan's own coefficients may replace its rule.
        accepts_late: Whether updates may have been started on older models.
        accepts_compression: Whether it makes sense of compressed updates.
        traffic: Model-sized vectors sent each way per client and round (2 where control variates go along).
    """

    name = ""
    accepts_weights = True
    accepts_late = True
    accepts_compression = True
    traffic = 1

    def __init__(self) -> None:
        self.memory: State = {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: np.dtype[Any]) -> None:
        """Allocates ``memory``, arrays with one row per environment; called once by the core."""
        self.memory = {}

    def reset(self, env: int, params: NDArray[Any], seed: int) -> None:
        """Forgets everything about one environment, which starts from ``params [P]`` with this seed."""
        for table in self.memory.values():
            table[env] = 0

    def prepare(self, env: NDArray[np.int64], client: NDArray[np.int64], params: NDArray[Any]) -> Start:
        """Says where the jobs start; by default from their server's model ``params [E, P]``."""
        return Start(params, env)

    @abstractmethod
    def step(self, arrivals: Arrivals, params: NDArray[Any]) -> NDArray[Any]:
        """``[E, P]``, the step before the server's learning rate; zero where nothing arrived."""


@njit(cache=True, nogil=True)
def _sum_range(begin, end, span, omega, delta, out):  # type: ignore[no-untyped-def]
    """Environments ``begin:end`` of `weighted_sums`."""
    for e in range(begin, end):
        for p in range(out.shape[1]):
            out[e, p] = 0.0
        for j in range(span[e], span[e + 1]):
            for p in range(out.shape[1]):
                out[e, p] += omega[j] * delta[j, p]


def weighted_sums(span: NDArray[np.int64], omega: NDArray[np.float64], delta: NDArray[Any]) -> NDArray[Any]:
    """``sum_j omega[j] delta[j]`` over each environment's span, always in the order of j.

    Args:
        span: ``[E + 1]``.
        omega: ``[J]``.
        delta: ``[J, P]``.

    Returns:
        ``[E, P]`` in the precision of ``delta``; zero where a span is empty.
    """
    out = np.empty((span.size - 1, delta.shape[1]), dtype=delta.dtype)
    omega = omega.astype(delta.dtype)
    work = span * delta.shape[1]
    run_ranges(lambda begin, end: _sum_range(begin, end, span, omega, delta, out), work, 500_000)
    return out


def span_sums(span: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of ``values`` over each environment's span, as float64 ``[E]``, in a fixed order."""
    env = np.repeat(np.arange(span.size - 1), np.diff(span))
    sums: NDArray[Any] = np.bincount(env, weights=values.astype(np.float64), minlength=span.size - 1)
    return sums


class Weighting(Aggregator):
    """An aggregator that is nothing but a rule for omega."""

    @abstractmethod
    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """``float64 [J]``, the omega of every arrival."""

    def omega(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """The plan's own coefficients where it has any, else the rule's."""
        if arrivals.given is None:
            return self.coefficients(arrivals)
        own = np.isnan(arrivals.given)  # a plan's row of nan leaves the environment to the aggregator
        return np.where(own, self.coefficients(arrivals), arrivals.given) if own.any() else arrivals.given

    def step(self, arrivals: Arrivals, params: NDArray[Any]) -> NDArray[Any]:
        """See `Aggregator.step`."""
        return weighted_sums(arrivals.span, self.omega(arrivals), arrivals.delta)


class BySamples(Weighting):
    """``n_k / sum n_j`` over the arrivals (McMahan et al. 2017), n_k the rows client k holds."""

    name = "by-samples"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `Weighting.coefficients`."""
        return arrivals.held / span_sums(arrivals.span, arrivals.held)[arrivals.env]


class Uniform(Weighting):
    """One over the number of arrivals."""

    name = "uniform"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `Weighting.coefficients`."""
        return 1.0 / np.diff(arrivals.span)[arrivals.env]


class Unbiased(Weighting):
    """``alpha_k / rate_k``, not normalised: right in expectation for any stationary participation.

    With the true participation rates the expected step is ``sum_k alpha_k delta_k`` (Ribero et al. 2023;
    Rodio et al. 2023). A rate near zero would let one rare client throw the model, so rates are floored at
    ``min_rate``: a client rarer than that is still under-represented, by at most ``rate / min_rate``.
    """

    name = "unbiased"

    def __init__(self, min_rate: float = 0.05) -> None:
        super().__init__()
        self.min_rate = min_rate

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `Weighting.coefficients`."""
        if arrivals.rate is None:
            raise ValueError("rates=None: the aggregator 'unbiased' needs each client's participation rate")
        return arrivals.target_weight / np.maximum(arrivals.rate, self.min_rate)


class Given(Weighting):
    """The plan's own coefficients, used as they are and not renormalised."""

    name = "given"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `Weighting.coefficients`."""
        if arrivals.given is None:
            raise ValueError("weights=None: the aggregator 'given' needs a plan with weights")
        return arrivals.given


class _NoSettings(Settings):
    pass


class _UnbiasedSettings(Settings):
    min_rate: float = Field(default=0.05, gt=0, le=1)


_KINDS: dict[str, tuple[Any, type[Settings]]] = {
    "by-samples": (BySamples, _NoSettings),
    "uniform": (Uniform, _NoSettings),
    "unbiased": (Unbiased, _UnbiasedSettings),
    "given": (Given, _NoSettings),
}


def register_aggregator(name: str, factory: Any, settings: type[Settings] = _NoSettings) -> None:
    """Makes an aggregator known by name; ``factory(**settings)`` builds it."""
    _KINDS[name] = (factory, settings)


def make_weighting(spec: str | Mapping[str, Any]) -> Weighting:
    """Builds an aggregator that must be a plain rule for the coefficients.

    Raises:
        ValueError: If it is not, or by `make_aggregator`.
    """
    inner = make_aggregator(spec)
    if not isinstance(inner, Weighting):
        raise ValueError(f"weighting={spec!r}: expected a plain weighting such as 'by-samples'")
    return inner


def make_aggregator(spec: str | Mapping[str, Any] | Aggregator) -> Aggregator:
    """Builds an aggregator by name, from a mapping with settings, or passes one through.

    Raises:
        ValueError: Unknown name (with a suggestion) or bad settings.
    """
    if isinstance(spec, Aggregator):
        return spec
    name, rest = split_spec(spec, "aggregator")
    if name not in _KINDS:
        raise ValueError(f"aggregator={name!r}: {suggest(name, _KINDS)}")
    factory, kind = _KINDS[name]
    settings = parse_settings(kind, rest, f"aggregator {name!r}")
    return factory(**settings.model_dump())
