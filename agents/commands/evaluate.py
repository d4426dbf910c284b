"""`frugalfl evaluate`: schedulers on the same held-out episodes of a world."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ...common.files import slug
from ..experiment import ComparisonOptions, compare
from ..players import any_scenario_of
from .running import run_command


@dataclass(frozen=True)
class EvaluateOptions(ComparisonOptions):
    """Play schedulers on the same held-out episodes and write a result folder.

    The folder holds config.json, episodes.csv, curves.csv, timelines/, the tables of metrics and a report.
    Stopped with Ctrl-C or killed, the same command goes on with the cells that are missing. A scheduler whose
    cell crashes twice is left out of the result and named at the end (exit code 3).
    """

    env: str = "frugalfl/Volunteers-v0"
    """the world: an id, the name of a packaged scenario, or a YAML file"""
    out: Path | None = None
    """the result folder; by default runs/evaluation/<world>-<split>"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl evaluate`; returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    command = shlex.join(["frugalfl", "evaluate", *given])

    def body(options: EvaluateOptions) -> int:
        world = any_scenario_of(options.env)
        out = options.out or Path("runs") / "evaluation" / f"{slug(world.name)}-{options.split}"
        return compare(options, [(world, out)], command, Console(stderr=True))

    return run_command(EvaluateOptions, body, "frugalfl evaluate", given)


if __name__ == "__main__":
    sys.exit(main())
