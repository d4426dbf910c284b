"""What an episode is made of: population, ledger, rules, reward."""

from __future__ import annotations

from .ledger import Ledger
from .population import EpisodeDraw, Population, PopulationSource
from .reward import PRICES, reward_terms
from .streams import spawned_generators

__all__ = [
    "PRICES",
    "EpisodeDraw",
    "Ledger",
    "Population",
    "PopulationSource",
    "reward_terms",
    "spawned_generators",
]
