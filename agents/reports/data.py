"""Data of the figures of an evaluation, as tables: PNG, HTML and CSV show the same numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...common.arrays import Floats
from ..evaluation import EvaluationResult
from ..evaluation.measures import bootstrap
from .palette import terms_of

CURVE_POINTS = 240
"""Points of every curve along its cost."""


def held_curves(curves: pd.DataFrame, along: str, grid: Floats) -> Floats:
    """Accuracy `[episodes, grid]` of one scheduler: each value holds until the next, the last for ever."""
    rows = []
    for _, episode in curves.groupby("episode", sort=True):
        place = np.searchsorted(episode[along].to_numpy(), grid, side="right") - 1
        rows.append(episode["accuracy"].to_numpy(dtype=np.float64)[np.maximum(place, 0)])
    return np.stack(rows)


def curve_data(result: EvaluationResult, along: str) -> pd.DataFrame:
    """Mean validation accuracy of the episodes against a cost.

    Args:
        result: the evaluation.
        along: hours, gigabytes or kilograms.

    Returns:
        The columns scheduler, `along` (the same places for all), accuracy, accuracy_low and accuracy_high
        (95% interval of the mean), end (what the scheduler's episodes cost on average: behind it its models
        only rest).
    """
    ends = result.curves.groupby(["scheduler", "episode"])[along].max().groupby("scheduler").mean()
    grid = np.linspace(0.0, max(1.05 * float(ends.max()), 1e-9), CURVE_POINTS)
    parts = []
    for name in result.ranking():
        held = held_curves(result.curves[result.curves["scheduler"] == name], along, grid)
        middle = held.mean(axis=0)
        reach = 1.96 * held.std(axis=0, ddof=1) / np.sqrt(len(held)) if len(held) > 1 else 0.0
        columns = {along: grid, "accuracy": middle, "accuracy_low": middle - reach}
        columns |= {"accuracy_high": middle + reach}
        parts.append(pd.DataFrame({"scheduler": name, **columns, "end": float(ends[name])}))
    return pd.concat(parts, ignore_index=True)


def net_points_data(result: EvaluationResult) -> pd.DataFrame:
    """What each scheduler earns and what it pays for, best first.

    Returns:
        The columns scheduler, net_points (interquartile mean) with _low and _high (95% interval), and the
        means of the reward's terms, in accuracy points: accuracy, time, communication, emissions, and leakage
        where it has a price.
    """
    rows = []
    for name in result.ranking():
        net = bootstrap(result.values(name))
        row: dict[str, str | float] = {"scheduler": name, "net_points": net.value}
        row |= {"net_points_low": net.low, "net_points_high": net.high}
        costs = {
            term: float(result.values(name, f"points_{term}").mean())
            for term in terms_of(result)
            if term != "accuracy"
        }
        row["accuracy"] = float(result.values(name).mean()) - sum(costs.values())
        rows.append({**row, **costs})
    return pd.DataFrame(rows)


def first_timelines(result: EvaluationResult) -> list[str]:
    """Whose episode is drawn: the best learned and the best handcrafted scheduler that trained at all.

    Where neither did: the best of those that are left.
    """
    ordered = ordered_timelines(result)
    first = {result.kinds[name]: name for name in reversed(ordered) if result.timelines[name].status.any()}
    return [first[kind] for kind in ("learned", "handcrafted") if kind in first] or ordered[:1]


def ordered_timelines(result: EvaluationResult) -> list[str]:
    """Whose episode was kept: the best learned and handcrafted ones first, then who trained, best first."""
    kept = [name for name in result.ranking() if name in result.timelines]
    trained = [name for name in kept if result.timelines[name].status.any()]
    kinds = [[name for name in trained if result.kinds[name] == kind] for kind in ("learned", "handcrafted")]
    first = [names[0] for names in kinds if names]
    return list(dict.fromkeys([*first, *trained, *kept]))


def zone_names(result: EvaluationResult) -> list[str]:
    """Names of the grid zones; numbers where they have none."""
    count = max((int(each.zone.max()) + 1 for each in result.timelines.values()), default=0)
    return list(result.zones) or [f"zone {zone}" for zone in range(count)]
