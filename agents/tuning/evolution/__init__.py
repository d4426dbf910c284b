"""The linear rule's weights found by evolution."""

from __future__ import annotations

from .evolved import Evolution, Evolved, Generation
from .search import evolve, rounds_in

__all__ = ["Evolution", "Evolved", "Generation", "evolve", "rounds_in"]
