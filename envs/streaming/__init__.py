"""Requests between two decisions: who holds which version, what is answered, and what is learned of it."""

from __future__ import annotations

from .serving import Now, Serving

__all__ = ["Now", "Serving"]
