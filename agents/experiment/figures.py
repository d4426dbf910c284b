"""Figures of schedulers on the test split, for cards and reports."""

from __future__ import annotations

from typing import TypedDict

from ..evaluation import EvaluationResult
from ..evaluation.measures import bootstrap


class Paired(TypedDict):
    """Mean paired difference of the learned scheduler to the handcrafted rival."""

    rival: str
    difference: float
    difference_low: float
    difference_high: float


class Figures(TypedDict):
    """What `test.json` says; `table` has the scheduler, its kind, and value, low and high of every metric."""

    command: str
    git: str | None
    episodes: int
    table: list[dict[str, str | list[float]]]
    paired: Paired | None


def figures_on_test(result: EvaluationResult, command: str, git: str | None) -> Figures:
    """Interquartile means with their intervals, best first, and the paired difference to the best rival.

    Args:
        result: of the evaluation.
        command: how to do it again.
        git: the commit that played it.
    """
    metrics = ("net_points", "accuracy", "hours", "gigabytes", "kilograms")
    table: list[dict[str, str | list[float]]] = []
    for name in result.ranking():
        row: dict[str, str | list[float]] = {"scheduler": name, "kind": result.kinds[name]}
        for metric in metrics:
            row[metric] = [round(part, 5) for part in bootstrap(result.values(name, metric))]
        table.append(row)
    return {
        "command": command,
        "git": git,
        "episodes": len(result.values(result.ranking()[0])),
        "table": table,
        "paired": _paired(result),
    }


def _paired(result: EvaluationResult) -> Paired | None:
    rows = {row["scheduler"]: row for row in result.comparison().to_dict("records")}
    row = rows.get(result.best("learned"))
    if row is None:
        return None
    return {
        "rival": str(row["rival"]),
        "difference": round(float(row["difference"]), 4),
        "difference_low": round(float(row["difference_low"]), 4),
        "difference_high": round(float(row["difference_high"]), 4),
    }
