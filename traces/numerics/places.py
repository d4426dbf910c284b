"""Who belongs to train, val and test: shares of the whole, and names dealt out by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from ...common.splits import Split

SPLIT_SHARES: Mapping[Split, tuple[float, float]] = MappingProxyType(
    {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
)
"""From where to where each split reaches, of names by their places or of a recording's time."""


def place_of(name: str) -> float:
    """A name's place in [0, 1), the same in every process and order."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big") / 2.0**64
