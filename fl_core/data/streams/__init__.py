"""Rows that arrive, age and drift: what clients are asked, and what they keep of it."""

from __future__ import annotations

from .concepts import with_concepts
from .drift import Drift, DriftEpisode, draw_drift, drifting_mixes
from .memory import Memories, Memory
from .memory_kernels import Tables
from .requests import RequestRows, StreamTask, in_order

__all__ = [
    "Drift",
    "DriftEpisode",
    "Memories",
    "Memory",
    "RequestRows",
    "StreamTask",
    "Tables",
    "draw_drift",
    "drifting_mixes",
    "in_order",
    "with_concepts",
]
