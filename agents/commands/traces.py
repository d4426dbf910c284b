"""`frugalfl traces`: describe trace files, fit generators to them, convert them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias, Union, cast

import tyro
from rich.console import Console

from ...common.saying import say
from ...traces.records import DEBOUNCE_S
from .running import BAD_INPUT, run_command


@dataclass(frozen=True)
class Describe:
    """Print what is in trace files: clients, zones or sources, span, hours, sessions, bursts, repairs."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files, or folders of files."""
    format: str | None = None
    """How to read them; by their content if missing."""
    kind: str | None = None
    """Which carbon intensity to read, where files have several: direct, life-cycle or marginal."""
    debounce_s: float = DEBOUNCE_S
    """Gaps shorter than this are closed, then sessions shorter than this are dropped."""
    plot: Path | None = None
    """Folder to draw one picture per file and zone into."""


@dataclass(frozen=True)
class Fit:
    """Estimate a generator from a trace and write it as JSON for `availability=`, `carbon=` or `arrivals=`.

    Three or more spot zones watched together give a spot generator, other availability a renewal one, request
    traces a Poisson one.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    """An availability file, spot zones that were watched together, carbon files, or request traces."""
    out: Path
    """The JSON file to write."""
    format: str | None = None
    """How to read the file; by its content if missing."""
    kind: str | None = None
    """Which carbon intensity to read, where the file has several."""
    tz: str | None = None
    """IANA name of the local time of an unmeasured carbon zone, or of people whose requests have dates."""
    debounce_s: float = DEBOUNCE_S
    """Flapping to remove from an availability trace first."""
    seed: int = 0
    """Seed of the simulations that the fit is judged by."""
    start_h: float | None = None
    """The local hour at which a request trace without a clock begins."""


@dataclass(frozen=True)
class Convert:
    """Rewrite a trace as this project's own CSV, which is read back without loss."""

    file: tyro.conf.Positional[Path]
    """An availability or carbon intensity file, or a request trace."""
    out: Path
    """The CSV file to write."""
    format: str | None = None
    """How to read the file; by its content if missing."""
    kind: str | None = None
    """Which carbon intensity to read, where the file has several."""
    debounce_s: float = 0.0
    """Flapping to remove from an availability trace; none unless asked for."""
    start_h: float | None = None
    """The local hour at which a request trace without a clock begins."""


Command: TypeAlias = Describe | Fit | Convert
_COMMAND = Union[  # noqa: UP007 (tyro reads the annotations of the members)
    Annotated[Describe, tyro.conf.subcommand("describe")],
    Annotated[Fit, tyro.conf.subcommand("fit")],
    Annotated[Convert, tyro.conf.subcommand("convert")],
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl traces <argv>`.

    Args:
        argv: the arguments after `frugalfl traces`; those of the process if missing.

    Returns:
        0, or 2 after one line on standard error for bad input, and for each file that was refused.
    """
    codes: list[int] = []

    def body(command: Command) -> None:
        try:
            codes.append(_run(command))
        except OSError as error:
            if error.filename is None:  # of no file, such as a reader of our output that went away
                raise
            raise ValueError(f"{error.filename}: {error.strerror}") from None

    arguments = sys.argv[2:] if argv is None else argv
    return run_command(cast("type[Command]", _COMMAND), body, "frugalfl traces", arguments) or max(
        codes, default=0
    )


def _run(command: Command) -> int:
    if isinstance(command, Describe):
        return _describe(command)
    from ...traces.analysis import convert_file, fit_files

    lines: list[str] = []
    if isinstance(command, Fit):
        report = fit_files(
            command.files,
            command.out,
            format=command.format,
            kind=command.kind,
            tz=command.tz,
            debounce_s=command.debounce_s,
            seed=command.seed,
            start_h=command.start_h,
        )
        lines = [f"{name}: {values}" for name, values in report.items()]
    else:
        convert_file(
            command.file,
            command.out,
            format=command.format,
            kind=command.kind,
            debounce_s=command.debounce_s,
            start_h=command.start_h,
        )
    _print([*lines, f"wrote {command.out}"], _console())
    return 0


def _describe(options: Describe) -> int:
    from ...traces.analysis import expand, plot_contents, print_contents, read_all

    contents, refused = read_all(expand(options.files), options.format, options.kind)
    _print([f"refused: {line}" for line in refused], Console(stderr=True, style="yellow"))
    out = _console()
    print_contents(contents, out, options.debounce_s)
    if options.plot is not None:
        drawn = plot_contents(contents, options.plot, options.debounce_s)
        _print([f"drew {path}" for path in drawn], out)
    return BAD_INPUT if refused else 0


def _console() -> Console:
    """Wide enough for the tables where the output is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 240)


def _print(lines: Sequence[str], console: Console) -> None:
    for line in lines:
        say(console, line)
