"""From updates to the server's step: weightings, memory, server optimisers, privacy, compression."""

from __future__ import annotations

from .base import AGGREGATORS, Aggregator, Arrivals, Start, Weighting, make_weighting
from .compression import (
    COMPRESSIONS,
    FEWEST_BITS,
    MOST_BITS,
    Compression,
    EightBit,
    FourBit,
    Rounded,
    TopK,
    bits_of,
)
from .privacy import GaussianMechanism, epsilon
from .server_optimisers import DiLoCo, FedAvgM, FedOpt, is_server_optimiser
from .weightings import BySamples, FedAu, FedBuff, FedNova, Given, Refl, Stale, Unbiased, Uniform
from .with_memory import FedAwe, FedVarp, Mifa, Scaffold

__all__ = [
    "AGGREGATORS",
    "COMPRESSIONS",
    "FEWEST_BITS",
    "MOST_BITS",
    "Aggregator",
    "Arrivals",
    "BySamples",
    "Compression",
    "DiLoCo",
    "EightBit",
    "FedAu",
    "FedAvgM",
    "FedAwe",
    "FedBuff",
    "FedNova",
    "FedOpt",
    "FedVarp",
    "FourBit",
    "GaussianMechanism",
    "Given",
    "Mifa",
    "Refl",
    "Rounded",
    "Scaffold",
    "Stale",
    "Start",
    "TopK",
    "Unbiased",
    "Uniform",
    "Weighting",
    "bits_of",
    "epsilon",
    "is_server_optimiser",
    "make_weighting",
]
