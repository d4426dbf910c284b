"""Transport of orders and answers."""

from __future__ import annotations

from .base import Clock, Reply, Transport
from .flower_grid import PatientGrid

__all__ = ["Clock", "PatientGrid", "Reply", "Transport"]
