"""From the updates that arrived to the server's step.

The server moves by ``w <- w + lr_s * sum_k omega_k * delta_k`` over the updates that arrived. Which omega is
right depends on how the clients were selected (see `Unbiased`), so aggregators are plug-ins of their own,
and a scheduler that prescribes its coefficients hands them over in the plan (`Given`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from .settings import Settings, parse_settings, split_spec, suggest
from .threads import run_ranges

FloatArray = NDArray[np.float32]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Arrivals:
    """The J updates that arrived in one round, sorted by environment and then by client.

    Attributes:
        env: ``int64 [J]``.
        client: ``int64 [J]``.
        span: ``int64 [E + 1]``; environment e's arrivals are ``span[e]:span[e + 1]``.
        steps: ``int32 [J]`` local steps made.
        held: ``int64 [J]`` rows the client holds.
        target_weight: ``float64 [J]`` its share alpha_k of the objective.
        rate: ``float64 [J]`` its participation rate, or None if nobody measured it.
        given: ``float64 [J]`` coefficients from the plan, or None.
        delta: ``float32 [J, P]``.
        num_clients: N.
        learning_rate: Of the local steps.
    """

    env: NDArray[np.int64]
    client: NDArray[np.int64]
    span: NDArray[np.int64]
    steps: NDArray[np.int32]
    held: NDArray[np.int64]
    target_weight: NDArray[np.float64]
    rate: NDArray[np.float64] | None
    given: NDArray[np.float64] | None
    delta: FloatArray
    num_clients: int
    learning_rate: float


@runtime_checkable
class Aggregator(Protocol):
    """Turns arrivals into one step per environment; may remember things between rounds."""

    name: str

    def bind(self, num_envs: int, num_clients: int, num_parameters: int) -> None:
        """Allocates memory; called once by the core."""

    def reset(self, env: int) -> None:
        """Forgets everything about one environment."""

    def step(self, arrivals: Arrivals) -> FloatArray:
        """``float32 [E, P]``, the step before the server's learning rate; zero where nothing arrived."""

    def state(self) -> State:
        """Copies of everything remembered."""

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `state`."""


@njit(cache=True, nogil=True)
def _sum_range(begin, end, span, omega, delta, out):  # type: ignore[no-untyped-def]
    """Environments ``begin:end`` of `weighted_sums`."""
    for e in range(begin, end):
        for p in range(out.shape[1]):
            out[e, p] = 0.0
        for j in range(span[e], span[e + 1]):
            w = np.float32(omega[j])
            for p in range(out.shape[1]):
                out[e, p] += w * delta[j, p]


def weighted_sums(span: NDArray[np.int64], omega: NDArray[np.float64], delta: FloatArray) -> FloatArray:
    """``sum_j omega[j] delta[j]`` over each environment's span, always in the order of j.

    Args:
        span: ``[E + 1]``.
        omega: ``[J]``.
        delta: ``[J, P]``.

    Returns:
        ``float32 [E, P]``; zero where a span is empty.
    """
    out = np.empty((span.size - 1, delta.shape[1]), dtype=np.float32)
    work = span * delta.shape[1]
    run_ranges(lambda begin, end: _sum_range(begin, end, span, omega, delta, out), work, 500_000)
    return out


def span_sums(span: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of ``values`` over each environment's span, as float64 ``[E]``, in a fixed order."""
    env = np.repeat(np.arange(span.size - 1), np.diff(span))
    sums: NDArray[Any] = np.bincount(env, weights=values.astype(np.float64), minlength=span.size - 1)
    return sums


class _Stateless:
    """Shared by the aggregators that are nothing but a rule for omega."""

    name = ""

    def bind(self, num_envs: int, num_clients: int, num_parameters: int) -> None:
        """Nothing to remember."""

    def reset(self, env: int) -> None:
        """Nothing to forget."""

    def state(self) -> State:
        """Empty."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to load."""

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """``float64 [J]``, the omega of every arrival."""
        raise NotImplementedError

    def step(self, arrivals: Arrivals) -> FloatArray:
        """See `Aggregator.step`."""
        return weighted_sums(arrivals.span, self.coefficients(arrivals), arrivals.delta)


class BySamples(_Stateless):
    """``n_k / sum n_j`` over the arrivals (McMahan et al. 2017), n_k the rows client k holds."""

    name = "by-samples"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `_Stateless.coefficients`."""
        return arrivals.held / span_sums(arrivals.span, arrivals.held)[arrivals.env]


class Uniform(_Stateless):
    """One over the number of arrivals."""

    name = "uniform"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `_Stateless.coefficients`."""
        return 1.0 / np.diff(arrivals.span)[arrivals.env]


class Unbiased(_Stateless):
    """``alpha_k / rate_k``, not normalised: right in expectation for any stationary participation.

    With the true participation rates the expected step is ``sum_k alpha_k delta_k`` (Ribero et al. 2023;
    Rodio et al. 2023). A rate near zero would let one rare client throw the model, so rates are floored at
    ``min_rate``: a client rarer than that is still under-represented, by at most ``rate / min_rate``.
    """

    name = "unbiased"

    def __init__(self, min_rate: float = 0.05) -> None:
        self.min_rate = min_rate

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `_Stateless.coefficients`."""
        if arrivals.rate is None:
            raise ValueError("rates=None: the aggregator 'unbiased' needs each client's participation rate")
        return arrivals.target_weight / np.maximum(arrivals.rate, self.min_rate)


class Given(_Stateless):
    """The plan's own coefficients, used as they are and not renormalised."""

    name = "given"

    def coefficients(self, arrivals: Arrivals) -> NDArray[np.float64]:
        """See `_Stateless.coefficients`."""
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
