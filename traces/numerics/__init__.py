"""Autoregression, local time, grouping of equal forecasters, places in the splits."""

from __future__ import annotations

from .ar1 import autoregression
from .grouping import rows_by_forecaster
from .local_time import utc_offset_h
from .places import SPLIT_SHARES, place_of

__all__ = ["SPLIT_SHARES", "autoregression", "place_of", "rows_by_forecaster", "utc_offset_h"]
