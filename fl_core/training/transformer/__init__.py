"""Tiny transformers: a NumPy reference and a fused kernel."""

from __future__ import annotations

from .make import make_fused, too_large
from .reference import TransformerReference

__all__ = ["TransformerReference", "make_fused", "too_large"]
