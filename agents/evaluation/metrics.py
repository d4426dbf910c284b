"""What an evaluation says beyond its means: budgets, targets, trade-offs and profiles, as tidy tables.

Every function takes an `EvaluationResult` and returns a table; docs/evaluation.md defines the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...common.arrays import Floats
from .measures import (
    bootstrap,
    contributions,
    hypervolume,
    interquartile_mean,
    median_interval,
    non_dominated,
    profile_band,
)
from .results import EvaluationResult, Row, write_table

COSTS = ("hours", "gigabytes", "kilograms")
"""What accuracy is bought with: columns of the curves."""
_BUDGET_SHARES = (0.25, 0.5, 1.0)
_TARGET_SHARES = (0.5, 0.75, 0.9)
_PROFILE_POINTS = 101


def accuracy_at(curve: pd.DataFrame, along: str, budget: float) -> float:
    """Validation accuracy of the last model of an episode that cost at most the budget.

    Args:
        curve: the episode's rows of `EvaluationResult.curves`.
        along: hours, gigabytes or kilograms.
        budget: in that unit, 0 or more; a model keeps its accuracy when no more is spent.
    """
    spent = curve[along].to_numpy()
    return float(curve["accuracy"].to_numpy()[np.searchsorted(spent, budget, side="right") - 1])


def cost_to(curve: pd.DataFrame, along: str, target: float) -> tuple[float, bool]:
    """What an episode spent until its validation accuracy reached the target.

    Returns:
        The cost then and True, or all it spent and False if it never did (a censored episode).
    """
    reached = np.flatnonzero(curve["accuracy"].to_numpy() >= target)
    spent = curve[along].to_numpy()
    return (float(spent[reached[0]]), True) if reached.size else (float(spent[-1]), False)


def default_budgets(result: EvaluationResult) -> dict[str, list[float]]:
    """A quarter, a half and all of what the handcrafted rival spends on average, by cost."""
    yardstick = result.rival() or result.ranking()[0]
    spent = {along: float(result.values(yardstick, along).mean()) for along in COSTS}
    return {
        along: [float(f"{share * each:.3g}") for share in _BUDGET_SHARES] for along, each in spent.items()
    }


def default_targets(result: EvaluationResult) -> list[float]:
    """Accuracies at a half, three quarters and nine tenths of the handcrafted rival's mean gain."""
    yardstick = result.rival() or result.ranking()[0]
    starts = [curve["accuracy"].iloc[0] for curve in _curves(result, yardstick)]
    start, end = float(np.mean(starts)), float(result.values(yardstick, "val_accuracy").mean())
    return [round(start + share * (end - start), 3) for share in _TARGET_SHARES]


def at_budget(result: EvaluationResult, budgets: dict[str, list[float]] | None = None) -> pd.DataFrame:
    """Accuracy within budgets: scheduler, cost, budget, accuracy (interquartile mean, _low, _high).

    Args:
        result: the evaluation.
        budgets: of hours, gigabytes and kilograms; None: `default_budgets`.

    Raises:
        ValueError: an unknown cost or a negative budget.
    """
    rows = []
    for along, limits in (default_budgets(result) if budgets is None else budgets).items():
        _check_cost(along)
        for budget in limits:
            if not budget >= 0:
                raise ValueError(f"budgets: {along}: {budget}, expected 0 or more")
            for name in result.ranking():
                values = [accuracy_at(curve, along, budget) for curve in _curves(result, name)]
                value, low, high = bootstrap(values)
                row: Row = {"scheduler": name, "cost": along, "budget": budget}
                rows.append(row | {"accuracy": value, "accuracy_low": low, "accuracy_high": high})
    return pd.DataFrame(rows)


def to_target(result: EvaluationResult, targets: Sequence[float] | None = None) -> pd.DataFrame:
    """Hours, GB and kg CO2e until an accuracy is reached.

    Columns: scheduler, cost, target, not_reached (share of the episodes), median (Kaplan-Meier, episodes that
    ended before count as censored) with _low and _high, and median_of_all (of all episodes, one that never
    reaches it counted as infinite: a scheduler that gives up early is not flattered).

    Args:
        result: the evaluation.
        targets: validation accuracies, 0 to 1; None: `default_targets`.

    Raises:
        ValueError: a target outside 0 to 1.
    """
    rows = []
    for target in default_targets(result) if targets is None else targets:
        if not 0 <= target <= 1:
            raise ValueError(f"targets: {target}, expected an accuracy from 0 to 1")
        for name in result.ranking():
            curves = _curves(result, name)
            for along in COSTS:
                reached = [cost_to(curve, along, target) for curve in curves]
                spent = np.array([cost for cost, _ in reached])
                happened = np.array([hit for _, hit in reached])
                median, low, high = median_interval(spent, happened)
                row: Row = {"scheduler": name, "cost": along, "target": target}
                row |= {"not_reached": float(1 - happened.mean())}
                row |= {"median": median, "median_low": low, "median_high": high}
                rows.append(row | {"median_of_all": _lower_median(np.where(happened, spent, np.inf))})
    return pd.DataFrame(rows)


def trade_offs(result: EvaluationResult, costs: Sequence[str] = COSTS) -> pd.DataFrame:
    """Who is on the Pareto front of test accuracy (more is better) and costs (less is better).

    Points are interquartile means; who sees the future takes no part. Columns: scheduler, accuracy, the
    costs, front (bool), hypervolume (what the scheduler covers alone) and contribution (what the others
    would lose without it), both as shares of the box from the untrained model's accuracy to 1 and from
    nothing spent to 1.1 times the most that any of them spends.

    Args:
        result: the evaluation.
        costs: some of hours, gigabytes and kilograms.
    """
    for along in costs:
        _check_cost(along)
    names = [name for name in result.ranking() if result.kinds[name] != "ceiling"]
    columns = ("accuracy", *costs)
    values = {
        name: [float(interquartile_mean(result.values(name, each))) for each in columns] for name in names
    }
    table = np.array(list(values.values())).reshape(len(names), len(columns))
    start = float(result.episodes["accuracy_start"].mean())
    most = np.maximum(table[:, 1:].max(axis=0, initial=0.0), 1e-12)
    points = np.column_stack([(1 - table[:, 0]) / (1 - start), table[:, 1:] / most])
    # A point on the edge of the box would cover nothing; the corner lies a tenth outside.
    corner = np.append(1.0, np.full(len(costs), 1.1))
    scale = float(np.prod(corner))
    covered = [hypervolume(point[None], corner) / scale for point in points]
    frame = pd.DataFrame(table, columns=list(columns))
    frame.insert(0, "scheduler", names)
    frame["front"] = non_dominated(points)
    frame["hypervolume"] = covered
    frame["contribution"] = contributions(points, corner) / scale
    return frame


def profiles(result: EvaluationResult, metric: str = "net_points") -> pd.DataFrame:
    """Performance profiles: scheduler, threshold, share (of episodes above it), _low, _high."""
    values = {name: result.values(name, metric) for name in result.ranking()}
    everything = np.concatenate(list(values.values()))
    thresholds = np.linspace(everything.min(), everything.max(), _PROFILE_POINTS)
    parts = []
    for name, scores in values.items():
        share, low, high = profile_band(scores, thresholds)
        columns = {"threshold": thresholds, "share": share, "share_low": low, "share_high": high}
        parts.append(pd.DataFrame({"scheduler": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def write_metrics(result: EvaluationResult, folder: Path) -> None:
    """Write summary, comparison, at_budget, to_target, trade_offs and profiles as CSV files."""
    tables = {
        "summary": result.summary(),
        "comparison": result.comparison(),
        "at_budget": at_budget(result),
        "to_target": to_target(result),
        "trade_offs": trade_offs(result),
        "profiles": profiles(result),
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.csv")


def _curves(result: EvaluationResult, name: str) -> list[pd.DataFrame]:
    rows = result.curves[result.curves["scheduler"] == name]
    return [curve for _, curve in rows.groupby("episode", sort=True)]


def _check_cost(along: str) -> None:
    if along not in COSTS:
        raise ValueError(f"cost: {along!r}, expected one of {', '.join(COSTS)}")


def _lower_median(values: Floats) -> float:
    return float(np.sort(values)[(values.size - 1) // 2])
