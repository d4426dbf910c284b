"""Recorded carbon intensity: one file per provider."""

from __future__ import annotations

from .reading import CARBON_FORMATS, read_carbon, sniff_carbon
from .simple_carbon import OWN_CARBON, write_own

__all__ = ["CARBON_FORMATS", "OWN_CARBON", "read_carbon", "sniff_carbon", "write_own"]
