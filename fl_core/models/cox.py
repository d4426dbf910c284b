"""Cox's proportional hazards: a linear risk score from event times, without a baseline hazard (Cox 1972)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats32
from ..data import Dataset
from .base import MODELS, ModelSource


@dataclass(frozen=True)
class CoxModel:
    """One coefficient per feature; an intercept would change nothing in the partial likelihood."""

    num_parameters: int  # d, the number of features
    name: str = "cox"  # for logs

    @property
    def bytes(self) -> int:
        """Size of the model on the wire in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> Floats32:
        """Zeros `[P]`: the problem is convex."""
        return np.zeros(self.num_parameters, dtype=np.float32)


@MODELS.register("cox")
class Cox(ModelSource):
    """Proportional hazards for data with times: loss is the negative partial log-likelihood per row.

    Ties are Breslow's. Where others have an accuracy it has the concordance index (Harrell): the share of
    comparable pairs in which who met the event earlier has the higher risk, 0.5 by chance. A minibatch's risk
    sets are those of its own rows, and a client's those of its own.
    """

    def build(self, dataset: Dataset) -> CoxModel:
        """See `ModelSource.build`."""
        dataset.times_of("train")
        return CoxModel(dataset.num_features)
