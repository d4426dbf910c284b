"""Calibration: numbers measured from public traces, with their sources, shipped as `calibration.json`."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Literal, TypedDict

LawKind = Literal["exponential", "weibull", "lognormal"]


class PhoneProcess(TypedDict):
    """Rates per hour `[24]` of the semi-Markov process that reproduces the phones' statistics."""

    on_law: tuple[LawKind, float]
    off_law: tuple[LawKind, float]
    up_per_h: list[float]
    down_per_h: list[float]
    share_on_by_clock_hour: list[float]


class PhoneRow(TypedDict):
    """What was measured of phones under one rule of availability."""

    mean: float
    beta: tuple[float, float]
    available_by_local_hour: list[float]
    sessions_per_day: float
    on_median_h: float
    on_mean_h: float
    off_mean_h: float
    process: PhoneProcess


class DesktopRow(TypedDict):
    """Weibull laws (shape, scale in hours) and means in hours of one system of the Failure Trace Archive."""

    on_weibull: tuple[float, float]
    off_weibull: tuple[float, float]
    on_mean: float
    off_mean: float


class SpotFacts(TypedDict):
    """What was measured of spot zones."""

    zone_beta: tuple[float, float]
    correlation_in_region: float
    correlation_across: float
    autocorrelation_hourly: dict[str, float]
    sessions_per_day: float


class ZoneRow(TypedDict):
    """What was measured of a grid zone's carbon intensity, g/kWh; hour factors by season."""

    tz: str
    standard_utc_offset_h: float
    kind: str
    mean_direct: float | None
    mean_life_cycle: float
    min: float
    max: float
    month_factor: list[float]
    hour_factor: dict[str, list[float]]
    weekend_over_weekday: float
    log_residual_sd: float
    phi_per_h: float


class Calibration(TypedDict):
    """The document."""

    phones: dict[str, PhoneRow]
    desktops_h: dict[str, DesktopRow]
    spot: SpotFacts
    carbon_zones: dict[str, ZoneRow]


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The calibration document; read only."""
    text = resources.files(__package__).joinpath("calibration.json").read_text(encoding="utf-8")
    document: Calibration = json.loads(text)
    return document
