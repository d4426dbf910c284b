"""What the HTML page shows, computed once here and embedded as JSON; the page only draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....common.arrays import AnyArray
from ...evaluation import EvaluationResult, Timeline
from ...evaluation.measures import Interval, bootstrap, interquartile_mean
from ..plots import colours_of, held_curves, label_of

_GRID = 240
_SHADES = (
    "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#bcbd22", "#7f7f7f", "#e377c2",
    "#4e79a7", "#59a14f", "#b07aa1", "#9c755f", "#76b7b2", "#edc948", "#79706e", "#d4a6c8",
)  # fmt: skip
_OTHERS = "#b5b5b5"
"""The grey of the plots; on the page every scheduler can be picked out, so each gets a shade of its own."""


@dataclass(frozen=True)
class Metric:
    """A column of the page's table.

    Attributes:
        key: of the column in `EvaluationResult.episodes`.
        label: heading.
        help: definition, shown on the heading and below the page.
        factor: from the stored unit to the shown one.
        decimals: shown.
        better: "high" or "low": what sorts first.
    """

    key: str
    label: str
    help: str
    factor: float = 1.0
    decimals: int = 2
    better: str = "low"


METRICS = (
    Metric(
        "net_points",
        "net points",
        "accuracy points gained on the held-out test set minus the price of hours, GB and kg CO2e",
        decimals=1,
        better="high",
    ),
    Metric("accuracy", "accuracy [%]", "of the final model on the held-out test set", 100.0, 1, "high"),
    Metric(
        "worst_client_accuracy",
        "worst client [%]",
        "accuracy on the label mix of the client that is served worst",
        100.0,
        1,
        "high",
    ),
    Metric(
        "p10_client_accuracy",
        "10th pct. client [%]",
        "tenth percentile over the clients of the accuracy on each one's label mix",
        100.0,
        1,
        "high",
    ),
    Metric("hours", "hours", "from the start to the end of the run, waits included"),
    Metric("gigabytes", "GB", "moved in both directions, lost and cancelled work included"),
    Metric("kilowatt_hours", "kWh", "of compute and network"),
    Metric("kilograms", "kg CO2e", "of that energy, at each client's grid and hour"),
    Metric(
        "wasted_share",
        "wasted [%]",
        "share of the energy spent on updates that never reached the model",
        100.0,
        0,
    ),
    Metric("rounds", "rounds", "decisions in which somebody trained", decimals=0),
    Metric(
        "jain",
        "Jain index",
        "of the updates that arrived per client: 1 if all are equal, 1/N if one client gave them all",
        better="high",
    ),
    Metric(
        "participation_tv",
        "TV",
        "total variation between the clients' weight in the objective and their share of the updates",
    ),
    Metric("decision_ms", "decision [ms]", "measured time of one decision, per environment"),
)
"""Columns of the table; those that the evaluation does not have are left out."""


def page_data(result: EvaluationResult) -> dict[str, Any]:
    """Everything the page draws, JSON-able.

    Args:
        result: the evaluation.
    """
    names = result.ranking()
    metrics = [metric for metric in METRICS if metric.key in result.episodes]
    told = _told(result)
    return {
        "zones": list(result.zones) or _zone_names(result),
        "metrics": [
            {"key": m.key, "label": m.label, "help": m.help, "decimals": m.decimals, "better": m.better}
            for m in metrics
        ],
        "rival": result.best("handcrafted"),
        "schedulers": _schedulers(result, names, metrics),
        "curves": {along: _curves(result, names, along) for along in ("hours", "gigabytes", "kilograms")},
        "profiles": _profiles(result, names),
        "timelines": {name: _story(story) for name, story in result.timelines.items()},
        "told": told,
    }


def _schedulers(result: EvaluationResult, names: list[str], metrics: list[Metric]) -> list[dict[str, Any]]:
    colours, spare = colours_of(result), iter(_SHADES[3:] * (1 + len(names) // len(_SHADES)))
    comparison = {row["scheduler"]: row for row in result.comparison().to_dict("records")}
    rival = result.best("handcrafted")
    rows = []
    for name in names:
        prominent = colours[name] != _OTHERS
        row: dict[str, Any] = {
            "name": name,
            "label": label_of(result, name),
            "kind": result.kinds[name],
            "colour": "#777777" if result.kinds[name] == "ceiling" else colours[name],
            "prominent": prominent,
            "cells": {metric.key: _cell(result, name, metric) for metric in metrics},
            "terms": _terms(result, name),
        }
        if not prominent:
            row["colour"] = next(spare)
        if rival is not None and name != rival:
            row["differences"] = _rounded(result.values(name) - result.values(rival), 3)
            keys = {"difference": "difference", "low": "difference_low", "high": "difference_high"}
            pair = comparison[name]
            row["comparison"] = {key: round(float(pair[column]), 4) for key, column in keys.items()}
            row["comparison"]["probability"] = round(float(pair["probability"]), 4)
        rows.append(row)
    return rows


def _cell(result: EvaluationResult, name: str, metric: Metric) -> dict[str, float | None]:
    values = result.values(name, metric.key) * metric.factor
    known = values[np.isfinite(values)]
    if not known.size:
        return {"value": None, "low": None, "high": None}
    interval: Interval = bootstrap(known, interquartile_mean)
    return {key: round(float(getattr(interval, key)), 5) for key in ("value", "low", "high")}


def _terms(result: EvaluationResult, name: str) -> dict[str, float]:
    gain = 100.0 * (result.values(name, "accuracy") - result.values(name, "accuracy_start")).mean()
    paid = {
        term: float(result.values(name, f"points_{term}").mean())
        for term in ("time", "communication", "emissions")
    }
    return {key: round(value, 4) for key, value in {"accuracy": float(gain), **paid}.items()}


def _curves(result: EvaluationResult, names: list[str], along: str) -> dict[str, Any]:
    ends = result.curves.groupby(["scheduler", "episode"])[along].max().groupby("scheduler").mean()
    grid = np.linspace(0.0, max(1.05 * float(ends.max()), 1e-9), _GRID)
    series = {}
    for name in names:
        held = 100.0 * held_curves(result.curves[result.curves["scheduler"] == name], along, grid)
        reach = 1.96 * held.std(axis=0, ddof=1) / np.sqrt(len(held)) if len(held) > 1 else 0.0 * grid
        series[name] = _band(held.mean(axis=0), reach) | {"end": round(float(ends[name]), 5)}
    return {"grid": _rounded(grid, 5), "series": series}


def _profiles(result: EvaluationResult, names: list[str]) -> dict[str, Any]:
    """Share of the episodes above each threshold (Agarwal et al. 2021, section 4), with binomial bands."""
    every = np.concatenate([result.values(name) for name in names])
    grid = np.linspace(float(every.min()), float(every.max()) + 1e-9, _GRID)
    series = {}
    for name in names:
        values = result.values(name)
        share = (values[:, None] > grid[None, :]).mean(axis=0)
        reach = 1.96 * np.sqrt(share * (1 - share) / values.size)
        band = {
            "low": _rounded(np.maximum(share - reach, 0), 4),
            "high": _rounded(np.minimum(share + reach, 1), 4),
        }
        series[name] = {"mean": _rounded(share, 4)} | band
    return {"grid": _rounded(grid, 4), "series": series}


def _band(middle: AnyArray, reach: AnyArray) -> dict[str, Any]:
    return {
        "mean": _rounded(middle, 2),
        "low": _rounded(middle - reach, 2),
        "high": _rounded(middle + reach, 2),
    }


def _story(story: Timeline) -> dict[str, Any]:
    """One episode; per decision the clients as a string of digits, hours of work as sparse pairs."""
    return {
        "episode": int(story.episode),
        "zone": story.zone.tolist(),
        "start_h": _rounded(story.start_h, 5),
        "duration_h": _rounded(story.duration_h, 5),
        "available": ["".join(row) for row in story.available.astype(int).astype(str)],
        "status": ["".join(row) for row in story.status.astype(int).astype(str)],
        "busy_h": _sparse(story.busy_h, 5),
        "carbon": [_rounded(row, 1) for row in story.carbon],
        "accuracy": _rounded(story.accuracy, 5),
    }


def _sparse(table: AnyArray, decimals: int) -> list[list[list[float]]]:
    kept = [[(int(k), row[k]) for k in np.flatnonzero(row)] for row in table]
    return [[[k, round(float(value), decimals)] for k, value in row] for row in kept]


def _told(result: EvaluationResult) -> list[str]:
    """The two episodes shown at first: the best learned and the best handcrafted that trained at all.

    Where there is no learned one: the two best.
    """
    stories = [name for name in result.ranking() if name in result.timelines]
    trained = [name for name in stories if result.timelines[name].status.any()]
    kinds = [[name for name in trained if result.kinds[name] == kind] for kind in ("learned", "handcrafted")]
    first = [names[0] for names in kinds if names]
    return [*first, *(name for name in trained or stories if name not in first)][:2]


def _zone_names(result: EvaluationResult) -> list[str]:
    count = max((int(story.zone.max()) + 1 for story in result.timelines.values()), default=0)
    return [f"zone {zone}" for zone in range(count)]


def _rounded(values: AnyArray, decimals: int) -> list[float]:
    return np.round(np.asarray(values, dtype=np.float64), decimals).tolist()
