"""Recorded availability: one file per provider."""

from __future__ import annotations

from .own_csv import write
from .reading import AVAILABILITY_FORMATS, read_availability, sniff_availability

__all__ = ["AVAILABILITY_FORMATS", "read_availability", "sniff_availability", "write"]
