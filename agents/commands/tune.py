"""`frugalfl tune`: settings of schedulers, searched on a world's validation split."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from ..tuning import Options, search_and_store
from .running import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: `FAILED` if searches crashed, 2 for bad input."""
    given = list(sys.argv[1:] if argv is None else argv)
    command, codes = shlex.join(["frugalfl", "tune", *given]), list[int]()

    def body(options: Options) -> None:
        codes.append(search_and_store(options, command, Console(stderr=True)))

    return run_command(Options, body, "frugalfl tune", given) or max(codes, default=0)
