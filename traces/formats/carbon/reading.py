"""Reading carbon intensity files, by their content or by a named format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...records import CarbonSeries
from ..base import Format, Formats
from ..parsing import read_head
from . import (
    carbon_json,
    eia930,
    electricitymaps,
    energy_charts,
    entsoe_library,
    grid_operators,
    production,
    simple_carbon,
    uk_api,
    watttime,
)

CARBON_FORMATS: Formats[list[CarbonSeries]] = Formats(
    "carbon",
    Format("csv", simple_carbon.recognises_own, simple_carbon.read_own),
    Format("electricitymaps", electricitymaps.recognises, electricitymaps.read),
    Format("electricitymaps-json", carbon_json.recognises_em, carbon_json.read_em),
    Format("electricitymaps-dump", simple_carbon.recognises_dump, simple_carbon.read_dump),
    Format("uk-api", uk_api.recognises, uk_api.read),
    Format("watttime", watttime.recognises, watttime.read),
    Format("watttime-vessim", watttime.recognises_csv, watttime.read_vessim),
    Format("moer", simple_carbon.recognises_moer, simple_carbon.read_moer),
    Format("smard", production.recognises_smard, production.read_smard),
    Format("entsoe", production.recognises_entsoe, production.read_entsoe),
    Format("entsoe-library", entsoe_library.recognises, entsoe_library.read),
    Format("eia-930", eia930.recognises, eia930.read),
    Format("energy-charts", energy_charts.recognises, energy_charts.read),
    Format("neso", grid_operators.recognises_neso, grid_operators.read_neso),
    Format("eco2mix", grid_operators.recognises_eco2mix, grid_operators.read_eco2mix),
    Format("energinet", grid_operators.recognises_energinet, grid_operators.read_energinet),
    Format("lwa-production", production.recognises_lwa, production.read_lwa),
    Format("lwa", simple_carbon.recognises_lwa, simple_carbon.read_lwa),
    Format("carbon-aware-sdk", carbon_json.recognises_sdk, carbon_json.read_sdk),
    Format("citylearn", simple_carbon.recognises_citylearn, simple_carbon.read_citylearn),
)
"""Formats of recorded carbon intensity; one of your own joins with `CARBON_FORMATS.add(Format(...))`."""


def read_carbon(path: str | Path, format: str | None = None, kind: str | None = None) -> list[CarbonSeries]:
    """The series of a carbon intensity file, one per zone.

    Args:
        path: the file, gzip or not.
        format: one of `CARBON_FORMATS`; recognised by its content if missing.
        kind: which of the file's intensities to read, where it has several; otherwise a check.

    Raises:
        ValueError: with path and line number, if the file cannot be read by the rules of its format.
    """
    name = format or sniff_carbon(path)
    found = CARBON_FORMATS.find(name)
    try:
        series = found.read(path, kind)
    except (KeyError, StopIteration, IndexError) as error:
        # A file forced into a format whose columns it does not have.
        raise ValueError(f"{path}: not in format {name!r}, no column {error}") from None
    return [replace(one, source=f"{path} ({name})") for one in series]


def sniff_carbon(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    found = CARBON_FORMATS.of_file(path)
    if found is None:
        if simple_carbon.recognises_codecarbon(read_head(path)):
            raise ValueError(
                f"{path}: codecarbon's log of what runs of your own emitted, expected the intensity of a "
                "grid over time; take the file of your zone from a provider (docs/traces.md)"
            )
        known = ", ".join(CARBON_FORMATS)
        raise ValueError(
            f"{path}: not a carbon intensity file that is known; name its format, one of {known}, or write "
            f"it with the header {simple_carbon.OWN_CARBON}"
        )
    return found.name
