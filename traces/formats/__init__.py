"""Trace files in the formats of their providers."""

from __future__ import annotations

from .generator_file import is_generator_file, load_generator, save_generator

__all__ = ["is_generator_file", "load_generator", "save_generator"]
