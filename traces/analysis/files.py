"""Whole files: generators fitted to them, copies in the project's own CSV, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...common.files import slug
from ..formats import save_generator
from ..formats.availability import read_availability, write
from ..formats.carbon import write_own
from ..records import DEBOUNCE_S, joined_series
from .carbon_fit import fit_carbon
from .content import Content, expand, read_any
from .plots import plot_availability, plot_carbon
from .renewal_fit import fit_availability
from .spot_fit import can_fit_spot, fit_spot


def fit_files(
    files: Sequence[str | Path],
    out: str | Path,
    *,
    format: str | None = None,
    kind: str | None = None,
    tz: str | None = None,
    debounce_s: float = DEBOUNCE_S,
    seed: int = 0,
) -> Mapping[str, object]:
    """Estimate a generator from trace files and write it as JSON for `availability=` or `carbon=`.

    Three or more spot zones watched together give a spot generator, other availability a renewal one.

    Args:
        files: an availability file, spot zones that were watched together, or carbon intensity files.
        out: the JSON file to write.
        format: how to read them; by their content if missing.
        kind: which carbon intensity to read, where files have several.
        tz: IANA name of the local time of a carbon zone that is not among the measured ones.
        debounce_s: flapping to remove from an availability trace first.
        seed: of the simulations that the fit is judged by.

    Returns:
        Goodness of fit.

    Raises:
        ValueError: if files cannot be read, are of several kinds, or too short.
    """
    paths = expand(files)
    contents = [read_any(path, format, kind) for path in paths]
    source = ", ".join(path.name for path in paths)
    if all(content.series for content in contents):
        series = joined_series([series for content in contents for series in content.series])
        fits = [fit_carbon(one, tz, seed) for one in series]
        report: dict[str, object] = {fit.profile.zone: fit.as_dict() for fit in fits}
        profiles = {"profiles": [fit.profile.model_dump() for fit in fits]}
        save_generator(out, "carbon", profiles, report, source)
        return report
    trace = contents[0].trace if len(paths) == 1 else None
    if trace is None:
        if any(content.trace is None for content in contents):
            raise ValueError(f"{source}: expected only availability or only carbon intensity to fit")
        trace = read_availability(paths, format)
    fit = fit_spot(trace, seed) if can_fit_spot(trace) else fit_availability(trace, debounce_s, seed)
    save_generator(out, "availability", fit.spec, fit.as_dict(), source)
    return fit.as_dict()


def convert_file(
    path: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    kind: str | None = None,
    debounce_s: float = 0.0,
) -> None:
    """Rewrite a trace as this project's own CSV, which is read back without loss.

    Args:
        path: an availability or carbon intensity file.
        out: the CSV file to write.
        format: how to read it; by its content if missing.
        kind: which carbon intensity to read, where the file has several.
        debounce_s: flapping to remove from an availability trace.

    Raises:
        ValueError: if it cannot be read, or holds devices.
    """
    content = read_any(path, format, kind)
    if content.trace is not None:
        write(content.trace.debounced(debounce_s), out)
    elif content.series:
        write_own(content.series, out)
    else:
        raise ValueError(f"{path}: devices, expected availability or carbon intensity to convert")


def plot_contents(contents: Sequence[Content], folder: Path, debounce_s: float = DEBOUNCE_S) -> list[Path]:
    """Draw one figure per availability file and carbon zone; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for content in contents:
        stem = Path(content.path).name.split(".")[0]
        if content.trace is not None:
            drawn.append(folder / f"{stem}.png")
            plot_availability(content.trace.debounced(debounce_s), drawn[-1])
        for series in content.series:
            drawn.append(folder / f"{stem}_{slug(series.zone)}.png")
            plot_carbon(series, drawn[-1])
    return drawn
