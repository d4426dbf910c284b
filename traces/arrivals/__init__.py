"""Requests that arrive: drawn or recorded, counted by the minute and source."""

from __future__ import annotations

from .batch import ArrivalBatch
from .episode import BIN_S, ArrivalEpisode, ArrivalModel
from .generator import ARRIVALS, PoissonArrivals
from .make import check_arrivals, make_arrivals
from .recorded import RecordedArrivals

__all__ = [
    "ARRIVALS",
    "BIN_S",
    "ArrivalBatch",
    "ArrivalEpisode",
    "ArrivalModel",
    "PoissonArrivals",
    "RecordedArrivals",
    "check_arrivals",
    "make_arrivals",
]
