"""Rehearsals on one machine: real processes with real security, or Flower's simulation engine."""

from __future__ import annotations

from .local_cluster import LocalCluster
from .local_security import make_security
from .simulation import simulate

__all__ = ["LocalCluster", "make_security", "simulate"]
