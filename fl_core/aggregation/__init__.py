"""From updates to the server's step: weightings, memory, server optimisers, privacy, compression."""

from __future__ import annotations

from .base import AGGREGATORS, Aggregator, Arrivals, Start, Weighting, make_weighting
from .compression import COMPRESSIONS, Compression, EightBit, TopK
from .privacy import GaussianMechanism, epsilon
from .server_optimisers import FedAvgM, FedOpt, is_server_optimiser
from .weightings import BySamples, FedAu, FedBuff, FedNova, Given, Refl, Stale, Unbiased, Uniform
from .with_memory import FedAwe, FedVarp, Mifa, Scaffold

__all__ = [
    "AGGREGATORS",
    "COMPRESSIONS",
    "Aggregator",
    "Arrivals",
    "BySamples",
    "Compression",
    "EightBit",
    "FedAu",
    "FedAvgM",
    "FedAwe",
    "FedBuff",
    "FedNova",
    "FedOpt",
    "FedVarp",
    "GaussianMechanism",
    "Given",
    "Mifa",
    "Refl",
    "Scaffold",
    "Stale",
    "Start",
    "TopK",
    "Unbiased",
    "Uniform",
    "Weighting",
    "epsilon",
    "is_server_optimiser",
    "make_weighting",
]
