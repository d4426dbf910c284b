"""The fused trainer of a transformer, or why it is none of it."""

from __future__ import annotations

from ....common.compiled import uses_numba
from ...data import Dataset
from ...models import TransformerSpec
from ..jobs import LocalTrainer
from .reference import TransformerReference

LARGEST = {"width": 128, "context": 128, "vocabulary": 512, "layers": 8}
"""What the fused kernel is made for: beyond it activations leave the cache."""


def too_large(model: TransformerSpec) -> str | None:
    """Which of its sizes is beyond the fused kernel, as `"width: 256, expected at most 128"`; or None."""
    for name, most in LARGEST.items():
        if getattr(model, name) > most:
            return f"{name}: {getattr(model, name)}, expected at most {most}"
    return None


def make_fused(dataset: Dataset, model: TransformerSpec) -> LocalTrainer:
    """The fused trainer; the reference where numba is missing.

    Raises:
        ValueError: a model that is too large for it.
    """
    if problem := too_large(model):
        raise ValueError(f"trainer: 'fused': transformer of {problem}; use 'torch'")
    if not uses_numba():
        return TransformerReference(dataset, model)
    from .trainer import FusedTransformer

    return FusedTransformer(dataset, model)
