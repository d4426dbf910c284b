"""A live run: coordinator, checkpoints, dashboard."""

from __future__ import annotations

from .app_folder import CONNECTION, QUIET, AppFolder, write_app, write_connection
from .checkpoints import load_round, load_state
from .coordinator import Coordinator, named_scheduler
from .server import make_server_app
from .submission import follow_run, start_run

__all__ = [
    "CONNECTION",
    "QUIET",
    "AppFolder",
    "Coordinator",
    "follow_run",
    "load_round",
    "load_state",
    "make_server_app",
    "named_scheduler",
    "start_run",
    "write_app",
    "write_connection",
]
