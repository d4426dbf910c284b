"""Fronts: prices change, schedulers are played under each, the volume they dominate is compared."""

import numpy as np
import pandas as pd
import pytest
from own_worlds import FOLDER, plain

from frugalfl.agents.commands.running import parse_options
from frugalfl.agents.commands.train import Arguments
from frugalfl.agents.evaluation import (
    OBJECTIVES,
    at_prices,
    front_figures,
    saved_at_equal_accuracy,
    trace_front,
)
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario

PRICES = {"price_per_hour": 0.5, "price_per_gb": 0.3, "price_per_kg": 8.0}


def test_only_the_named_price_changes():
    assert at_prices(plain("volunteers"), {"price_per_kg": 4.0}).preferences.model_dump() == {
        **PRICES,
        "price_per_kg": 32.0,
    }
    assert at_prices(plain("volunteers"), {}).preferences.model_dump() == PRICES
    ranged = plain("volunteers", preferences={"price_per_kg": [2.0, 8.0], "price_per_gb": [0.0, 1.0]})
    assert at_prices(ranged, {}).preferences.price_per_kg == pytest.approx(4.0)
    assert at_prices(ranged, {}).preferences.price_per_gb == 0.5


@pytest.mark.parametrize(
    "factors", [{"price_per_ton": 1.0}, {"price_per_kg": -1.0}, {"price_per_kg": np.nan}]
)
def test_odd_prices_are_refused(factors):
    with pytest.raises(ValueError, match="prices: "):
        at_prices("volunteers", factors)


def test_a_scheduler_blind_to_prices_gives_one_point_and_pays_what_it_costs():
    settings = [{"price_per_kg": factor} for factor in (0.5, 2.0)]
    points = trace_front("r", lambda _: make_scheduler("random-m"), "quadratic", settings, episodes=3)
    assert list(points["price_per_kg"]) == [0.5 * points["price_per_kg"][1] / 2, points["price_per_kg"][1]]
    for name in OBJECTIVES:
        assert points[name][0] == points[name][1]
    paid = points["kilograms"][0] * (points["price_per_kg"][1] - points["price_per_kg"][0])
    assert points["net_points"][0] - points["net_points"][1] == pytest.approx(paid)


def test_the_scheduler_that_dominates_has_the_larger_volume():
    rows = [("a", 0.1, 1.0), ("a", 0.2, 0.5), ("b", 0.2, 1.0), ("b", 0.3, 0.6)]
    points = pd.DataFrame(rows, columns=["scheduler", "error", "kilograms"])
    table = front_figures(points, ("error", "kilograms"))
    assert list(table["scheduler"]) == ["a", "b"]
    assert list(table["non_dominated"]) == [2, 2]
    # a: unit box scaled by 1.1: points (0, 1/1.1) and (0.5/1.1, 0).
    expected = (1 - 1 / 1.1) * 1 + (1 - 0.5 / 1.1) * (1 / 1.1)
    assert table["hypervolume"][0] == pytest.approx(expected)


def test_co2e_is_compared_at_the_accuracy_that_both_reach():
    rows = [("a", 0.2, 1.0), ("a", 0.1, 3.0), ("a", 0.05, 9.0), ("a", 0.3, 2.0)]  # the last is dominated
    rows += [("b", 0.3, 1.0), ("b", 0.1, 5.0), ("c", 0.2, 9.0)]  # c is dominated by b's line's ends
    points = pd.DataFrame(rows, columns=["scheduler", "error", "kilograms"])
    table = saved_at_equal_accuracy(points, "a", ["b", "c"])
    assert table["accuracy"].tolist() == pytest.approx([0.8, 0.9, 0.95])
    assert table["rival_kilograms"][:2].tolist() == pytest.approx([3.0, 5.0])
    assert table["saved_share"][:2].tolist() == pytest.approx([2 / 3, 0.4])
    assert table.iloc[2][["rival_kilograms", "saved_share"]].isna().all()


def test_a_spread_trains_on_ranges_around_the_prices():
    home = ["--scenario", str(FOLDER / "volunteers.yaml")]
    world = (
        parse_options(Arguments, "train", [*home, "--reward.spread", "4", "--reward.price-per-kg", "10"])
        .settings()
        .world
    )
    assert world["preferences"] == {
        "price_per_hour": [0.125, 2.0],
        "price_per_gb": [0.075, 1.2],
        "price_per_kg": [2.5, 40.0],
    }
    scenario = load_scenario(world.pop("scenario"), **world)
    assert scenario.preferences.price_per_kg == (2.5, 40.0)
    with pytest.raises(ValueError, match=r"reward\.spread: 1\.0, expected a factor above 1"):
        parse_options(Arguments, "train", ["--reward.spread", "1"]).settings()
