"""Budgets, targets and trade-offs by hand on small curves; tables of a played world that hold together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from frugalfl.agents.evaluation import (
    EvaluationResult,
    accuracy_at,
    at_budget,
    cost_to,
    default_targets,
    evaluate,
    profiles,
    to_target,
    trade_offs,
    write_metrics,
)

CURVE = pd.DataFrame({"hours": [0.0, 1.0, 2.0, 4.0], "accuracy": [0.1, 0.5, 0.4, 0.8]})


@pytest.fixture
def played(toy_world):
    return evaluate(
        ["random-m", "fastest-m", "never"], "toy", episodes=6, progress=False, make_world=toy_world
    )


def by_hand(ends, accuracies):
    """Two schedulers of two episodes whose figures are chosen."""
    episodes, curves = [], []
    for name, hours, accuracy in zip("ab", ends, accuracies, strict=True):
        for episode in range(2):
            row = {"scheduler": name, "kind": "handcrafted", "episode": episode, "seed": episode}
            row |= {"net_points": accuracy[episode], "accuracy": accuracy[episode], "accuracy_start": 0.0}
            row |= {"val_accuracy": accuracy[episode], "hours": hours[episode], "gigabytes": 1.0}
            episodes.append(row | {"kilograms": 1.0})
            line = {"scheduler": name, "episode": episode, "gigabytes": 1.0, "kilograms": 1.0}
            curves.append(line | {"hours": 0.0, "accuracy": 0.0})
            curves.append(line | {"hours": hours[episode], "accuracy": accuracy[episode]})
    return EvaluationResult("hand", "test", pd.DataFrame(episodes), pd.DataFrame(curves))


class TestOneEpisode:
    @pytest.mark.parametrize(
        ("budget", "accuracy"), [(0.0, 0.1), (0.9, 0.1), (1.0, 0.5), (3.0, 0.4), (99.0, 0.8)]
    )
    def test_accuracy_is_that_of_the_last_model_paid_for(self, budget, accuracy):
        assert accuracy_at(CURVE, "hours", budget) == accuracy

    @pytest.mark.parametrize(
        ("target", "expected"),
        [(0.05, (0.0, True)), (0.5, (1.0, True)), (0.6, (4.0, True)), (0.9, (4.0, False))],
    )
    def test_cost_is_that_of_the_first_model_good_enough(self, target, expected):
        assert cost_to(CURVE, "hours", target) == expected


class TestTables:
    def test_medians_and_shares_by_hand(self):
        result = by_hand([[1.0, 3.0], [2.0, 4.0]], [[0.9, 0.9], [0.9, 0.2]])
        table = to_target(result, [0.5])
        rows = table[table["cost"] == "hours"].set_index("scheduler")
        assert rows.loc["a", ["median", "median_of_all", "not_reached"]].tolist() == [1.0, 1.0, 0.0]
        assert rows.loc["b", ["median", "median_of_all", "not_reached"]].tolist() == [2.0, 2.0, 0.5]

    def test_front_and_volumes_by_hand(self):
        result = by_hand([[1.0, 1.0], [2.0, 2.0]], [[0.5, 0.5], [0.75, 0.75]])
        table = trade_offs(result, ["hours"]).set_index("scheduler")
        assert table["front"].all()
        # In the box 1 x 1.1: a covers 0.5 x (1.1 - 0.5), b 0.75 x (1.1 - 1), together 0.5 x 0.6 + 0.25 x 0.1.
        assert table.loc["a", "hypervolume"] == pytest.approx(0.3 / 1.1)
        assert table.loc["b", "hypervolume"] == pytest.approx(0.075 / 1.1)
        assert table.loc["b", "contribution"] == pytest.approx(0.025 / 1.1)
        assert table.loc["a", "contribution"] == pytest.approx(0.25 / 1.1)
        dominated = by_hand([[1.0, 1.0], [2.0, 2.0]], [[0.5, 0.5], [0.25, 0.25]])
        assert trade_offs(dominated).set_index("scheduler")["front"].to_dict() == {"a": True, "b": False}

    def test_larger_budgets_never_cost_accuracy_on_rising_curves(self, played):
        table = at_budget(played)
        for _, rows in table.groupby(["scheduler", "cost"]):
            assert rows.sort_values("budget")["accuracy"].is_monotonic_increasing

    def test_a_scheduler_that_never_trains_never_arrives(self, played):
        table = to_target(played).set_index("scheduler").loc["never"]
        assert (table["not_reached"] == 1).all()
        assert np.isinf(table["median"]).all()
        assert (np.diff(default_targets(played)) > 0).all()

    def test_profiles_fall_from_all_to_nothing(self, played):
        for _, rows in profiles(played).groupby("scheduler"):
            assert rows["share"].is_monotonic_decreasing
            assert rows["share"].iloc[-1] == 0
            assert (rows["share_low"] <= rows["share"]).all()
            assert (rows["share"] <= rows["share_high"]).all()

    def test_all_tables_are_written(self, played, tmp_path):
        write_metrics(played, tmp_path)
        names = {"summary", "comparison", "at_budget", "to_target", "trade_offs", "profiles"}
        assert {path.stem for path in tmp_path.glob("*.csv")} == names

    def test_participation_is_compared_with_its_target(self, played):
        assert (played.values("never", "participation_tv") == 1).all()
        assert (played.values("random-m", "participation_tv") < 1).all()

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda r: at_budget(r, {"hours": [-1.0]}), "budgets: hours: -1.0"),
            (lambda r: at_budget(r, {"dollars": [1.0]}), "cost: 'dollars'"),
            (lambda r: to_target(r, [1.5]), "targets: 1.5"),
        ],
    )
    def test_bad_numbers_are_refused(self, played, call, message):
        with pytest.raises(ValueError, match=message):
            call(played)
