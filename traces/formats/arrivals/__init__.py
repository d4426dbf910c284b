"""Recorded requests: one file per provider."""

from __future__ import annotations

from .own_csv import write_arrivals
from .reading import ARRIVAL_FORMATS, read_arrivals, sniff_arrivals

__all__ = ["ARRIVAL_FORMATS", "read_arrivals", "sniff_arrivals", "write_arrivals"]
