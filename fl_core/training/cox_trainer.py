"""Local training of Cox's model: partial likelihood with Breslow's ties, and the concordance index."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ..data import Dataset
from ..models import CoxModel
from .jobs import LocalJobs, LocalUpdates
from .settings import LocalTraining

_MOST_PAIRS = 1 << 22  # compared at once


def partial_likelihood(risk: Floats, time: Floats, event: Bools) -> tuple[float, Floats]:
    """The mean negative partial log-likelihood of n rows and its gradient by their risk scores.

    `-1/n sum_{i: event} (risk_i - log sum_{j: time_j >= time_i} exp risk_j)`; among equal times every row is
    in every other's risk set (Breslow 1974).

    Args:
        risk: `[n]`, scores.
        time: `[n]`.
        event: bool `[n]`, false where observation ended without.

    Returns:
        The loss, and `[n]`.
    """
    count, order = risk.size, np.argsort(time, kind="stable")
    risk, time, event = risk[order], time[order], event[order]
    # In logarithms, so that scores far apart do not vanish.
    from_here = np.logaddexp.accumulate(risk[::-1])[::-1]
    at_risk = from_here[np.searchsorted(time, time, side="left")]
    loss = (at_risk - risk)[event].sum() / count
    past = np.logaddexp.accumulate(np.where(event, -at_risk, -np.inf))
    hazard = past[np.searchsorted(time, time, side="right") - 1]
    gradient = np.empty(count)
    gradient[order] = (np.exp(risk + hazard) - event) / count
    return float(loss), gradient


def concordance(risk: Floats, time: Floats, event: Bools) -> tuple[Floats, Floats]:
    """Of every row, the comparable pairs that it is in, and those that are ordered rightly; `[n]` each.

    A pair is comparable if the earlier time is an event's, or the times are equal and only one is an event's,
    which then counts as the earlier (Harrell et al. 1982). Equal scores are half right.
    """
    pairs, right = np.zeros(risk.size), np.zeros(risk.size)
    events = np.flatnonzero(event)
    for rows in np.array_split(events, max(1, events.size * risk.size // _MOST_PAIRS)):
        later = (time[rows, None] < time) | ((time[rows, None] == time) & ~event)
        agrees = (risk[rows, None] > risk) + 0.5 * (risk[rows, None] == risk)
        for total, of_pairs in ((pairs, later * 1.0), (right, later * agrees)):
            total[rows] += of_pairs.sum(axis=1)
            total += of_pairs.sum(axis=0)
    return pairs, right


class CoxTrainer:
    """Trains Cox's model in plain NumPy; the gradient is exact.

    Raises:
        ValueError: the data have no times.
    """

    name = "cox"

    def __init__(self, dataset: Dataset, model: CoxModel) -> None:
        self._parts = {
            part: (*dataset.rows(part), dataset.times_of(part)) for part in ("train", "val", "test")
        }
        self._model = model

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        count, rates = jobs.origin.size, jobs.rates(settings).astype(np.float32)
        delta = np.empty((count, self._model.num_parameters), dtype=np.float32)
        loss = np.empty(count, dtype=np.float32)
        for j in range(count):
            start = jobs.start[jobs.origin[j]]
            params, total = start.copy(), 0.0
            minibatches = jobs.rows[jobs.first[j] : jobs.first[j + 1]]
            for rows in minibatches:
                value, gradient = self.gradient(params, rows)
                gradient += settings.weight_decay * params + settings.prox_mu * (params - start)
                if jobs.correction is not None:
                    gradient += jobs.correction[j]
                params -= rates[j] * gradient
                total += value
            delta[j], loss[j] = params - start, total / max(1, len(minibatches))
        norm = np.sqrt(np.square(delta, dtype=np.float64).sum(axis=1)).astype(np.float32)
        return LocalUpdates(delta, loss, norm)

    def gradient(self, params: AnyArray, rows: Ints32) -> tuple[float, Floats32]:
        """Mean loss of some training rows, and its gradient `[P]`."""
        every_x, every_event, every_time = self._parts["train"]
        x, event, time = every_x[rows], every_event[rows], every_time[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # who diverges is told by the length of the step
            risk = np.asarray(x @ params.astype(np.float64), dtype=np.float64)
            loss, by_risk = partial_likelihood(risk, time, event == 1)
            return loss, (by_risk @ x).astype(np.float32)

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        each = [
            self.gradient(params[origin[j]], rows[first[j] : first[j + 1]])[0] for j in range(origin.size)
        ]
        return np.array(each, dtype=np.float32)

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`; accuracy is the concordance index, 0.5 without comparable pairs."""
        x, event, time = self._parts[part]
        index, loss = np.full(len(params), 0.5), np.empty(len(params))
        for e, row in enumerate(params):
            risk = x @ row.astype(np.float64)
            loss[e] = partial_likelihood(risk, time, event == 1)[0] if risk.size else np.nan
            pairs, right = concordance(risk, time, event == 1)
            if pairs.any():
                index[e] = right.sum() / pairs.sum()
        return index, loss

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`: the concordance of the pairs that rows of a label are in."""
        x, event, time = self._parts[part]
        index = np.full((len(params), 2), np.nan)
        for e, row in enumerate(params):
            pairs, right = concordance(x @ row.astype(np.float64), time, event == 1)
            for label in (0, 1):
                total = pairs[event == label].sum()
                if total:
                    index[e, label] = right[event == label].sum() / total
        return index
