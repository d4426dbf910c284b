"""The trained schedulers that come with the package, and their cards."""

from __future__ import annotations

from .card import CARD, README, WEIGHTS, Card, read_card, sha256
from .loading import (
    choices_of,
    encoded_features,
    features_read,
    find_card,
    is_shipped,
    load_scheduler,
    serving_choices,
    serving_features,
    shipped_names,
)
from .readme import card_page

__all__ = [
    "CARD",
    "README",
    "WEIGHTS",
    "Card",
    "card_page",
    "choices_of",
    "encoded_features",
    "features_read",
    "find_card",
    "is_shipped",
    "load_scheduler",
    "read_card",
    "serving_choices",
    "serving_features",
    "sha256",
    "shipped_names",
]
