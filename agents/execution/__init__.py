"""Where jobs run: processes of this machine, or Ray."""

from __future__ import annotations

from .base import Engine, Landed
from .make import ENGINES, make_engine

__all__ = ["ENGINES", "Engine", "Landed", "make_engine"]
