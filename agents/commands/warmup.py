"""`frugalfl warmup`: compile every kernel, as for an image or a job's first minute."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .running import run_command

_DECISIONS = 2


@dataclass
class Options:
    """Compile what worlds and observations need, once per installation.

    What numba has compiled lies beside the package, or in NUMBA_CACHE_DIR; where neither can be written,
    every process compiles anew.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run_command(Options, lambda _: _warm_up(), "frugalfl warmup", argv)


def _warm_up() -> None:
    # Imported late: --help waits for nothing.
    from ...envs.agent_view import AgentView
    from ...envs.scenario import scenario_names

    for name in scenario_names():
        view = AgentView(name, 1)
        view.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
        action = np.zeros((1, len(view.codec.layout.nvec)), dtype=np.int64)
        action[:, view.codec.layout.server_heads :] = 1
        for _ in range(_DECISIONS):
            view.observe()
            view.act(action)
        sys.stdout.write(f"{name}: ready\n")
