"""`frugalfl theory`: predicted bias and variance of a scheduler's participation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from ..insight import Options, show
from .running import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 with one line on stderr for bad input."""
    return run_command(
        Options, lambda options: show(options, Console(soft_wrap=True)), "frugalfl theory", argv
    )
