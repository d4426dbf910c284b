"""Requests between two decisions: who holds which version, what is answered, and what is learned of it."""

from __future__ import annotations

from .asking import HUB_ANSWER_BYTES
from .known import KnownAnswers
from .serving import Now, Serving

__all__ = ["HUB_ANSWER_BYTES", "KnownAnswers", "Now", "Serving"]
