"""`frugalfl export`: a training run becomes a scheduler that can be shipped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .running import run_command


@dataclass(frozen=True)
class ExportOptions:
    """Write a run's best policy as safetensors with a model card.

    The folder can be given to frugalfl.load_scheduler and to evaluate --schedulers.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a finished run of train_agent.py"""
    name: str
    """what tables will call it"""
    into: Path = Path("zoo")
    """folder that will hold NAME/; agents/zoo ships it with the package"""
    evaluation: Path | None = None
    """result folder of frugalfl evaluate whose test figures the card tells; by default the run's own"""
    label: str | None = None
    """what the run is called there; by default the name of its folder"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl export`; returns the exit code."""
    return run_command(ExportOptions, _export, "frugalfl export", argv)


def _export(options: ExportOptions) -> None:
    # Imported late: --help should not wait for torch.
    from ..experiment.export import export_run

    folder = export_run(options.run, options.name, options.into, options.evaluation, options.label)
    sys.stdout.write(f"Written: {folder}\n")
