"""Figures of a scheduler on the test split, for cards and reports."""

from __future__ import annotations

from typing import Any

from ...common.provenance import git_version
from ..evaluation import EvaluationResult
from ..evaluation.measures import bootstrap


def figures_on_test(result: EvaluationResult, command: str) -> dict[str, Any]:
    """Interquartile means with their intervals, best first, and the paired difference to the best rival."""
    metrics = ("net_points", "accuracy", "hours", "gigabytes", "kilograms")
    table = [
        {"scheduler": name, "kind": result.kinds[name]}
        | {
            metric: [round(float(part), 5) for part in bootstrap(result.values(name, metric))]
            for metric in metrics
        }
        for name in result.ranking()
    ]
    rows = result.comparison().to_dict("records")
    learned = result.best("learned")
    paired = next((row for row in rows if row["scheduler"] == learned), None)
    return {
        "command": command,
        "git": git_version(),
        "episodes": len(result.values(result.ranking()[0])),
        "table": table,
        "paired": paired
        and {"rival": paired["rival"]}
        | {
            name: round(float(paired[name]), 4)
            for name in ("difference", "difference_low", "difference_high")
        },
    }
