"""From updates to the server's step: weightings, robust rules, memory, optimisers, privacy, compression."""

from __future__ import annotations

from .attacks import ATTACKS, Attack
from .base import AGGREGATORS, Aggregator, Arrivals, DType, Start, Weighting, make_weighting
from .compression import COMPRESSIONS, Compression, Parcel, TopK
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
from .rounding import FEWEST_BITS, MOST_BITS, EightBit, FourBit, Rounded, bits_of
from .server_optimisers import DiLoCo, FedAvgM, FedOpt, is_server_optimiser
from .weightings import BySamples, FedAu, FedBuff, FedNova, Given, Refl, Stale, Unbiased, Uniform
from .with_memory import FedAwe, FedVarp, Mifa, Scaffold

__all__ = [
    "AGGREGATORS",
    "ATTACKS",
    "COMPRESSIONS",
    "FEWEST_BITS",
    "MOST_BITS",
    "Aggregator",
    "Arrivals",
    "Attack",
    "BySamples",
    "CentredClipping",
    "Clip",
    "Compression",
    "DType",
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
    "GeometricMedian",
    "Given",
    "Krum",
    "Median",
    "Mifa",
    "MultiKrum",
    "NearestNeighbourMixing",
    "Parcel",
    "Refl",
    "RobustRule",
    "Rounded",
    "Scaffold",
    "Stale",
    "Start",
    "TopK",
    "TrimmedMean",
    "Unbiased",
    "Uniform",
    "Weighting",
    "bits_of",
    "epsilon",
    "epsilon_bound",
    "is_server_optimiser",
    "lengths_of",
    "make_weighting",
]
