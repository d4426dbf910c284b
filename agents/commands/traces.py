"""`frugalfl traces`: describe trace files, fit generators to them, convert them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import tyro
from rich.console import Console

from ...traces.analysis import (
    AvailabilityFit,
    Content,
    SpotFit,
    availability_table,
    can_fit_spot,
    carbon_table,
    correlations_of,
    device_table,
    expand,
    fit_availability,
    fit_carbon,
    fit_spot,
    notes_of,
    read_any,
)
from ...traces.formats import save_generator
from ...traces.formats.availability import read_availability, write
from ...traces.formats.carbon import write_own
from ...traces.records import DEBOUNCE_S, joined_series


@dataclasses.dataclass(frozen=True)
class Describe:
    """Print what is in trace files: clients or zones, span, availability, sessions, hours, kind, repairs."""

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

    def run(self, out: Console, err: Console) -> int:
        """Do it; the exit code."""
        files = expand(self.files)
        if not files:
            raise ValueError("files: none, expected at least one file or a folder with files")
        contents: list[Content] = []
        for path in files:
            try:
                contents.append(read_any(path, self.format, self.kind))
            except ValueError as error:
                err.print(f"refused: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        if any(c.trace for c in contents):
            out.print(availability_table(contents, self.debounce_s))
        if any(c.series for c in contents):
            out.print(carbon_table(contents))
        if any(c.devices for c in contents):
            out.print(device_table(contents))
        for text in correlations_of(contents):
            out.print(text, markup=False, highlight=False, soft_wrap=True)
        for content in contents:
            for note in notes_of(content):
                text = f"{Path(content.path).name}: {note}"
                out.print(text, markup=False, highlight=False, soft_wrap=True)
        if self.plot is not None:
            _draw(contents, self.plot, self.debounce_s, out)
        return 0 if len(contents) == len(files) else 2


@dataclasses.dataclass(frozen=True)
class Fit:
    """Estimate a generator from a trace and write it as JSON for `availability=` or `carbon=`.

    Three or more spot zones watched together give a spot generator, other availability a renewal one.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    """An availability file, spot zones that were watched together, or carbon intensity files."""
    out: Path
    """The JSON file to write."""
    format: str | None = None
    """How to read the file; by its content if missing."""
    kind: str | None = None
    """Which carbon intensity to read, where the file has several."""
    tz: str | None = None
    """IANA name of the local time of a carbon zone that is not among the measured ones."""
    debounce_s: float = DEBOUNCE_S
    """Flapping to remove from an availability trace first."""
    seed: int = 0
    """Seed of the simulations that the fit is judged by."""

    def run(self, out: Console, err: Console) -> int:
        """Do it; the exit code."""
        paths = expand(self.files)
        if not paths:
            raise ValueError("files: none, expected at least one file")
        contents = [read_any(path, self.format, self.kind) for path in paths]
        source = ", ".join(path.name for path in paths)
        if all(content.trace is not None for content in contents):
            report = self._fit_availability(paths, contents, source)
        elif all(content.series for content in contents):
            series = joined_series([series for content in contents for series in content.series])
            fits = [fit_carbon(one, self.tz, self.seed) for one in series]
            profiles = [profile for fit in fits for profile in fit.spec["profiles"]]
            report = {fit.profile.zone: fit.as_dict() for fit in fits}
            save_generator(self.out, "carbon", {"profiles": profiles}, report, source)
        else:
            raise ValueError(f"{source}: expected only availability or only carbon intensity to fit")
        for name, values in report.items():
            out.print(f"{name}: {values}", soft_wrap=True, highlight=False, markup=False)
        out.print(f"wrote {self.out}", soft_wrap=True, highlight=False, markup=False)
        return 0

    def _fit_availability(
        self, paths: Sequence[Path], contents: Sequence[Content], source: str
    ) -> dict[str, Any]:
        """Fit, write, and the goodness of fit."""
        trace = contents[0].trace if len(paths) == 1 else read_availability(paths, self.format)
        if trace is None:
            raise ValueError(f"{source}: expected availability to fit")
        fit: AvailabilityFit | SpotFit
        if can_fit_spot(trace):
            fit = fit_spot(trace, self.seed)
        else:
            fit = fit_availability(trace, self.debounce_s, self.seed)
        report = fit.as_dict()
        save_generator(self.out, "availability", fit.spec, report, source)
        return report


@dataclasses.dataclass(frozen=True)
class Convert:
    """Rewrite a trace as this project's own CSV, which is read back without loss."""

    file: tyro.conf.Positional[Path]
    """An availability or carbon intensity file."""
    out: Path
    """The CSV file to write."""
    format: str | None = None
    """How to read the file; by its content if missing."""
    kind: str | None = None
    """Which carbon intensity to read, where the file has several."""
    debounce_s: float = 0.0
    """Flapping to remove from an availability trace; none unless asked for."""

    def run(self, out: Console, err: Console) -> int:
        """Do it; the exit code."""
        content = read_any(self.file, self.format, self.kind)
        if content.trace is not None:
            write(content.trace.debounced(self.debounce_s), self.out)
        elif content.series:
            write_own(content.series, self.out)
        else:
            raise ValueError(f"{self.file}: devices, expected availability or carbon intensity to convert")
        out.print(f"wrote {self.out}", soft_wrap=True, highlight=False, markup=False)
        return 0


_Command = Union[  # noqa: UP007 (tyro reads the annotations of the members)
    Annotated[Describe, tyro.conf.subcommand("describe")],
    Annotated[Fit, tyro.conf.subcommand("fit")],
    Annotated[Convert, tyro.conf.subcommand("convert")],
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl traces <argv>`.

    Args:
        argv: the arguments after `frugalfl traces`; those of the process if missing.

    Returns:
        0, or 2 after one line on standard error for bad input.
    """
    # Wide enough for the tables where the output is not a terminal.
    plain = not sys.stdout.isatty()
    out, err = Console(width=240 if plain else None), Console(stderr=True)
    args = list(sys.argv[2:] if argv is None else argv)
    command: Any = tyro.cli(_Command, args=args, prog="frugalfl traces")
    try:
        code: int = command.run(out, err)
        return code
    except (ValueError, OSError) as error:
        text = " ".join(str(error).split())
        err.print(f"error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2


def _draw(contents: Sequence[Content], folder: Path, debounce_s: float, out: Console) -> None:
    from ...traces.analysis import plot_availability, plot_carbon

    folder.mkdir(parents=True, exist_ok=True)
    for content in contents:
        stem = Path(content.path).name.split(".")[0]
        if content.trace is not None:
            path = folder / f"{stem}.png"
            plot_availability(content.trace.debounced(debounce_s), path)
            out.print(f"drew {path}", soft_wrap=True, highlight=False, markup=False)
        for series in content.series:
            path = folder / f"{stem}_{series.zone.replace('/', '-')}.png"
            plot_carbon(series, path)
            out.print(f"drew {path}", soft_wrap=True, highlight=False, markup=False)
