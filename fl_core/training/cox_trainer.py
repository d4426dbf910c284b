"""Local training of Cox's model: partial likelihood with Breslow's ties, and the concordance index."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Floats32, Ints, Ints32
from ..data import Dataset
from ..models import CoxModel
from .reference import StepByStep

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


class CoxTrainer(StepByStep):
    """Trains Cox's model in plain NumPy; the gradient is exact.

    Raises:
        ValueError: the data have no times.
    """

    name = "cox"

    def __init__(self, dataset: Dataset, model: CoxModel) -> None:
        super().__init__(model.num_parameters)
        self._parts = {
            part: (*dataset.rows(part), dataset.times_of(part)) for part in ("train", "val", "test")
        }

    def batch_gradient(self, params: Floats32, rows: Ints32) -> tuple[float, Floats32]:
        """See `StepByStep.batch_gradient`."""
        every_x, every_event, every_time = self._parts["train"]
        x, event, time = every_x[rows], every_event[rows], every_time[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # who diverges is told by the length of the step
            risk = np.asarray(x @ params.astype(np.float64), dtype=np.float64)
            loss, by_risk = partial_likelihood(risk, time, event == 1)
            return loss, (by_risk @ x).astype(np.float32)

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        parts = np.split(rows, first[1:-1])
        each = [self.batch_gradient(params[who], part)[0] for who, part in zip(origin, parts, strict=True)]
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
