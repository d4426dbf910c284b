"""Certified upper bound on the net points of any scheduler in an episode of quadratics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import BaseModel

from ...common.arrays import Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from ...envs.episode import EpisodeDraw
from ...envs.scenario import Scenario
from ...envs.world import FederatedWorld
from ...fl_core.quadratics import QuadraticProblem
from ...fl_core.theory import RoundPrices, attainable_points

_CONVEX = ("by-samples", "uniform")
"""Aggregators whose coefficients sum to 1."""
_COVERED: Mapping[str, tuple[str, ...]] = {
    "training": ("learning_rate", "learning_rate_decay", "batch_size", "server_learning_rate"),
    "quadratic": (
        "dimension",
        "convexity",
        "smoothness",
        "zone_spread",
        "client_spread",
        "start_distance",
        "rows_per_client",
        "size_sigma",
        "chance",
    ),
    "workload": ("model_bytes", "sample_bytes", "step_s", "overhead_s", "deadline_s"),
    "hub": ("share", "rows_per_client", "residency", "ephemeral"),
}
"""Fields of blocks that the proof allows to be anything; the others must have their defaults."""
_FREE = (
    "name",
    "clients",
    "zones",
    "availability",
    "carbon",
    "devices",
    "dataset",
    "partition",
    "model",
    "aggregator",
    "trainer",
    "preferences",
    "budgets",
    "levels",
    "forecasting",
    "max_rounds",
    "target_accuracy",
)
"""Fields of the scenario that the proof allows to be anything, or looks at in its own way."""


def upper_bounds(world: FederatedWorld, seeds: Ints) -> Floats:
    """Net points that no scheduler exceeds, episode by episode, however much it knows.

    The proof is in `fl_core.theory.attainable`. It takes the coefficients of a round to sum to at most 1,
    as the world's aggregator has it: a scheduler that hands over larger ones of its own is outside.

    Args:
        world: of quadratics; it is not played.
        seeds: int64 `[E]`, of the episodes.

    Returns:
        `[E]`.

    Raises:
        ValueError: the world is not one of quadratics, or has something that the proof does not cover.
    """
    scenario = world.scenario
    _refuse(scenario)
    return np.array([_upper_bound(world, world.source.draw(seed)) for seed in np.asarray(seeds).tolist()])


def _upper_bound(world: FederatedWorld, draw: EpisodeDraw) -> float:
    """The bound of one episode."""
    training, quadratic = world.source.training, world.source.quadratic
    if quadratic is None or not isinstance(draw.task, QuadraticProblem):
        raise ValueError("quadratic: None, expected a world of quadratics")
    return attainable_points(
        draw.task,
        round_prices(world, draw),
        training.learning_rate,
        quadratic.chance,
        training.server_learning_rate,
    )


def round_prices(world: FederatedWorld, draw: EpisodeDraw) -> RoundPrices:
    """The least that a round with each client's update costs: alone, without rows, at its zone's cleanest."""
    source, devices = world.source, draw.devices
    down_s = source.model_bytes / devices["down_bytes_per_s"]
    up_s = source.model_bytes / devices["up_bytes_per_s"]
    per_hour, per_gb, per_kg = draw.prices
    cleanest = draw.carbon.g_per_kwh.min(axis=1)[draw.zone]
    per_joule = per_kg * cleanest / JOULES_PER_KWH / GRAMS_PER_KG
    moved_bytes = 2.0 * source.model_bytes
    room_s = draw.operator["deadline_s"] - down_s - up_s
    return RoundPrices(
        fixed=per_hour * (draw.operator["overhead_s"] + down_s + up_s) / SECONDS_PER_HOUR
        + per_gb * moved_bytes / BYTES_PER_GB
        + per_joule * moved_bytes * devices["network_j_per_byte"],
        per_step=devices["step_s"] * (per_hour / SECONDS_PER_HOUR + per_joule * devices["compute_watts"]),
        most_steps=np.maximum(np.floor(room_s / devices["step_s"] + 1e-9), 0).astype(np.int64),
    )


def _refuse(scenario: Scenario) -> None:
    """ValueError for a world that the proof does not cover."""
    if scenario.quadratic is None:
        raise ValueError("quadratic: None, expected a world of quadratics; no bound is known of others")
    if scenario.aggregator not in _CONVEX:
        raise ValueError(
            f"aggregator: {scenario.aggregator!r}, expected one of {', '.join(_CONVEX)}; no bound is known"
        )
    for name in type(scenario).model_fields:
        value = getattr(scenario, name)
        if name in _COVERED and isinstance(value, BaseModel):
            _expect_defaults(name, value, _COVERED[name])
        elif name not in _FREE:
            _expect_default(name, value, type(scenario).model_fields[name].default)


def _expect_defaults(block: str, settings: BaseModel, covered: Iterable[str]) -> None:
    for name, field in type(settings).model_fields.items():
        if name not in covered:
            _expect_default(f"{block}: {name}", getattr(settings, name), field.default)


def _expect_default(name: str, value: object, default: object) -> None:
    if value != default:
        raise ValueError(f"{name}: {value!r}, expected {default!r}; no bound is known otherwise")
