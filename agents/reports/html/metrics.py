"""Columns of the page's table: headings, units and definitions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ...evaluation import LEAKS, REGRETS, EvaluationResult


@dataclass(frozen=True)
class Metric:
    """A column of the page's table.

    Attributes:
        key: of the column in `EvaluationResult.episodes`.
        label: heading.
        help: definition, shown on the heading and below the page.
        factor: from the stored unit to the shown one.
        decimals: shown.
        better: what sorts first.
    """

    key: str
    label: str
    help: str
    factor: float = 1.0
    decimals: int = 2
    better: Literal["high", "low"] = "low"


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
    Metric(
        "regret_points",
        "dynamic regret [points]",
        "right answers behind those of the optimum of every moment, as points of the reward",
    ),
    Metric(
        "own_regret",
        "own regret",
        "of a scheduler that learns online, in its own gains; blank for the others",
    ),
    Metric("regret_bound", "its bound", "what its theory says that its own regret cannot exceed"),
    Metric(
        "mia_auc",
        "membership [AUC]",
        "chance to tell a row that a client trained on from another row of its label by its messages: "
        "0.5 = nothing leaks",
    ),
    Metric(
        "mia_auc_sums",
        "of sums [AUC]",
        "the same by the models alone, which is all that secure aggregation leaves to see",
    ),
    Metric(
        "reconstruction",
        "local model",
        "distance of the local model reconstructed from a client's messages, the initial model's being 1",
        better="high",
    ),
    Metric(
        "aia_gain",
        "attribute [points]",
        "by how many points a client's binary attribute is guessed better than by the more frequent value",
        100.0,
        1,
    ),
    Metric(
        "mia_auc_charged",
        "charged [AUC]",
        "the largest chance so far to tell a row that a client trained on from a validation row, mean over "
        "the clients: what the term leakage is the price of; 0.5 = nothing leaks",
        decimals=3,
    ),
    Metric(
        "rounds_spent",
        "rounds spent",
        "rounds of training that were played to tune or to train the scheduler; blank if unknown",
        decimals=0,
    ),
    Metric("decision_ms", "decision [ms]", "measured time of one decision, per environment"),
)
"""Columns of the table; those that the evaluation does not have are left out."""

_SERVING = (
    Metric(
        "net_points",
        "net points",
        "100 x right answers over expected requests, minus the price of milliseconds, GB and kg CO2e",
        decimals=1,
        better="high",
    ),
    Metric("right_share", "right [%]", "right answers over requests", 100.0, 1, "high"),
    Metric("accuracy", "of answers [%]", "right answers over answers", 100.0, 1, "high"),
    Metric("latency_ms", "latency [ms]", "mean over the answers that somebody waits for", decimals=0),
    Metric("dropped_share", "dropped [%]", "share of the requests that nobody answered in time", 100.0, 1),
    Metric("asked_share", "asked [%]", "share of the requests whose answer the hub checked", 100.0, 1),
    Metric("gigabytes", "GB", "of models moved to slots", decimals=0),
    Metric("kilowatt_hours", "kWh", "of answers, loads, holding and network"),
    Metric("kilograms", "kg CO2e", "of that energy, at each zone's grid and hour"),
    Metric("loads", "loads", "models that were ordered and began to move", decimals=0),
    Metric("lost", "lost", "models and loads that went with their machine's session", decimals=0),
    Metric(
        "regret_points",
        "regret [points]",
        "what the best fixed placement that was found in hindsight spares more than the placements did",
        decimals=1,
    ),
    Metric("regret_limit", "at most", "the same against what no fixed placement exceeds", decimals=1),
)
"""Columns of worlds of serving that mean something else there, or are theirs alone."""


def shown_metrics(result: EvaluationResult) -> list[Metric]:
    """The columns of the table that an evaluation has."""
    own = _SERVING if result.serves else ()
    known = [*own, *(metric for metric in METRICS if metric.key not in {each.key for each in own})]
    if result.serves:  # a day is a day
        known = [metric for metric in known if metric.key != "hours"]
    there = [metric for metric in known if metric.key in result.episodes]
    if "points_leakage" in result.episodes:
        there = [_with_leakage(metric) if metric.key == "net_points" else metric for metric in there]
    some = (*result.leaks, *result.regrets)
    return [metric for metric in there if metric.key not in (*LEAKS, *REGRETS) or metric.key in some]


def _with_leakage(metric: Metric) -> Metric:
    return replace(metric, help=f"{metric.help}, and of what an eavesdropper could learn")
