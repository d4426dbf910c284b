"""`frugalfl benchmark`: schedulers on the same held-out episodes of several worlds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ...common.files import slug
from ...envs.scenario import scenario_names
from ...envs.serving import serving_names
from ..experiment import ComparisonOptions, compare
from ..players import ALL, any_scenario_of
from .running import run_command


@dataclass(frozen=True)
class BenchmarkOptions(ComparisonOptions):
    """Play schedulers on several worlds, one result folder for each; everything else is as in evaluate."""

    envs: tuple[str, ...] = ("volunteers", "phones", "spotmarket")
    """the worlds, or all for every packaged one"""
    out: Path = Path("runs/benchmark")
    """the folder of the result folders, <out>/<world>"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl benchmark`; returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    command = shlex.join(["frugalfl", "benchmark", *given])

    def body(options: BenchmarkOptions) -> int:
        everywhere = [*scenario_names(), *serving_names()]
        names = everywhere if options.envs == (ALL,) else options.envs
        worlds = {world.name: world for world in map(any_scenario_of, names)}
        places = [(world, options.out / slug(name)) for name, world in worlds.items()]
        return compare(options, places, command, Console(stderr=True))

    return run_command(BenchmarkOptions, body, "frugalfl benchmark", given)


if __name__ == "__main__":
    sys.exit(main())
