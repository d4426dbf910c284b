"""What an episode is made of: population, ledger, rules, reward."""

from __future__ import annotations

from .ledger import Ledger
from .machines import SPLIT_KEYS, MachineDraw, MachineSource, link_fields
from .population import EpisodeDraw, Population, PopulationSource
from .reward import PRICES, draw_fields, reward_terms
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
from .stream_source import StreamDraw, StreamSource
from .streams import spawned_generators

__all__ = [
    "MOST_DECISIONS_PER_ROUND",
    "PRICES",
    "SPLIT_KEYS",
    "EpisodeDraw",
    "Ledger",
    "MachineDraw",
    "MachineSource",
    "Population",
    "PopulationSource",
    "StreamDraw",
    "StreamSource",
    "client_books",
    "draw_fields",
    "ended",
    "link_fields",
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
