"""What an episode is made of: population, ledger, rules, reward."""

from __future__ import annotations

from .ledger import Ledger
from .population import EpisodeDraw, Population, PopulationSource
from .reward import PRICES, reward_terms
from .rules import (
    MOST_DECISIONS_PER_ROUND,
    ended,
    most_decisions,
    overrun,
    participation_rates,
    spent,
    transfers,
)
from .situation_builder import client_books, run_facts, terms_of, utc_hour, zone_facts
from .stream_source import StreamDraw
from .streams import spawned_generators

__all__ = [
    "MOST_DECISIONS_PER_ROUND",
    "PRICES",
    "EpisodeDraw",
    "Ledger",
    "Population",
    "PopulationSource",
    "StreamDraw",
    "client_books",
    "ended",
    "most_decisions",
    "overrun",
    "participation_rates",
    "reward_terms",
    "run_facts",
    "spawned_generators",
    "spent",
    "terms_of",
    "transfers",
    "utc_hour",
    "zone_facts",
]
