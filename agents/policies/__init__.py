"""Networks and distributions for sets of clients."""

from __future__ import annotations

from .initial_logits import default_wait_logits, share_logits

__all__ = ["default_wait_logits", "share_logits"]
