"""Where jobs run: processes of this machine, or Ray; and folders that one process at a time writes to."""

from __future__ import annotations

from .base import Engine, Landed
from .folder_lock import hold_folder, is_empty, lock
from .make import ENGINES, make_engine

__all__ = ["ENGINES", "Engine", "Landed", "hold_folder", "is_empty", "lock", "make_engine"]
