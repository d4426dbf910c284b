"""Data of the HTML page: computed once, embedded as JSON; the page only draws them."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import NotRequired

from ....common.arrays import Floats
from ...evaluation import EvaluationResult, Timeline, profiles
from ...evaluation.measures import bootstrap
from ..data import curve_data, net_points_data, ordered_timelines, zone_names
from ..palette import STATUS_NAMES, ZONES, Style, styles_of, terms_of, words_of
from .metrics import Metric, shown_metrics


class MetricHead(TypedDict):
    """Heading of a column of the table."""

    key: str
    label: str
    help: str
    decimals: int
    better: str


class Cell(TypedDict):
    """Interquartile mean and 95% interval; nothing where no episode has a number."""

    value: float | None
    low: float | None
    high: float | None


class Comparison(TypedDict):
    """Mean paired difference to the handcrafted rival, and how often it is ahead."""

    difference: float
    low: float
    high: float
    share_won: float


class SchedulerRow(TypedDict):
    """One scheduler: how it is drawn, its row of the table, what it earns and pays."""

    name: str
    label: str
    kind: str
    colour: str
    prominent: bool
    cells: dict[str, Cell]
    terms: dict[str, float]
    differences: NotRequired[list[float]]
    comparison: NotRequired[Comparison]


class Series(TypedDict):
    """A line with its band."""

    mean: list[float]
    low: list[float]
    high: list[float]
    end: NotRequired[float]


class Lines(TypedDict):
    """Lines over one grid."""

    grid: list[float]
    series: dict[str, Series]


class TimelineData(TypedDict):
    """One episode; per decision the clients as a string of digits, hours of work as sparse pairs."""

    episode: int
    zone: list[int]
    start_h: list[float]
    duration_h: list[float]
    available: list[str]
    status: list[str]
    busy_h: list[list[tuple[int, float]]]
    carbon: list[list[float]]
    accuracy: list[float]


class Palette(TypedDict):
    """Colours of terms and zones, and the names of a client's statuses by their code."""

    terms: dict[str, str]
    zones: list[str]
    statuses: list[str]


class PageWords(TypedDict):
    """What the page calls the things of a class of worlds, see `Words`."""

    element: str
    accuracy: str
    statuses: list[str]
    nobody: str


class PageData(TypedDict):
    """Everything the page draws."""

    words: PageWords

    zones: list[str]
    palette: Palette
    metrics: list[MetricHead]
    rival: str | None
    schedulers: list[SchedulerRow]
    curves: dict[str, Lines]
    profiles: Lines
    timelines: dict[str, TimelineData]
    first_timelines: list[str]


def page_data(result: EvaluationResult) -> PageData:
    """Everything the page draws, JSON-able.

    Args:
        result: the evaluation.
    """
    styles, metrics = styles_of(result), shown_metrics(result)
    words = words_of(result)
    return {
        "words": {
            "element": words.element,
            "accuracy": words.accuracy,
            "statuses": list(words.short),
            "nobody": words.nobody,
        },
        "zones": zone_names(result),
        "palette": {
            "terms": terms_of(result),
            "zones": list(ZONES),
            "statuses": [STATUS_NAMES[code] for code in sorted(STATUS_NAMES)],
        },
        "metrics": [
            {"key": m.key, "label": m.label, "help": m.help, "decimals": m.decimals, "better": m.better}
            for m in metrics
        ],
        "rival": result.rival(),
        "schedulers": _schedulers(result, styles, metrics),
        "curves": {along: _curves(result, along) for along in ("hours", "gigabytes", "kilograms")},
        "profiles": _profiles(result),
        "timelines": {name: _timeline(timeline) for name, timeline in result.timelines.items()},
        "first_timelines": ordered_timelines(result)[:2],
    }


def _schedulers(
    result: EvaluationResult, styles: dict[str, Style], metrics: list[Metric]
) -> list[SchedulerRow]:
    comparison = {row["scheduler"]: row for row in result.comparison().to_dict("records")}
    earned = {row["scheduler"]: row for row in net_points_data(result).to_dict("records")}
    rival = result.rival()
    rows = []
    for name, style in styles.items():
        row: SchedulerRow = {
            "name": name,
            "label": style.label,
            "kind": style.kind,
            "colour": style.shade,
            "prominent": style.prominent,
            "cells": {metric.key: _cell(result, name, metric) for metric in metrics},
            "terms": {term: round(float(earned[name][term]), 4) for term in terms_of(result)},
        }
        if rival is not None and name != rival:
            row["differences"] = _rounded(result.values(name) - result.values(rival), 3)
            pair = comparison[name]
            row["comparison"] = {
                "difference": round(float(pair["difference"]), 4),
                "low": round(float(pair["difference_low"]), 4),
                "high": round(float(pair["difference_high"]), 4),
                "share_won": round(float(pair["share_won"]), 4),
            }
        rows.append(row)
    return rows


def _cell(result: EvaluationResult, name: str, metric: Metric) -> Cell:
    values = result.values(name, metric.key) * metric.factor
    known = values[np.isfinite(values)]
    if not known.size:
        return {"value": None, "low": None, "high": None}
    interval = bootstrap(known)
    return {"value": round(interval.value, 5), "low": round(interval.low, 5), "high": round(interval.high, 5)}


def _curves(result: EvaluationResult, along: str) -> Lines:
    """The curves of `curve_data`, in percent."""
    data = curve_data(result, along)
    series = {}
    for name, rows in data.groupby("scheduler", sort=False):
        series[str(name)] = _series(rows, "accuracy", 100.0, 2)
        series[str(name)]["end"] = round(float(rows["end"].iloc[0]), 5)
    return {"grid": _rounded(data[along].unique(), 5), "series": series}


def _profiles(result: EvaluationResult) -> Lines:
    """The performance profiles of `profiles.csv`."""
    data = profiles(result)
    series = {str(n): _series(rows, "share", 1.0, 4) for n, rows in data.groupby("scheduler", sort=False)}
    first = data[data["scheduler"] == data["scheduler"].iloc[0]]
    return {"grid": _rounded(first["threshold"], 4), "series": series}


def _series(rows: pd.DataFrame, column: str, factor: float, decimals: int) -> Series:
    return {
        "mean": _rounded(factor * rows[column], decimals),
        "low": _rounded(factor * rows[f"{column}_low"], decimals),
        "high": _rounded(factor * rows[f"{column}_high"], decimals),
    }


def _timeline(timeline: Timeline) -> TimelineData:
    return {
        "episode": int(timeline.episode),
        "zone": timeline.zone.tolist(),
        "start_h": _rounded(timeline.start_h, 5),
        "duration_h": _rounded(timeline.duration_h, 5),
        "available": ["".join(row) for row in timeline.available.astype(int).astype(str)],
        "status": ["".join(row) for row in timeline.status.astype(int).astype(str)],
        "busy_h": _sparse(timeline.busy_h, 5),
        "carbon": [_rounded(row, 1) for row in timeline.carbon],
        "accuracy": _rounded(timeline.accuracy, 5),
    }


def _sparse(table: Floats, decimals: int) -> list[list[tuple[int, float]]]:
    return [[(int(k), round(float(row[k]), decimals)) for k in np.flatnonzero(row)] for row in table]


def _rounded(values: ArrayLike, decimals: int) -> list[float]:
    return [float(value) for value in np.round(np.asarray(values, dtype=np.float64), decimals)]
