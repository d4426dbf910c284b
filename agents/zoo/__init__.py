"""Trained schedulers that come with the package, and how a run becomes one.

Every one is a folder: `weights.safetensors` (numbers, nothing that could run), `card.json` (who it is, how it
was trained, what it reached) and `README.md` (the card for people).
"""

from __future__ import annotations

from .card import Card, read_card
from .loading import find_card, is_shipped, load_scheduler, shipped_names

__all__ = ["Card", "find_card", "is_shipped", "load_scheduler", "read_card", "shipped_names"]
