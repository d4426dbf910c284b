"""The trade-off that schedulers reach when prices change: points of a front and the volume they dominate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from ...common.arrays import Floats
from ...common.splits import Split
from ...envs.contract import Scheduler
from ...envs.episode import PRICES
from ...envs.scenario import LEAKAGE, Scenario, load_scenario
from .episodes import evaluate
from .measures import hypervolume, non_dominated

OBJECTIVES = ("error", "hours", "gigabytes", "kilograms")
"""What is to be small: 1 - test accuracy, and the three costs."""

MakePlayer: TypeAlias = Callable[[Scenario], Scheduler]


def at_prices(scenario: Scenario | str | Mapping[str, object], factors: Mapping[str, float]) -> Scenario:
    """The world with some prices multiplied; a range counts as its geometric middle.

    Args:
        scenario: anything `load_scenario` takes.
        factors: by price, such as `{"price_per_kg": 4.0}`; the others stay.

    Raises:
        ValueError: an unknown price or a negative factor.
    """
    world = load_scenario(scenario)
    charged = [*PRICES, "price_per_auc"] if LEAKAGE in world.reward_terms else PRICES
    prices = {name: _middle(getattr(world.preferences, name)) for name in charged}
    for name, factor in factors.items():
        if name not in prices:
            raise ValueError(f"prices: {name!r}, expected one of {', '.join(prices)}")
        if not (np.isfinite(factor) and factor >= 0):
            raise ValueError(f"prices: {name} times {factor}, expected a factor of 0 or more")
        prices[name] *= factor
    return load_scenario(world, preferences=prices)


def trace_front(
    name: str,
    make_player: MakePlayer,
    scenario: Scenario | str | Mapping[str, object],
    settings: Sequence[Mapping[str, float]],
    episodes: int = 64,
    split: Split = "test",
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


def saved_at_equal_accuracy(points: pd.DataFrame, name: str, rivals: Sequence[str]) -> pd.DataFrame:
    """CO2e that one scheduler saves at every accuracy it reaches, against the best of others together.

    The rivals' points that none of them dominates in error and kilograms are joined by straight lines, as if
    runs at two prices were mixed.

    Args:
        points: what `trace_front` gave, of all of them.
        name: the scheduler in question.
        rivals: those it is held against.

    Returns:
        One row per point of `name` that none of its own dominates, least accurate first: accuracy, kilograms,
        rival_kilograms and saved_share; the last two are nan where no rival is as accurate.
    """
    both = ["error", "kilograms"]
    own, others = (points[points["scheduler"].isin(who)][both] for who in ([name], list(rivals)))
    own, others = (part[non_dominated(part)].sort_values("kilograms") for part in (own, others))
    accuracy, reached = 1.0 - own["error"].to_numpy(), 1.0 - others["error"].to_numpy()
    needed = np.interp(accuracy, reached, others["kilograms"].to_numpy(), right=np.nan)
    spent = own["kilograms"].to_numpy()
    columns = {"accuracy": accuracy, "kilograms": spent, "rival_kilograms": needed}
    return pd.DataFrame({**columns, "saved_share": 1.0 - spent / needed})


def _middle(price: float | tuple[float, float]) -> float:
    if not isinstance(price, tuple):
        return float(price)
    low, high = price
    return float(np.sqrt(low * high)) if low > 0 else (low + high) / 2.0
