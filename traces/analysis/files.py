"""Whole files: generators fitted to them, copies in the project's own CSV, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...common.files import slug
from ..formats import save_generator
from ..formats.arrivals import read_arrivals, write_arrivals
from ..formats.availability import read_availability, write
from ..formats.carbon import write_own
from ..numerics import utc_offset_h
from ..records import DEBOUNCE_S, RequestTrace, joined_series
from .carbon_fit import fit_carbon
from .content import Content, expand, read_any
from .plots import plot_availability, plot_carbon
from .renewal_fit import fit_availability
from .requests_fit import fit_requests
from .requests_plot import plot_requests
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
    start_h: float | None = None,
) -> Mapping[str, object]:
    """Estimate a generator from trace files and write it as JSON for `availability=`, `carbon=`, `arrivals=`.

    Three or more spot zones watched together give a spot generator, other availability a renewal one, request
    traces a Poisson one.

    Args:
        files: an availability file, spot zones that were watched together, carbon intensity files, or request
            traces that share a clock.
        out: the JSON file to write.
        format: how to read them; by their content if missing.
        kind: which carbon intensity to read, where files have several.
        tz: IANA name of the local time of a carbon zone that is not among the measured ones, or of the people
            whose requests were recorded with dates.
        debounce_s: flapping to remove from an availability trace first.
        seed: of the simulations that the fit is judged by.
        start_h: the local hour at which a request trace without a clock begins.

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
    if any(content.requests for content in contents):
        asked = _started(read_arrivals(paths, format), start_h)
        offset_h = utc_offset_h(tz, asked.begin_s) if asked.clock == "utc" else 0.0
        requests = fit_requests(asked, offset_h, seed)
        save_generator(out, "arrivals", requests.spec, requests.as_dict(), source)
        return requests.as_dict()
    trace = contents[0].trace if len(paths) == 1 else None
    if trace is None:
        if any(content.trace is None for content in contents):
            raise ValueError(
                f"{source}: expected only availability, only carbon intensity or only requests to fit"
            )
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
    start_h: float | None = None,
) -> None:
    """Rewrite a trace as this project's own CSV, which is read back without loss.

    Args:
        path: an availability or carbon intensity file, or a request trace.
        out: the CSV file to write.
        format: how to read it; by its content if missing.
        kind: which carbon intensity to read, where the file has several.
        debounce_s: flapping to remove from an availability trace.
        start_h: the local hour at which a request trace without a clock begins.

    Raises:
        ValueError: if it cannot be read, or holds devices.
    """
    content = read_any(path, format, kind)
    if content.trace is not None:
        write(content.trace.debounced(debounce_s), out)
    elif content.series:
        write_own(content.series, out)
    elif content.requests is not None:
        write_arrivals(_started(content.requests, start_h), out)
    else:
        raise ValueError(
            f"{path}: devices or energy, expected availability, carbon intensity or requests to convert"
        )


def _started(trace: RequestTrace, start_h: float | None) -> RequestTrace:
    return trace if start_h is None else trace.starting_at(start_h)


def plot_contents(contents: Sequence[Content], folder: Path, debounce_s: float = DEBOUNCE_S) -> list[Path]:
    """Draw one figure per availability file, carbon zone and request trace; returns their paths."""
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
        if content.requests is not None:
            drawn.append(folder / f"{stem}.png")
            plot_requests(content.requests, drawn[-1])
    return drawn
