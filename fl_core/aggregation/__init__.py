"""From updates to the server's step: weightings, robust rules, memory, optimisers, privacy, compression."""

from __future__ import annotations

from .attacks import ATTACKS, Attack
from .base import AGGREGATORS, Aggregator, Arrivals, Start, Weighting, make_weighting
from .compression import COMPRESSIONS, Compression, EightBit, TopK
from .preparations import Clip, NearestNeighbourMixing
from .privacy import GaussianMechanism, epsilon, epsilon_bound
from .robust import (
    CentredClipping,
    GeometricMedian,
    Krum,
    Median,
    MultiKrum,
    RobustRule,
    TrimmedMean,
    lengths_of,
)
from .server_optimisers import FedAvgM, FedOpt, is_server_optimiser
from .weightings import BySamples, FedAu, FedBuff, FedNova, Given, Refl, Stale, Unbiased, Uniform
from .with_memory import FedAwe, FedVarp, Mifa, Scaffold

__all__ = [
    "AGGREGATORS",
    "ATTACKS",
    "COMPRESSIONS",
    "Aggregator",
    "Arrivals",
    "Attack",
    "BySamples",
    "CentredClipping",
    "Clip",
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
    "GeometricMedian",
    "Given",
    "Krum",
    "Median",
    "Mifa",
    "MultiKrum",
    "NearestNeighbourMixing",
    "Refl",
    "RobustRule",
    "Scaffold",
    "Stale",
    "Start",
    "TopK",
    "TrimmedMean",
    "Unbiased",
    "Uniform",
    "Weighting",
    "epsilon",
    "epsilon_bound",
    "is_server_optimiser",
    "lengths_of",
    "make_weighting",
]
