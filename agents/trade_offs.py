"""The trade-off that schedulers reach when prices change: points of a front and the volume they dominate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..envs.reward import PRICES
from ..envs.scenario import Scenario, load_scenario
from .evaluation import evaluate
from .pareto import Floats, hypervolume, non_dominated
from .scheduler import Scheduler

OBJECTIVES = ("error", "hours", "gigabytes", "kilograms")
"""What is to be small: 1 - test accuracy, and the three costs."""

MakePlayer = Callable[[Scenario], Scheduler]


def at_prices(scenario: Any, factors: Mapping[str, float]) -> Scenario:
    """The world with some prices multiplied; a range counts as its geometric middle.

    Args:
        scenario: anything `load_scenario` takes.
        factors: by price, such as `{"price_per_kg": 4.0}`; the others stay.

    Raises:
        ValueError: an unknown price or a negative factor.
    """
    world = load_scenario(scenario)
    prices = {name: _middle(getattr(world.preferences, name)) for name in PRICES}
    for name, factor in factors.items():
        if name not in prices:
            raise ValueError(f"prices: {name!r}, expected one of {', '.join(PRICES)}")
        if not (np.isfinite(factor) and factor >= 0):
            raise ValueError(f"prices: {name} times {factor}, expected a factor of 0 or more")
        prices[name] *= factor
    return load_scenario(world, preferences=prices)


def trace_front(
    name: str,
    make_player: MakePlayer,
    scenario: Any,
    settings: Sequence[Mapping[str, float]],
    episodes: int = 64,
    split: str = "test",
    seed: int = 0,
) -> pd.DataFrame:
    """Play one scheduler under several prices, on the same episodes.

    Args:
        name: what the table calls it.
        make_player: builds it for a world with fixed prices.
        scenario: the world.
        settings: factors of the prices, one mapping per point.
        episodes: per point.
        split: "train", "val" or "test".
        seed: of the episodes.

    Returns:
        One row per setting: scheduler, the prices, net_points and `OBJECTIVES`, means over the episodes.
    """
    rows = []
    for factors in settings:
        world = at_prices(scenario, factors)
        result = evaluate({name: make_player(world)}, world, episodes, split, seed, progress=False)
        means = {key: float(result.values(name, key).mean()) for key in ("net_points", *OBJECTIVES[1:])}
        error = 1.0 - float(result.values(name, "accuracy").mean())
        rows.append({"scheduler": name, **world.preferences.model_dump(), **means, "error": error})
    return pd.DataFrame(rows)


def front_figures(points: pd.DataFrame, objectives: Sequence[str] = OBJECTIVES) -> pd.DataFrame:
    """Hypervolume of every scheduler's points, as a share of the box they all lie in.

    The box goes from the best to a tenth beyond the worst value that anyone reached in each objective.

    Returns:
        One row per scheduler, best first: scheduler, points, non_dominated (among its own), hypervolume.
    """
    values = points[list(objectives)].to_numpy(dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.maximum(1.1 * (high - low), 1e-12)
    rows = []
    for name in dict.fromkeys(points["scheduler"]):
        own: Floats = scaled[(points["scheduler"] == name).to_numpy()]
        volume = hypervolume(own, np.ones(len(objectives)))
        rows.append((name, len(own), int(non_dominated(own).sum()), volume))
    table = pd.DataFrame(rows, columns=["scheduler", "points", "non_dominated", "hypervolume"])
    return table.sort_values("hypervolume", ascending=False, ignore_index=True)


def _middle(price: float | tuple[float, float]) -> float:
    if not isinstance(price, tuple):
        return float(price)
    low, high = price
    return float(np.sqrt(low * high)) if low > 0 else (low + high) / 2.0
