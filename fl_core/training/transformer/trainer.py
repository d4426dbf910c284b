"""The fused backend for tiny transformers: all local steps of one client in one compiled loop.

`layers` has the arithmetic. What is `too_large` for it is PyTorch's.
"""

from __future__ import annotations

import functools

import numpy as np

from ...data import Dataset
from ...models import TransformerSpec, token_rows
from ..fused_steps import FusedSteps
from ..scoring import compiled_or_warned
from .layout import net_layout
from .reference import TransformerReference
from .trainer_kernels import score_range, train_factors, train_range


class FusedTransformer(FusedSteps, TransformerReference):
    """Fused numba backend for tiny transformers; see the module.

    Args:
        dataset: rows of `context + 1` tokens.
        model: a transformer that is not `too_large`.
    """

    train_kernel = staticmethod(train_range)
    factor_kernel = staticmethod(train_factors)
    score_kernel = staticmethod(score_range)

    def __init__(self, dataset: Dataset, model: TransformerSpec) -> None:
        TransformerReference.__init__(self, dataset, model)
        self._net = tuple(net_layout(model))
        self._pools = {part: token_rows(dataset, part).ravel() for part in ("train", "val", "test")}
        self.work_per_row = model.forward_flops // 2

    @property
    def compiles(self) -> bool:
        """See `JobScores.compiles`."""
        return kernels_work()


@functools.cache
def kernels_work() -> bool:
    """Whether this release of numba compiles the kernels; the first call tries, and warns if it does not."""

    def attempt() -> None:
        data = Dataset("probe", *(np.zeros((1, 2), np.float32), np.zeros(1, np.int32)) * 3, num_classes=1)
        model = TransformerSpec(1, 1, 1, 1, 1)
        FusedTransformer(data, model)._try(model.init(0)[None])

    return compiled_or_warned(attempt)
