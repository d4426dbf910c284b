"""Conversion factors between the units of the code (s, bytes, J, g) and those of its tables."""

from __future__ import annotations

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86_400.0
HOURS_PER_DAY = 24.0
JOULES_PER_KWH = 3.6e6
BYTES_PER_GB = 1e9
GRAMS_PER_KG = 1e3
