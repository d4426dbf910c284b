"""What messages give away: oracles of the measures, the eavesdropper in worlds, and the tables."""

from __future__ import annotations

import io

import numpy as np
import pytest
from own_worlds import begun, plain
from rich.console import Console

from frugalfl.agents.evaluation import LEAKS, Study, evaluate, load_result, save_result
from frugalfl.agents.evaluation.cells import Cell, play_cell
from frugalfl.agents.evaluation.eavesdropping import Eavesdropper, binary_attribute
from frugalfl.agents.evaluation.measures import attribute_gain, reconstructed_model
from frugalfl.agents.reports import net_points_data, print_report, write_report
from frugalfl.agents.reports.html import write_html
from frugalfl.envs.contract import RoundPlan
from frugalfl.fl_core.data import DATASETS, Dataset, DatasetSource, load_dataset
from frugalfl.fl_core.leakage import chance_interval

SEEDS = np.arange(6)
TRAINING = {"learning_rate": 1.0, "batch_size": 8}


class TestMeasures:
    """Against definitions and the theory."""

    @pytest.mark.parametrize("d", [1, 4, 10])
    def test_one_message_more_than_parameters_tells_a_quadratic_client(self, d):
        rng = np.random.default_rng(d)
        basis, ideal = rng.normal(size=(d, d)), rng.normal(size=d)
        hessian = basis @ basis.T + np.eye(d)
        models = rng.normal(size=(d + 1, d))
        updates = -0.01 * (models - ideal) @ hessian
        assert np.abs(reconstructed_model(models, updates) - ideal).max() < 1e-9
        if d > 1:
            assert np.linalg.norm(reconstructed_model(models[:-1], updates[:-1]) - ideal) > 1e-3

    def test_a_guess_is_measured_against_the_frequent_value(self):
        values = np.array([0.0, 1.0, 1.0, 1.0])
        assert attribute_gain(np.ones(4), values) == pytest.approx(0.25)
        assert attribute_gain(np.full(4, 0.5), values) == pytest.approx(-0.25)


def leaks(world, rounds=8, steps=20, listen_to=None):
    """Everybody trains in every round; the eavesdropper's columns, and the final test accuracy."""
    listener = listen_to or Eavesdropper(world, SEEDS)
    world.eavesdrop(listener)
    for _ in range(rounds):
        available = world.situation().clients.available
        nothing, ones = np.zeros(available.shape, dtype=np.int32), np.ones(world.num_envs)
        world.step(RoundPlan(np.where(available, steps, 0).astype(np.int32), nothing, ones, 0 * ones))
    world.eavesdrop(None)
    return listener.found()


def few_rows(**changes):
    """Digits dealt to so many clients that each has few rows, which a long training tells apart."""
    return plain("volunteers", **{"training": TRAINING, "hub": {"share": 0.0}, "partition": "iid", **changes})


class TestInWorlds:
    """Orders that theory demands."""

    def test_many_steps_on_few_rows_leak_and_sums_leak_less(self):
        found = leaks(begun(few_rows(), SEEDS))
        single, sums = found["mia_auc"].mean(), found["mia_auc_sums"].mean()
        assert single > 0.56 and abs(sums - 0.5) < abs(single - 0.5)
        assert np.isnan(found["aia_gain"]).all() and np.isfinite(found["reconstruction"]).all()

    def test_listening_changes_nothing(self):
        worlds = [begun(few_rows(), SEEDS) for _ in range(2)]
        leaks(worlds[0])
        leaks(worlds[1], listen_to=Deaf())
        np.testing.assert_array_equal(worlds[0].parameters(), worlds[1].parameters())

    def test_compression_lowers_it(self):
        plainly = leaks(begun(few_rows(), SEEDS))["mia_auc"].mean()
        sparse = leaks(begun(few_rows(compression={"kind": "top-k", "share": 0.01}), SEEDS))["mia_auc"].mean()
        assert sparse + 0.02 > 0.5 and sparse < plainly

    def test_infinite_noise_leaves_nothing_in_what_everybody_sees(self):
        def noisy(multiplier):
            mechanism = {
                "kind": "gaussian",
                "clip": 1.0,
                "noise_multiplier": multiplier,
                "expected_clients": 8,
            }
            return leaks(begun(few_rows(aggregator=mechanism), SEEDS))

        quiet, loud = noisy(0.0), noisy(1e4)
        rows = 4 * len(SEEDS) * 20
        assert abs(loud["mia_auc_sums"].mean() - 0.5) < 1.5 * chance_interval(rows, rows)
        # The noise is the server's: who hears the clients themselves is not troubled by it.
        assert loud["mia_auc"].mean() > 0.5 and np.isfinite(quiet["mia_auc"]).all()

    def test_who_never_answers_gives_nothing_away(self):
        found = leaks(begun(few_rows(), SEEDS), rounds=0)
        for name, nothing in (("mia_auc", 0.5), ("mia_auc_sums", 0.5), ("reconstruction", 1.0)):
            np.testing.assert_array_equal(found[name], nothing)

    def test_a_quadratic_client_is_recovered_from_enough_rounds(self):
        world = begun(plain("quadratic", quadratic={"dimension": 3}, hub={"share": 0.0}), SEEDS)
        listener = Eavesdropper(world, SEEDS)
        leaks(world, rounds=12, steps=5, listen_to=listener)
        heard = [victim for victim in listener.victims if len(victim.models) >= 4]
        assert len(heard) > 5 and max(victim.distance() for victim in heard) < 1e-6
        found = listener.found()
        assert np.isnan(found["mia_auc"]).all() and np.isnan(found["aia_gain"]).all()

    def test_victims_are_honest_and_the_same_for_everybody(self):
        scenario = few_rows(malicious={"share": 0.5})
        world = begun(scenario, SEEDS)
        pairs = [[(v.env, v.client) for v in Eavesdropper(world, SEEDS).victims] for _ in range(2)]
        assert pairs[0] == pairs[1] and len(pairs[0]) == 4 * len(SEEDS)
        assert not any(world.malicious[env, client] for env, client in pairs[0])

    def test_a_binary_attribute_is_found_and_guessed(self):
        assert binary_attribute(load_dataset("digits")) is None
        rng = np.random.default_rng(0)
        x = rng.normal(size=(400, 5)).astype(np.float32)
        x[:, 3] = rng.random(400) < 0.4
        y = rng.integers(0, 2, 400).astype(np.int32)
        data = Dataset("coins", x, y, x[:9], y[:9], rng.permutation(x), y, 2)
        assert binary_attribute(data) == 3

    def test_a_binary_attribute_is_guessed_from_long_training_on_few_rows(self):
        DATASETS.register("coins")(Coins)
        try:
            found = leaks(begun(few_rows(dataset="coins"), SEEDS), rounds=12, steps=40)["aia_gain"]
            silent = leaks(begun(few_rows(dataset="coins"), SEEDS), rounds=0)["aia_gain"]
        finally:
            DATASETS.remove("coins")
        assert found.mean() > 0.05
        np.testing.assert_array_equal(silent, 0.0)


class Coins(DatasetSource):
    """Rows whose label is a matter of their binary feature and of noise."""

    def load(self, rng_seed):
        rng = np.random.default_rng(rng_seed)
        x = rng.normal(size=(700, 6)).astype(np.float32)
        x[:, 2] = rng.random(700) < 0.5
        y = (2.0 * x[:, 2] - 1.0 + 0.5 * x[:, 0] + 0.3 * rng.normal(size=700) > 0).astype(np.int32)
        return Dataset("coins", x[:400], y[:400], x[400:500], y[400:500], x[500:], y[500:], 2)


class Deaf:
    """Listens and hears nothing."""

    def hear(self, messages):
        pass

    def found(self):
        return {}


class TestInEvaluations:
    """Tables, files and pages."""

    def test_columns_are_there_if_wanted_and_survive_a_file(self, tmp_path):
        scenario = few_rows(max_rounds=3)
        plainly = evaluate(["random-m"], scenario, 3, progress=False)
        heard = evaluate(["random-m"], scenario, 3, progress=False, leakage=True)
        assert not set(LEAKS) & set(plainly.episodes) and plainly.leaks == ()
        assert heard.leaks == ("mia_auc", "mia_auc_sums", "reconstruction")
        shared = [name for name in plainly.episodes if name != "decision_ms"]
        assert heard.episodes[shared].equals(plainly.episodes[shared])
        again = load_result(save_result(heard, tmp_path / "heard"))
        assert again.leaks == heard.leaks
        assert {"mia_auc", "reconstruction"} <= set(again.summary()["metric"])
        console = Console(file=io.StringIO(), width=200)
        print_report(again, console)
        assert "membership" in console.file.getvalue()
        write_html(again, tmp_path / "report.html")
        assert "membership [AUC]" in (tmp_path / "report.html").read_text(encoding="utf-8")

    def test_cells_do_not_change_it(self):
        study = Study(few_rows(max_rounds=3), episodes=4, batch=2, leakage=True)
        parts = [play_cell(study, Cell("random-m", "random-m", a, b)) for a, b in ((0, 2), (2, 4))]
        whole = evaluate(["random-m"], study.scenario, 4, progress=False, leakage=True).episodes
        found = np.concatenate([part.episodes["mia_auc"] for cell in parts for part in cell])
        np.testing.assert_array_equal(found, whole["mia_auc"])

    def test_nobody_can_listen_to_a_world_of_ones_own(self):
        from frugalfl.agents.evaluation import make_worlds

        class Other:
            def __init__(self, world):
                self._world = world

            def __getattr__(self, name):
                return getattr(self._world, name)

        make = make_worlds(few_rows(max_rounds=2), "test")
        with pytest.raises(ValueError, match="leakage: True, expected False in a Other"):
            evaluate(
                ["random-m"], "own", 1, progress=False, make_world=lambda n: Other(make(n)), leakage=True
            )


class TestCharged:
    """Evaluations of worlds in which leakage has a price."""

    WHO = ("all-available", "random-m")

    def test_tables_figures_and_pages_show_the_fifth_term(self, tmp_path):
        scenario = few_rows(max_rounds=4, preferences={"price_per_auc": 2.0})
        result = evaluate(list(self.WHO), scenario, 3, progress=False)
        rows = result.episodes
        np.testing.assert_allclose(rows["points_leakage"], -200.0 * (rows["mia_auc_charged"] - 0.5))
        assert (rows["points_leakage"] <= 0).all() and rows["points_leakage"].min() < -1.0
        costs = rows.filter(regex="^points_").sum(axis=1)
        np.testing.assert_allclose(
            rows["net_points"], 100.0 * (rows["accuracy"] - rows["accuracy_start"]) + costs
        )
        ends = result.curves.groupby(["scheduler", "episode"], sort=False)["spent"].last()
        np.testing.assert_allclose(ends.to_numpy(), -costs.to_numpy())
        assert result.leaks == ("mia_auc_charged",)
        again = load_result(save_result(result, tmp_path / "priced"))
        assert "mia_auc_charged" in set(again.summary()["metric"])
        write_report(again, tmp_path)
        page = (tmp_path / "report.md").read_text(encoding="utf-8")
        assert "charged [AUC]" in page and "also charged for what leaks" in page
        assert net_points_data(again).columns[-1] == "leakage"
        write_html(again, tmp_path / "report.html")
        html = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "charged [AUC]" in html and '"leakage":' in html

    def test_without_a_price_nothing_is_said_of_it(self):
        result = evaluate(["random-m"], few_rows(max_rounds=2), 2, progress=False)
        assert not {"points_leakage", "mia_auc_charged"} & set(result.episodes)
        assert "leakage" not in net_points_data(result)

    def test_what_is_charged_is_about_what_four_victims_tell(self):
        # Four drawn victims against test rows, the end of an episode; everybody against validation rows,
        # its maximum: two samples of one thing.
        scenario = few_rows(max_rounds=8, preferences={"price_per_auc": 2.0})
        rows = evaluate(["all-available"], scenario, 16, progress=False, leakage=True).episodes
        apart = rows["mia_auc_charged"] - rows["mia_auc"]
        assert abs(apart.mean()) < 3.0 * apart.sem() < 0.1 and apart.std() > 0
        silent = evaluate(["all-available"], scenario, 16, progress=False).episodes
        shared = [name for name in silent if name != "decision_ms"]
        assert rows[shared].equals(silent[shared])  # to listen as well changes nothing
