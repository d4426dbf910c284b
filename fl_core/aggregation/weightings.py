"""Rules for the coefficients: by samples, unbiased, normalised steps, participation intervals, staleness."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Bools, Floats
from ...common.settings import Settings
from ..numerics import span_sums
from .around import Around
from .base import AGGREGATORS, Aggregator, Arrivals, DType, Weighting, make_weighting


@AGGREGATORS.register("by-samples")
class BySamples(Weighting):
    """`n_k / sum n_j` over the arrivals (McMahan et al. 2017), n_k the rows client k holds."""

    name = "by-samples"

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        return arrivals.held / span_sums(arrivals.span, arrivals.held)[arrivals.env]


@AGGREGATORS.register("uniform")
class Uniform(Weighting):
    """One over the number of arrivals."""

    name = "uniform"

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        return 1.0 / np.diff(arrivals.span)[arrivals.env]


@AGGREGATORS.register("unbiased")
class Unbiased(Weighting):
    """`alpha_k / rate_k`, not normalised: right in expectation for any stationary participation.

    With the true participation rates the expected step is `sum_k alpha_k delta_k` (Ribero et al. 2023;
    Rodio et al. 2023). A rate near zero would let one rare client throw the model, so rates are floored at
    `min_rate`: a client rarer than that is still under-represented, by at most `rate / min_rate`.
    """

    name = "unbiased"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        min_rate: float = Field(default=0.05, gt=0, le=1)

    def __init__(self, min_rate: float = 0.05) -> None:
        super().__init__()
        self.min_rate = min_rate

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        if arrivals.rate is None:
            raise ValueError(
                "rates: None, expected each client's participation rate, which aggregator 'unbiased' needs"
            )
        return arrivals.target_weight / np.maximum(arrivals.rate, self.min_rate)


@AGGREGATORS.register("given")
class Given(Weighting):
    """The plan's own coefficients, used as they are and not renormalised."""

    name = "given"

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        if arrivals.given is None:
            raise ValueError("weights: None, expected a plan with weights, which aggregator 'given' needs")
        return arrivals.given


@AGGREGATORS.register("fednova")
class FedNova(Around, Weighting):
    """Normalised averaging (Wang et al., "Tackling the Objective Inconsistency Problem", NeurIPS 2020).

    `tau_eff sum_k omega_k delta_k / a_k` with `tau_eff = sum_k omega_k a_k`: clients that made more local
    steps no longer weigh more. `a_k` is the number of steps, or `(1 - (1 - eta mu)^H) / (eta mu)` with a
    proximal term mu, times the decay of the learning rate in the round in which the update was started.

    Args:
        weighting: the rule for omega.
    """

    name = "fednova"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        weighting: str = "by-samples"

    def __init__(self, weighting: str = "by-samples") -> None:
        self._rule = make_weighting(weighting)
        super().__init__(self._rule)

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        return self.omega(arrivals)

    def omega(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.omega`; a plan's own coefficients are normalised by steps as well."""
        steps = arrivals.steps.astype(np.float64)
        shrink = arrivals.training.learning_rate * arrivals.decay * arrivals.training.prox_mu
        pulled = shrink > 1e-9  # below, the power loses what makes it differ from the number of steps
        safe = np.where(pulled, shrink, 1.0)
        length = arrivals.decay * np.where(pulled, (1 - (1 - safe) ** steps) / safe, steps)
        omega = self._rule.omega(arrivals)
        effective = span_sums(arrivals.span, omega * length)
        return omega * effective[arrivals.env] / length


@AGGREGATORS.register("fedau")
class FedAu(Weighting):
    """Weights by past participation intervals (Wang and Ji, "A Lightweight Method", ICLR 2024).

    `omega_k = alpha_k * mean interval between k's participations`, an online estimate of
    `alpha_k / rate_k` that needs no rates. An interval is cut at `cutoff` rounds; the one that just ended
    counts from the next time on. Rounds in which nothing arrived do not count.

    Args:
        cutoff: K_c.
    """

    name = "fedau"
    accepts_weights = False

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        cutoff: int = Field(default=50, ge=1)

    def __init__(self, cutoff: int = 50) -> None:
        super().__init__()
        self._cutoff = cutoff

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {
            name: np.zeros((num_envs, num_clients), dtype=np.int64) for name in ("total", "count", "absent")
        }

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`; also takes notes, so it is called once per round."""
        total, count, absent = (self.memory[name] for name in ("total", "count", "absent"))
        at = (arrivals.env, arrivals.client)
        known = count[at] > 0
        interval = np.where(known, total[at] / np.maximum(1, count[at]), 1.0)
        active = np.flatnonzero(np.diff(arrivals.span))
        absent[active] += 1
        ended = absent >= self._cutoff
        ended[at] = True
        total[ended] += absent[ended]
        count[ended] += 1
        absent[ended] = 0
        return arrivals.target_weight * interval


@AGGREGATORS.register("stale")
class Stale(Weighting):
    """Down-weights late updates by `1 / sqrt(1 + staleness)`, then normalises (FedBuff's discount).

    Args:
        exponent: 0.5 in Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation" (2022).
    """

    name = "stale"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        exponent: float = Field(default=0.5, ge=0)

    def __init__(self, exponent: float = 0.5) -> None:
        super().__init__()
        self._exponent = exponent

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        raw = (1.0 + arrivals.staleness) ** -self._exponent
        return raw / span_sums(arrivals.span, raw)[arrivals.env]


@AGGREGATORS.register("refl")
class Refl(Weighting):
    """REFL's staleness-aware weights (Abdelmoniem et al., EuroSys 2023).

    Fresh updates weigh 1, one that is tau rounds late `(1 - beta)/(tau + 1) + beta (1 - exp(-L/L_max))`,
    where L measures how far it would pull the mean of the fresh ones; then everything is normalised. Without
    fresh updates to compare with, only the first term is used.

    Args:
        beta: 0.35 in the reference code.
    """

    name = "refl"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        beta: float = Field(default=0.35, ge=0, le=1)

    def __init__(self, beta: float = 0.35) -> None:
        super().__init__()
        self._beta = beta

    def coefficients(self, arrivals: Arrivals) -> Floats:
        """See `Weighting.coefficients`."""
        weight = np.where(arrivals.staleness > 0, (1 - self._beta) / (arrivals.staleness + 1.0), 1.0)
        for e in np.unique(arrivals.env[arrivals.staleness > 0]):
            span = slice(arrivals.span[e], arrivals.span[e + 1])
            late = arrivals.staleness[span] > 0
            if not late.all():
                pull = self._pull(arrivals.delta[span], late)
                weight[span][late] += self._beta * (1 - np.exp(-pull / max(pull.max(), 1e-30)))
        return weight / span_sums(arrivals.span, weight)[arrivals.env]

    @staticmethod
    def _pull(delta: AnyArray, late: Bools) -> Floats:
        """Squared relative change of the fresh mean by each late update."""
        fresh = delta[~late].astype(np.float64)
        mean = fresh.mean(axis=0)
        change = (delta[late] - mean) / (len(fresh) + 1)
        return np.asarray((change**2).sum(axis=1) / max(float((mean**2).sum()), 1e-30))


@AGGREGATORS.register("fedbuff")
class FedBuff(Aggregator):
    """Buffered asynchrony (Nguyen et al., AISTATS 2022): the model moves once per K updates.

    `w <- w + 1/K sum_k delta_k / sqrt(1 + staleness_k)` over K arrivals, which may come in over several
    rounds.

    Args:
        size: K, updates per step.
    """

    name = "fedbuff"
    accepts_weights = False

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        size: int = Field(default=10, ge=1)

    def __init__(self, size: int = 10) -> None:
        super().__init__()
        self._size = size

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {
            "buffer": np.zeros((num_envs, num_parameters), dtype=dtype),
            "count": np.zeros(num_envs, dtype=np.int64),
        }

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        buffer, count = self.memory["buffer"], self.memory["count"]
        step = np.zeros_like(params)
        discount = ((1.0 + arrivals.staleness) ** -0.5 / self._size).astype(params.dtype)
        for j, e in enumerate(arrivals.env):
            buffer[e] += discount[j] * arrivals.delta[j]
            count[e] += 1
            if count[e] == self._size:
                step[e] += buffer[e]
                buffer[e], count[e] = 0, 0
        return step
