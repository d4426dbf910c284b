"""Flower's ServerApp of the coordinator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ....fl_core.remote import require_flower
from ...execution import hold_folder
from ..settings import RUN_CONFIG_KEY, DeploySettings, LiveSettings, ServeSettings, read_settings
from ..transport import PatientGrid, Transport
from .coordinator import Coordinator
from .serving_coordinator import ServingCoordinator

if TYPE_CHECKING:
    from flwr.app import Context
    from flwr.serverapp import Grid, ServerApp


def make_server_app(settings: LiveSettings | None = None) -> ServerApp:
    """The ServerApp that drives a federation with a scheduler.

    Args:
        settings: what to do; None: they travel with the run, under `deployment` in its configuration.

    Raises:
        ImportError: Flower is not installed.
    """
    require_flower()
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        """Run the federation to its end."""
        _show_log()
        said = settings or read_settings(str(context.run_config.get(RUN_CONFIG_KEY, "")))
        with hold_folder(said.folder):
            coordinator_of(said, PatientGrid(grid)).run()

    return app


def coordinator_of(settings: LiveSettings, transport: Transport) -> Coordinator | ServingCoordinator:
    """Who drives a run with such settings."""
    if isinstance(settings, ServeSettings):
        return ServingCoordinator(settings, transport)
    assert isinstance(settings, DeploySettings)
    return Coordinator(settings, transport)


def _show_log() -> None:
    """This package's messages beside Flower's own, which are all that `flwr run --stream` shows."""
    package = logging.getLogger("frugalfl.agents.deploy")
    package.setLevel(logging.INFO)
    for handler in logging.getLogger("flwr").handlers:
        if handler not in package.handlers:
            package.addHandler(handler)
