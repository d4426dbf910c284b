"""`frugalfl report`: HTML, Markdown and PNG of an evaluation that was played before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from ...common.saying import say
from ..evaluation import load_result
from ..reports import print_report, write_report
from ..reports.html import write_html
from .running import run_command


@dataclass(frozen=True)
class Options:
    """Write report.html, report.md and its PNG plots into the folder of an evaluation, and show the table.

    report.html is one file that needs no network: table, plots, paired differences, and episodes to explore
    decision by decision.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """what `frugalfl evaluate --out` or `frugalfl train` wrote"""
    out: Path | None = None
    """where to write instead"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl report FOLDER`; returns the exit code."""
    return run_command(Options, _report, "frugalfl report", argv)


def _report(options: Options) -> None:
    result = load_result(options.folder)
    console = Console(width=None if sys.stdout.isatty() else 132)
    out = options.out or options.folder
    command = str(result.config.get("command", ""))
    print_report(result, console)
    pages = (
        write_report(result, out, command=command),
        write_html(result, out / "report.html", command=command),
    )
    for path in pages:
        say(console, f"wrote {path}")
