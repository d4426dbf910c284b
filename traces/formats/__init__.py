"""Trace files in the formats of their providers."""

from __future__ import annotations

from .base import Format, Formats
from .examples import ARRIVAL_EXAMPLES, AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, HOSTILE
from .generator_file import is_generator_file, load_generator, save_generator
from .sources import check_source, make_source

__all__ = [
    "ARRIVAL_EXAMPLES",
    "AVAILABILITY_EXAMPLES",
    "CARBON_EXAMPLES",
    "HOSTILE",
    "Format",
    "Formats",
    "check_source",
    "is_generator_file",
    "load_generator",
    "make_source",
    "save_generator",
]
