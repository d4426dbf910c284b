"""Transport of orders and answers."""

from __future__ import annotations

from .base import Clock, Order, Reply, Transport
from .flower_grid import PatientGrid

__all__ = ["Clock", "Order", "PatientGrid", "Reply", "Transport"]
