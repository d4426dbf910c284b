"""Trace files in the formats of their providers."""

from __future__ import annotations

from .base import Format, Formats
from .examples import AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, HOSTILE
from .generator_file import is_generator_file, load_generator, save_generator

__all__ = [
    "AVAILABILITY_EXAMPLES",
    "CARBON_EXAMPLES",
    "HOSTILE",
    "Format",
    "Formats",
    "is_generator_file",
    "load_generator",
    "save_generator",
]
