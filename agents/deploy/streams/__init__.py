"""A live federation whose nodes are asked things while it trains."""

from __future__ import annotations

from .books import StreamBooks
from .streaming_world import StreamingLiveWorld

__all__ = ["StreamBooks", "StreamingLiveWorld"]
