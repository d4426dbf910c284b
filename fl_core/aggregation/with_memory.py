"""Aggregators that remember something per client: MIFA, FedVARP, FedAWE, SCAFFOLD.

Their tables hold one model-sized vector per client and environment; `_table` refuses sizes that would not
fit in memory. Alpha are the clients' target weights throughout (the papers take 1/N).
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats, Ints
from ...common.settings import Settings
from ..numerics import weighted_sums
from .base import AGGREGATORS, Aggregator, Arrivals, DType, Start

_MOST_BYTES = 8 * 2**30


def _table(name: str, shape: tuple[int, int, int], dtype: DType) -> AnyArray:
    """Zeros, or an error that says why not."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size > _MOST_BYTES:
        raise ValueError(
            f"aggregator {name!r}: its table of {shape[0]} x {shape[1]} models takes {size >> 30} GiB; "
            "use fewer environments or clients, or a method without memory such as 'fedau'"
        )
    return np.zeros(shape, dtype=dtype)


def _shares(arrivals: Arrivals, num_envs: int) -> Floats:
    """Alpha `[J]` over its sum among the arrivals of an environment."""
    total = np.bincount(arrivals.env, arrivals.target_weight, minlength=num_envs)
    found: Floats = arrivals.target_weight / total[arrivals.env]
    return found


class _Tabled(Aggregator):
    """Shared by the methods that keep each client's latest update and their weighted sum.

    Where the clients' learning rate falls from round to round, updates are kept as they would be without the
    decay, and count with that of the round that closes: both papers remember gradients, not distances.
    """

    accepts_weights = False

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {
            "table": _table(self.name, (num_envs, num_clients, num_parameters), dtype),
            # In double precision: it is kept by increments, whose rounding would add up over long runs.
            "mean": np.zeros((num_envs, num_parameters), dtype=np.float64),
        }

    def _exchange(self, arrivals: Arrivals) -> tuple[AnyArray, AnyArray]:
        """Store the new updates, without decay; returns the changes `[J, P]` and the mean before them."""
        table, mean = self.memory["table"], self.memory["mean"]
        undecayed = arrivals.delta / arrivals.decay[:, None].astype(table.dtype)
        change = undecayed.astype(np.float64) - table[arrivals.env, arrivals.client]
        before = mean.copy()
        mean += weighted_sums(arrivals.span, arrivals.target_weight, change)
        table[arrivals.env, arrivals.client] = undecayed
        return change, before


@AGGREGATORS.register("mifa")
class Mifa(_Tabled):
    """Memory-augmented impatient averaging (Gu et al., NeurIPS 2021): `sum_k alpha_k (latest delta_k)`.

    Clients not seen yet count as zero, unless `wait_for_all`: then the model waits for everybody's first
    update, as in the paper. A round in which nothing arrived leaves the model alone.

    Args:
        wait_for_all: whether to stand still until every client has been seen.
    """

    name = "mifa"

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        wait_for_all: bool = False

    def __init__(self, wait_for_all: bool = False) -> None:
        super().__init__()
        self._wait = wait_for_all

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        super().bind(num_envs, num_clients, num_parameters, dtype)
        self.memory["seen"] = np.zeros((num_envs, num_clients), dtype=np.bool_)

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        self._exchange(arrivals)
        seen = self.memory["seen"]
        seen[arrivals.env, arrivals.client] = True
        moves = np.diff(arrivals.span) > 0
        if self._wait:
            moves &= seen.all(axis=1)
        now = arrivals.round_decay[:, None]
        return np.where(moves[:, None], self.memory["mean"] * now, 0).astype(params.dtype)


@AGGREGATORS.register("fedvarp")
class FedVarp(_Tabled):
    """Variance reduction for partial participation (Jhunjhunwala et al., UAI 2022).

    `sum_k alpha_k y_k + mean over arrivals of (delta_k - y_k)` with y_k the latest update of client k; the
    mean is weighted by alpha.
    """

    name = "fedvarp"

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        change, before = self._exchange(arrivals)
        step = weighted_sums(arrivals.span, _shares(arrivals, len(params)), change)
        moves = np.diff(arrivals.span) > 0
        step[moves] += before[moves]
        return np.asarray(step * arrivals.round_decay[:, None], dtype=params.dtype)


@AGGREGATORS.register("fedawe")
class FedAwe(Aggregator):
    """FedAWE (Xiang et al., NeurIPS 2024): everyone goes on from its own stale model, absences are echoed.

    A client trains from its own model x_k and contributes `x_k + rate (t - tau_k) N alpha_k delta_k`, tau_k
    the round it last took part in; the server averages these, and only those taking part receive the
    average. N alpha_k is 1 in the paper, whose objective is the plain mean; it weighs the deltas alone, since
    the models have to stay a mean of models whoever arrives.

    Args:
        rate: eta_g of the paper.
        longest_gap: cap on `t - tau_k`; None as in the paper, which assumes no long absences.
    """

    name = "fedawe"
    accepts_weights = False
    accepts_late = False
    accepts_decay = False  # an echo stands for rounds missed at the same rate
    accepts_compression = False

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        rate: float = Field(default=1.0, gt=0)
        longest_gap: int | None = Field(default=None, ge=1)

    def __init__(self, rate: float = 1.0, longest_gap: int | None = None) -> None:
        super().__init__()
        self._rate, self._cap = rate, longest_gap

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {
            "models": _table(self.name, (num_envs, num_clients, num_parameters), dtype),
            "last": np.full((num_envs, num_clients), -1, dtype=np.int64),
            "round": np.zeros(num_envs, dtype=np.int64),
        }

    def reset(self, env: int, params: AnyArray, seed: int) -> None:
        """See `Aggregator.reset`."""
        self.memory["models"][env] = params
        self.memory["last"][env] = -1
        self.memory["round"][env] = 0

    def prepare(self, env: Ints, client: Ints, params: AnyArray) -> Start:
        """See `Aggregator.prepare`."""
        models = self.memory["models"]
        return Start(models.reshape(-1, models.shape[2]), env * models.shape[1] + client)

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        models, last, clock = (self.memory[name] for name in ("models", "last", "round"))
        at = (arrivals.env, arrivals.client)
        gap = clock[arrivals.env] - last[at]
        gap = gap if self._cap is None else np.minimum(gap, self._cap)
        reach = self._rate * gap * (arrivals.num_clients * arrivals.target_weight)
        echoed = models[at] + reach[:, None].astype(params.dtype) * arrivals.delta
        echoed -= params[arrivals.env]
        step = weighted_sums(arrivals.span, 1.0 / np.diff(arrivals.span)[arrivals.env], echoed)
        moved = params + arrivals.server_rate(params.dtype) * step
        models[at] = moved[arrivals.env]
        last[at] = clock[arrivals.env]
        clock += np.diff(arrivals.span) > 0
        return step


@AGGREGATORS.register("scaffold")
class Scaffold(Aggregator):
    """SCAFFOLD (Karimireddy et al., ICML 2020): control variates undo the drift of local steps.

    Local gradients get `c - c_k` added; afterwards `c_k+ = c_k - c - delta_k / (H eta)`, eta the rate of the
    round, and c moves by `sum_k alpha_k (c_k+ - c_k)`, so that it is the gradient of the weighted objective.
    The model moves by the arrivals' mean delta weighted by alpha: all deltas vanish at the optimum, whatever
    their weights.
    Twice the traffic of FedAvg.
    """

    name = "scaffold"
    accepts_weights = False
    accepts_late = False
    accepts_compression = False
    accepts_moments = False
    traffic = 2

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {
            "client": _table(self.name, (num_envs, num_clients, num_parameters), dtype),
            "server": np.zeros((num_envs, num_parameters), dtype=dtype),
        }

    def prepare(self, env: Ints, client: Ints, params: AnyArray) -> Start:
        """See `Aggregator.prepare`."""
        return Start(params, env, self.memory["server"][env] - self.memory["client"][env, client])

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        local, server = self.memory["client"], self.memory["server"]
        rate = arrivals.training.learning_rate * arrivals.decay
        distance = (arrivals.steps * rate).astype(params.dtype)
        change = -server[arrivals.env] - arrivals.delta / distance[:, None]
        local[arrivals.env, arrivals.client] += change
        server += weighted_sums(arrivals.span, arrivals.target_weight, change)
        return weighted_sums(arrivals.span, _shares(arrivals, len(params)), arrivals.delta)
