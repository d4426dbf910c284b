"""Rehearsal on Flower's simulation engine: nodes as Ray actors of this process."""

from __future__ import annotations

import os

from ..nodes import make_client_app
from ..run import QUIET, make_server_app
from ..settings import LiveSettings


def simulate(settings: LiveSettings, nodes: int) -> None:
    """Run a federation to its end.

    Args:
        settings: what to do.
        nodes: how many.

    Raises:
        ValueError: Flower's engine is not installed.
    """
    os.environ.update(QUIET)
    try:
        import ray  # noqa: F401
        from flwr.simulation import run_simulation
    except ImportError:
        raise ValueError('simulate: needs Flower\'s engine; pip install "flwr[simulation]"') from None
    run_simulation(make_server_app(settings), make_client_app(settings), num_supernodes=nodes)
