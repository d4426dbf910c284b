"""A live run: coordinator, checkpoints, dashboard."""

from __future__ import annotations

from .app_folder import CONNECTION, QUIET, AppFolder, write_app, write_connection
from .checkpoints import load_round, load_state
from .coordinator import Coordinator, named_scheduler
from .server import make_server_app
from .serving_checkpoints import load_step
from .serving_coordinator import ServingCoordinator, named_policy
from .submission import follow_run, start_run

__all__ = [
    "CONNECTION",
    "QUIET",
    "AppFolder",
    "Coordinator",
    "ServingCoordinator",
    "follow_run",
    "load_round",
    "load_state",
    "load_step",
    "make_server_app",
    "named_policy",
    "named_scheduler",
    "start_run",
    "write_app",
    "write_connection",
]
