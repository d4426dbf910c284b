"""A federation of processes on this machine."""

from __future__ import annotations

from .local_cluster import LocalCluster
from .local_security import make_security

__all__ = ["LocalCluster", "make_security"]
