"""A live world of serving: nodes answer real rows with the models that they were sent."""

from __future__ import annotations

from .book import RequestBook
from .desk import Record
from .live_serving import LiveServing
from .stopwatch import Stopwatch

__all__ = ["LiveServing", "Record", "RequestBook", "Stopwatch"]
