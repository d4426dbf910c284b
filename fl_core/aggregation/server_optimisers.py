"""Server optimisers over any mean of the updates: FedAvgM, DiLoCo's Nesterov, FedAdagrad, FedAdam, FedYogi.

Hsu et al., "Measuring the Effects of Non-Identical Data Distribution" (2019); Reddi et al., "Adaptive
Federated Optimization" (ICLR 2021). The mean update, weighted, robust or noisy, is treated as a gradient; the
learning rate of the server is `LocalTraining.server_learning_rate`. A round without a mean, such as one in
which nothing arrived, leaves their memory alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray
from ...common.settings import Settings, Spec
from .around import Around
from .base import AGGREGATORS, Arrivals, DType, State, make_mean

Rule = Literal["adagrad", "adam", "yogi"]


@AGGREGATORS.register("fedavgm")
class FedAvgM(Around):
    """Heavy-ball momentum on the server: `m <- beta m + update`.

    Args:
        weighting: what makes the update: any mean, weighted or robust.
        momentum: beta.
    """

    name = "fedavgm"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        weighting: Spec = "by-samples"
        momentum: float = Field(default=0.9, ge=0, lt=1)

    def __init__(self, weighting: Spec = "by-samples", momentum: float = 0.9) -> None:
        super().__init__(make_mean(weighting, "weighting"))
        self._momentum = momentum

    def tables(self, num_envs: int, num_parameters: int, dtype: DType) -> State:
        """See `Around.tables`."""
        return {"momentum": np.zeros((num_envs, num_parameters), dtype=dtype)}

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        moves = self.moves(arrivals)
        update = self.inner.step(arrivals, params)
        momentum = self.memory["momentum"]
        momentum[moves] = params.dtype.type(self._momentum) * momentum[moves] + update[moves]
        return np.where(moves[:, None], momentum, 0).astype(params.dtype)


@AGGREGATORS.register("diloco")
class DiLoCo(Around):
    """Nesterov momentum on the server: `v <- momentum v + g`, step `outer_lr (g + momentum v)`.

    g is the mean update, DiLoCo's outer gradient but for the sign (Douillard et al., "DiLoCo: Distributed
    Low-Communication Training of Language Models", arXiv 2311.08105), v begins at 0, and the form is that of
    PyTorch's SGD with `nesterov=True`, as OpenDiLoCo and torchft use it. With outer_lr 1 and momentum 0 it is
    federated averaging; with one worker and momentum 0 Lookahead (Zhang et al. 2019). `outer_lr` multiplies
    the server's learning rate.

    Args:
        weighting: what makes the update: any mean, weighted or robust.
        outer_lr: 0.7 in the paper.
        momentum: 0.9 in the paper, which has hundreds of rounds; tens of them want less.
    """

    name = "diloco"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        weighting: Spec = "by-samples"
        outer_lr: float = Field(default=0.7, gt=0)
        momentum: float = Field(default=0.9, ge=0, lt=1)

    def __init__(self, weighting: Spec = "by-samples", outer_lr: float = 0.7, momentum: float = 0.9) -> None:
        super().__init__(make_mean(weighting, "weighting"))
        self._rate, self._momentum = outer_lr, momentum

    def tables(self, num_envs: int, num_parameters: int, dtype: DType) -> State:
        """See `Around.tables`."""
        return {"velocity": np.zeros((num_envs, num_parameters), dtype=dtype)}

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        moves = self.moves(arrivals)
        update, kind = self.inner.step(arrivals, params), params.dtype.type
        velocity = kind(self._momentum) * self.memory["velocity"][moves] + update[moves]
        self.memory["velocity"][moves] = velocity
        step = np.zeros_like(params)
        step[moves] = kind(self._rate) * (update[moves] + kind(self._momentum) * velocity)
        return step


class FedOpt(Around):
    """Adaptive server step `m / (sqrt(v) + tau)`.

    `m <- beta_1 m + (1 - beta_1) d`; the second moment v by Adagrad (`v + d^2`), Adam
    (`beta_2 v + (1 - beta_2) d^2`) or Yogi (`v - (1 - beta_2) d^2 sign(v - d^2)`), from `v = tau^2`.

    Args:
        weighting: what makes the update d: any mean, weighted or robust.
        beta_1: decay of m.
        beta_2: decay of v.
        tau: degree of adaptivity.
    """

    rule: ClassVar[Rule]

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        weighting: Spec = "by-samples"
        beta_1: float = Field(default=0.9, ge=0, lt=1)
        beta_2: float = Field(default=0.99, ge=0, lt=1)
        tau: float = Field(default=1e-3, gt=0)

    def __init__(
        self,
        weighting: Spec = "by-samples",
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        tau: float = 1e-3,
    ) -> None:
        super().__init__(make_mean(weighting, "weighting"))
        self._beta_1, self._beta_2, self._tau = beta_1, beta_2, tau

    def tables(self, num_envs: int, num_parameters: int, dtype: DType) -> State:
        """See `Around.tables`."""
        shape = (num_envs, num_parameters)
        return {"first": np.zeros(shape, dtype), "second": np.full(shape, self._tau**2, dtype)}

    def reset(self, env: int, params: AnyArray, seed: int) -> None:
        """See `Aggregator.reset`."""
        super().reset(env, params, seed)
        self.memory["second"][env] = self._tau**2

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        moves = self.moves(arrivals)
        update = self.inner.step(arrivals, params)[moves]
        kind = params.dtype.type
        square = update**2
        first = kind(self._beta_1) * self.memory["first"][moves] + kind(1 - self._beta_1) * update
        second = self.memory["second"][moves]
        if self.rule == "adagrad":
            second = second + square
        elif self.rule == "adam":
            second = kind(self._beta_2) * second + kind(1 - self._beta_2) * square
        else:
            second = second - kind(1 - self._beta_2) * square * np.sign(second - square)
        self.memory["first"][moves], self.memory["second"][moves] = first, second
        step = np.zeros_like(params)
        step[moves] = first / (np.sqrt(second) + kind(self._tau))
        return step


@AGGREGATORS.register("fedadagrad")
class FedAdagrad(FedOpt):
    """Adaptive server step whose second moment is a sum of squares, see `FedOpt`."""

    name, rule = "fedadagrad", "adagrad"


@AGGREGATORS.register("fedadam")
class FedAdam(FedOpt):
    """Adaptive server step whose second moment decays, see `FedOpt`."""

    name, rule = "fedadam", "adam"


@AGGREGATORS.register("fedyogi")
class FedYogi(FedOpt):
    """Adaptive server step whose second moment grows and falls by bounded steps, see `FedOpt`."""

    name, rule = "fedyogi", "yogi"


def is_server_optimiser(spec: Spec) -> bool:
    """Whether a specification names an optimiser over a mean that it leaves open."""
    kind = spec.get("kind") if isinstance(spec, Mapping) else spec
    known = isinstance(kind, str) and kind in AGGREGATORS
    left_open = not isinstance(spec, Mapping) or "weighting" not in spec
    return known and left_open and AGGREGATORS[str(kind)] in _OPTIMISERS


_OPTIMISERS: tuple[object, ...] = (FedAvgM, DiLoCo, FedAdagrad, FedAdam, FedYogi)
