"""Autoregression, local time, grouping of equal forecasters."""

from __future__ import annotations

from .ar1 import autoregression
from .grouping import rows_by_forecaster
from .local_time import utc_offset_h

__all__ = ["autoregression", "rows_by_forecaster", "utc_offset_h"]
