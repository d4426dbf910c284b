"""The search of a world's optimiser: what it changes, that it repeats itself, and where it is stored."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import yaml

from frugalfl.agents.commands import tune as tune_command
from frugalfl.agents.evaluation import episode_seeds, make_worlds, play_batch
from frugalfl.agents.players import plain
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.tuning import (
    OptimiserSearch,
    best_stop,
    net_points,
    optimiser_of,
    run_logs,
    tune_optimiser,
    with_optimiser,
)
from frugalfl.envs.scenario import load_scenario, scenario_names

DIGITS = load_scenario("volunteers", training={"batch_size": 8}, workload={"step_s": (100.0, 600.0)})


@pytest.fixture(scope="module")
def search(small_world):
    return OptimiserSearch(small_world, trials=5, episodes=2)


@pytest.fixture(scope="module")
def unbroken(search, in_process, tmp_path_factory):
    return tune_optimiser(search, tmp_path_factory.mktemp("unbroken"), in_process())


class TestWithOptimiser:
    @pytest.mark.parametrize("world", scenario_names())
    def test_no_changes_are_the_world_itself_and_so_is_its_own_optimiser(self, world):
        scenario = load_scenario(world)
        assert with_optimiser(scenario, {}) == scenario
        assert with_optimiser(scenario, optimiser_of(scenario)) == scenario

    @pytest.mark.parametrize(("step_s", "scaled"), [((100.0, 600.0), (150.0, 900.0)), (20.0, 30.0)])
    def test_half_of_a_steps_seconds_grow_with_the_batch(self, step_s, scaled):
        world = load_scenario(DIGITS, workload={"step_s": step_s})
        changed = with_optimiser(world, {"batch_size": 16})
        assert changed.training.batch_size == 16
        assert changed.workload.step_s == scaled
        assert changed == load_scenario(world, training={"batch_size": 16}, workload={"step_s": scaled})
        assert with_optimiser(changed, {"batch_size": 8}).workload.step_s != scaled

    @pytest.mark.parametrize(
        ("settings", "aggregator"),
        [
            ({"server": "mean"}, "by-samples"),
            ({"server": "momentum", "momentum": 0.3}, {"kind": "fedavgm", "momentum": 0.3}),
            ({"server": "adam", "momentum": 0.8}, {"kind": "fedadam", "beta_1": 0.8}),
        ],
        ids=lambda value: value.get("server", "") if isinstance(value, dict) else "",
    )
    @pytest.mark.parametrize("world", ["volunteers", "quadratic"])
    def test_the_servers_optimiser_is_an_aggregator(self, world, settings, aggregator):
        home = load_scenario(world)
        changed = with_optimiser(home, settings)
        assert changed == load_scenario(home, aggregator=aggregator)
        assert {name: optimiser_of(changed)[name] for name in settings} == settings

    def test_a_decay_that_is_off_is_none(self):
        assert with_optimiser(DIGITS, {"learning_rate_decay": "off"}).training.learning_rate_decay == 1.0

    def test_rates_are_those_of_the_training(self):
        settings = {"learning_rate": 0.1, "learning_rate_decay": 0.9, "server_learning_rate": 2.0}
        assert with_optimiser(DIGITS, settings) == load_scenario(DIGITS, training=settings)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"lr": 0.1}, "optimiser: 'lr' is no setting of it, expected learning_rate"),
            ({"learning_rate": 20.0}, "learning_rate: 20"),
            ({"server": "sgd"}, "server: 'sgd'"),
        ],
    )
    def test_unknown_names_and_values_out_of_range_are_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            with_optimiser(DIGITS, settings)

    @pytest.mark.parametrize(
        "changes",
        [{"aggregator": "unbiased"}, {"aggregator": {"kind": "fedavgm", "weighting": "uniform"}}],
        ids=str,
    )
    def test_aggregators_that_are_more_than_an_optimiser_are_refused(self, changes):
        with pytest.raises(
            ValueError, match=r"aggregator: .* expected one of by-samples, diloco, fedadam, fedavgm"
        ):
            optimiser_of(load_scenario(DIGITS, **changes))

    def test_gradients_of_quadratics_have_no_batch(self):
        assert "batch_size" not in optimiser_of(load_scenario("quadratic"))
        assert "batch_size" in optimiser_of(DIGITS)


class TestLanguage:
    """AdamW on the workers, an outer rate and a momentum on the server."""

    @pytest.fixture
    def short(self):
        return load_scenario("language", name="short", max_rounds=3, budgets={"hours": 72})

    def test_the_range_of_the_rate_is_adamws(self, short):
        assert with_optimiser(short, {"learning_rate": 1e-3}).training.learning_rate == 1e-3
        with pytest.raises(ValueError, match=r"learning_rate: 0\.5"):
            with_optimiser(short, {"learning_rate": 0.5})
        with pytest.raises(ValueError, match=r"learning_rate: 0\.001"):
            with_optimiser(DIGITS, {"learning_rate": 1e-3})
        small = load_scenario(short, training={"learning_rate": 3e-4})
        assert with_optimiser(small, optimiser_of(small)) == small

    @pytest.mark.parametrize("server", ["mean", "momentum", "nesterov", "adam"])
    def test_every_server_optimiser_takes_rounded_updates(self, short, server):
        settings = {"server": server, "momentum": 0.7, "server_learning_rate": 0.7, "batch_size": 4}
        changed = with_optimiser(short, settings)
        assert changed.training.adamw == short.training.adamw
        points, rounds = net_points("random-m", changed, 1, seed=0)
        assert rounds >= 3 and math.isfinite(points[0])

    def test_a_search_ends_with_a_setting_of_each(self, short, in_process, tmp_path):
        document = plain(short.model_dump(exclude_unset=True))
        world = tmp_path / "short.yaml"
        world.write_text(yaml.safe_dump(document), encoding="utf-8")
        search = OptimiserSearch(str(world), ("random-m",), trials=3, episodes=1)
        found = tune_optimiser(search, tmp_path / "log", in_process())
        assert found.trials[0].settings == {} and found.score >= found.default_score
        tried = [trial.settings for trial in found.trials[1:]]
        assert {"learning_rate", "server_learning_rate"} <= set().union(*tried) <= optimiser_of(short).keys()
        assert all(1e-4 <= settings["learning_rate"] <= 0.2 for settings in tried)


class TestSearch:
    def test_begins_with_the_worlds_own_and_never_ends_below_it(self, unbroken):
        assert len(unbroken.trials) == 5
        assert unbroken.trials[0].settings == {}
        assert unbroken.score >= unbroken.default_score
        assert len({str(trial.settings) for trial in unbroken.trials}) > 3
        assert unbroken.rounds > 0

    @pytest.mark.parametrize("stop_after", [2, 4])
    def test_an_interrupted_search_ends_like_an_unbroken_one(
        self, search, unbroken, in_process, tmp_path, stop_after
    ):
        with pytest.raises(KeyboardInterrupt):
            tune_optimiser(search, tmp_path, in_process(stop_after=stop_after))
        assert tune_optimiser(search, tmp_path, in_process()) == unbroken
        idle = in_process()
        assert tune_optimiser(search, tmp_path, idle) == unbroken
        assert idle.played == 0
        with pytest.raises(ValueError, match="delete the file"):
            tune_optimiser(replace(search, schedulers=("random-m",)), tmp_path, in_process())

    @pytest.mark.parametrize(
        ("changes", "message"),
        [({"trials": 0}, "trials: 0"), ({"episodes": 0}, "episodes: 0"), ({"schedulers": ("x",)}, "'x'")],
    )
    def test_bad_settings_are_refused(self, search, in_process, tmp_path, changes, message):
        with pytest.raises(ValueError, match=message):
            tune_optimiser(replace(search, **changes), tmp_path, in_process())


class TestNetPoints:
    def test_the_best_stop_is_read_off_as_if_it_had_been_played(self):
        """Where a stop pays: long runs, hours that cost something."""
        scenario = load_scenario("quadratic", name="dear", max_rounds=25, preferences={"price_per_hour": 2.0})
        points, rounds = net_points("random-m", scenario, 6, seed=3)
        seeds, build = episode_seeds(3, 6), make_worlds(scenario, "val")
        frame, curves, _ = play_batch("x", make_scheduler("random-m"), build(6), seeds)
        assert rounds == frame["decisions"].sum()
        stop, _ = best_stop(run_logs(curves), scenario.max_rounds)
        assert stop
        stopped, _, _ = play_batch("x", make_scheduler("random-m", **stop), build(6), seeds)
        assert points == pytest.approx(stopped["val_net_points"].tolist(), abs=1e-9)
        assert stopped["decisions"].sum() < rounds

    def test_who_judges_for_himself_when_to_stop_keeps_it(self):
        scenario = load_scenario("quadratic", name="short", max_rounds=5)
        points, rounds = net_points("linear-rule", scenario, 2, seed=0)
        seeds = episode_seeds(0, 2)
        frame, _, _ = play_batch("x", make_scheduler("linear-rule"), make_worlds(scenario, "val")(2), seeds)
        assert points == frame["val_net_points"].tolist()
        assert rounds == frame["decisions"].sum()


class TestCommand:
    def test_the_best_training_is_stored_in_full(self, small_world, tmp_path, capsys):
        arguments = ["--world", small_world, "--training", "--schedulers", "random-m", "--trials", "3"]
        arguments += ["--episodes", "2", "--jobs", "1", "--log", str(tmp_path / "log")]
        arguments += ["--out", str(tmp_path / "tuned")]
        assert tune_command.main(arguments) == 0
        path = tmp_path / "tuned" / "small.json"
        text, said = path.read_text(), capsys.readouterr().err
        entry = json.loads(text)["training"]["optimiser"]
        assert entry["settings"].keys() == optimiser_of(load_scenario(small_world)).keys()
        assert with_optimiser(load_scenario(small_world), entry["settings"])
        assert entry["score"] >= entry["default_score"]
        assert (entry["trials"], entry["episodes"], entry["schedulers"]) == (3, 2, "random-m")
        assert entry["command"].startswith("frugalfl tune --world")
        assert f"{entry['default_score']:.2f} -> {entry['score']:.2f} net points" in said
        assert tune_command.main(arguments) == 0
        assert path.read_text() == text

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["--algorithm", "ppo"], "training: with algorithm 'ppo'"),
            (["--schedulers", "nobody"], "'nobody'"),
            (["--trials", "0"], "trials: 0"),
        ],
    )
    def test_bad_input_is_one_line(self, more, message, tmp_path, capsys):
        arguments = ["--world", "quadratic", "--training", "--out", str(tmp_path), "--log", str(tmp_path)]
        assert tune_command.main([*arguments, *more]) == 2
        assert message in capsys.readouterr().err
        assert not list(tmp_path.iterdir())
