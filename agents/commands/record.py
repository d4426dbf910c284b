"""`frugalfl record`: what a scheduler does, as a data set for offline learning."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from ...common.saying import say
from ..evaluation import git_version, progress_bar
from ..offline import RecordOptions, record
from .running import run_command

_EXAMPLES = """

examples:
  frugalfl record --scheduler mpc --out runs/offline/volunteers-mpc-v0
  frugalfl record --env frugalfl/SpotMarket-discrete-v0 --scheduler refl --episodes 1000 \\
      --out runs/offline/spotmarket-refl-v0"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl record`; returns the exit code."""

    def body(options: RecordOptions) -> int:
        console = Console(stderr=True)
        with progress_bar(console.is_terminal) as bar:
            task = bar.add_task("recording", total=options.episodes)
            summary = record(options, git_version(), lambda done: bar.update(task, completed=done))
        line = (
            f"Written: {options.out}: {summary.episodes} episodes, {summary.decisions} decisions, "
            f"{summary.net_points:.1f} net points"
        )
        say(console, line)
        return 0

    return run_command(RecordOptions, body, "frugalfl record", argv, _EXAMPLES)


if __name__ == "__main__":
    sys.exit(main())
