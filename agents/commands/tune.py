"""`frugalfl tune`: settings of schedulers, searched on a world's validation split."""

from __future__ import annotations

import shlex
import sys

from rich.console import Console

from ..tuning import Options, main
from .running import run_command


def cli(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    command, codes = shlex.join(["frugalfl", "tune", *given]), list[int]()

    def body(options: Options) -> None:
        codes.append(main(options, command, Console(stderr=True)))

    return run_command(Options, body, "frugalfl tune", given) or max(codes, default=0)
