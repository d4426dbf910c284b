"""The search repeats itself exactly, resumes, and its best settings become the defaults of a world."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from frugalfl.agents.commands import tune as tune_command
from frugalfl.agents.evaluation import episode_seeds, make_worlds, play_batch
from frugalfl.agents.evaluation.measures import interquartile_mean
from frugalfl.agents.learning import ALGORITHMS, RunSettings
from frugalfl.agents.players import make_player
from frugalfl.agents.schedulers import make_scheduler, stored
from frugalfl.agents.schedulers.base import Knob, knobs_of, settings_of
from frugalfl.agents.tuning import (
    RANGES,
    STOP_KNOBS,
    LearnerSearch,
    RunLog,
    SearchSpace,
    Trial,
    Tuned,
    best_stop,
    handcrafted,
    run_logs,
    trials_in,
    tune,
    tune_learner,
)
from frugalfl.agents.tuning import stored as tuning
from frugalfl.agents.tuning.stored import store
from frugalfl.envs.any_world import load_any
from frugalfl.envs.scenario import load_scenario

TOY = load_scenario("quadratic", name="toy", clients=12, max_rounds=6, levels={"local_steps": (0, 5, 25)})


@pytest.fixture
def search(toy_world):
    def build(num_envs):
        return toy_world(num_envs, rounds=6)

    def run(name="tuned-rule", trials=8, **changes):
        return tune(name, TOY, trials=trials, episodes=3, make_world=build, **changes)

    return run


class TestTune:
    def test_a_lock_that_outlived_its_process_holds_nobody_up(self, search, tmp_path, monkeypatch):
        """Optuna's own, a link to the journal, which dangles where the journal's path is relative."""
        monkeypatch.chdir(tmp_path)
        log = Path("runs/log.journal")
        log.parent.mkdir()
        Path("runs/log.journal.lock").symlink_to(log)
        assert len(search(trials=2, log=log).trials) == trials_in(log) == 2

    def test_begins_with_the_defaults_and_never_ends_below_them(self, search):
        found = search()
        assert len(found.trials) == 8
        assert not set(found.trials[0].settings) - {"most_steps", *STOP_KNOBS}
        assert found.best.score >= found.trials[0].score
        assert len({str(trial.settings) for trial in found.trials}) > 5

    def test_settings_fit_the_world_and_rebuild_the_scheduler(self, search):
        for trial in search(trials=12).trials:
            settings = json.loads(json.dumps(trial.settings, allow_nan=False))
            assert make_scheduler("tuned-rule", **settings).participants <= 12
            assert trial.settings["most_steps"] == 25
            assert trial.settings.get("local_steps", 10) <= 25

    @pytest.mark.parametrize("factors", [(1.0,), (0.5, 1.0, 2.0)])
    def test_the_servers_step_is_searched_where_it_is_a_decision(self, toy_world, factors):
        place = load_scenario(TOY, levels={"server_step": factors})
        trials = tune("tuned-rule", place, 12, episodes=2, make_world=lambda e: toy_world(e, rounds=4)).trials
        for name in ("server_step", "last_server_step"):
            tried = {trial.settings[name] for trial in trials if name in trial.settings}
            assert bool(tried) == (len(factors) > 1)
            assert all(0.5 <= value <= 2.0 for value in tried)

    def test_an_interrupted_search_ends_like_an_unbroken_one(self, search, tmp_path):
        unbroken, log = search(), tmp_path / "log.journal"

        def stop_at_the_fourth(trial):
            if trial.number == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            search(log=log, done=stop_at_the_fourth)
        played = []
        assert search(log=log, done=played.append) == unbroken
        assert len(played) == 4

    def test_a_line_cut_by_a_kill_is_played_again(self, search, tmp_path):
        log = tmp_path / "log.journal"
        whole = search(trials=4, log=log)
        log.write_text(log.read_text()[:-20])
        played = []
        assert search(trials=4, log=log, done=played.append) == whole
        assert len(played) == 1
        assert search(trials=4, log=log) == whole

    def test_a_log_of_another_search_is_refused(self, search, tmp_path):
        log = tmp_path / "log.journal"
        search(trials=1, log=log)
        with pytest.raises(ValueError, match=r"log.journal: trials of .* delete the file"):
            search(trials=1, log=log, seed=1)
        log.write_text("{broken\n" + log.read_text())
        with pytest.raises(ValueError, match=r"log.journal: not an Optuna journal"):
            search(trials=1, log=log)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"trials": 0}, "trials: 0"),
            ({"split": "test"}, "split: 'test'"),
            ({"name": "nobody"}, "'nobody'"),
        ],
    )
    def test_bad_arguments_are_refused(self, search, changes, message):
        with pytest.raises(ValueError, match=message):
            search(**changes)

    def test_starts_leave_out_values_that_mean_something_to_others_only(self, search):
        found = search(trials=2, starts=[{"participants": 3, "local_steps": 0, "quorum": "world"}])
        assert found.trials[0].settings["participants"] == 3
        assert not {"local_steps", "quorum"} & set(found.trials[0].settings)

    def test_starts_come_first_without_knobs_it_does_not_have(self, search):
        starts = [{"participants": 2, "beta": 0.01, "stop_gain": 1.0}, {"participants": 3}]
        found = search(trials=5, starts=starts)
        mine = [
            {k: v for k, v in t.settings.items() if k not in {"most_steps", *STOP_KNOBS}}
            for t in found.trials
        ]
        assert mine[:2] == [{"participants": 2}, {"participants": 3}]

    def test_who_is_left_out_is_not_handed_on_to_others(self):
        def tuned(name, **settings):
            return Tuned(name, [Trial(0, settings, float(settings["participants"]), 1)])

        found = {
            ("here", "mine"): tuned("mine", participants=2, max_round_s=900.0),
            ("here", "best"): tuned("best", participants=5, max_round_s=60.0, min_survival=0.9, quorum=0.5),
            ("there", "other"): tuned("other", participants=9),
        }
        mine, theirs = handcrafted._starts(("here", "mine"), found)
        assert mine == {"participants": 2, "max_round_s": 900.0}
        assert theirs == {"participants": 5, "quorum": 0.5, "max_round_s": 900.0}

    def test_scores_are_those_of_playing_the_settings(self, search, toy_world):
        """The stop is found without playing it; playing it comes to the same points."""
        for name in ("random-m", "drift-plus-penalty"):
            for trial in search(name, trials=6).trials:
                scheduler = make_scheduler(name, **trial.settings)
                frame, _, _ = play_batch(name, scheduler, toy_world(3, rounds=6), episode_seeds(0, 3))
                assert interquartile_mean(frame["val_net_points"]) == pytest.approx(trial.score, abs=1e-9)

    @pytest.mark.parametrize("levels", [("none", "available"), ("participants",)])
    def test_where_models_serve_scores_are_those_of_playing_and_whom_to_send_to_is_searched(self, levels):
        """What a stopped run earns cannot be read off one that goes on: its models serve to the end."""
        changes = {"clients": 6, "budgets": {"hours": 3}, "serving": {"refresh": levels}, "max_rounds": 20}
        place = load_scenario("streams", **changes)
        first = {"refresh": "available", "stop_after_rounds": 3}
        trials = tune("tuned-rule", place, trials=2, episodes=2, starts=[first]).trials
        expected = first if len(levels) > 1 else {"stop_after_rounds": 3}
        assert {name: trials[0].settings.get(name) for name in expected} == expected
        for trial in trials:
            scheduler = make_scheduler("tuned-rule", **trial.settings)
            world = make_worlds(place, "val")(2)
            frame, _, _ = play_batch("tuned-rule", scheduler, world, episode_seeds(0, 2))
            assert interquartile_mean(frame["val_net_points"]) == pytest.approx(trial.score, abs=1e-9)
            assert trial.settings.get("refresh", "own") in ("own", *levels)


class TestRounds:
    def test_every_trial_tells_its_decisions_and_a_resumed_search_still_knows(
        self, search, toy_world, tmp_path
    ):
        found = search(trials=3, log=tmp_path / "log.journal")
        for trial in found.trials:
            unstopped = {key: value for key, value in trial.settings.items() if key not in STOP_KNOBS}
            rule = make_scheduler("tuned-rule", **unstopped)
            frame, _, _ = play_batch("x", rule, toy_world(3, rounds=6), episode_seeds(0, 3))
            assert trial.rounds == frame["decisions"].sum()
        assert search(trials=3, log=tmp_path / "log.journal") == found
        assert found.rounds == sum(trial.rounds for trial in found.trials)

    @pytest.mark.parametrize("rounds", [1, 40, 100])
    def test_as_many_trials_as_fit_into_the_rounds(self, search, rounds):
        found = search(trials=1, rounds=rounds)
        dearest = max(trial.rounds for trial in found.trials)
        assert found.rounds <= rounds or len(found.trials) == 1
        assert found.rounds + dearest > rounds

    def test_a_budget_of_rounds_explores_and_then_searches(self, search):
        """With equally long trials it is the search with so many trials."""
        by_trials = search(trials=10)
        assert len({trial.rounds for trial in by_trials.trials}) == 1
        by_rounds = search(trials=1, rounds=by_trials.rounds)
        assert [trial.settings for trial in by_rounds.trials] == [
            trial.settings for trial in by_trials.trials
        ]


class TestStopping:
    @pytest.mark.parametrize(
        "knobs",
        [
            {"stop_after_rounds": 4},
            {"stop_after_rounds": 4, "stop_price_power": 0.5, "stop_price": 0.2},
            {"stop_after_rounds": 3, "stop_price_power": 1.0, "stop_price": 0.6},
            {"stop_after_rounds": 3, "stop_price_power": 2.0, "stop_price": 0.4},
            {"stop_after_rounds": 5, "stop_price_power": 0.5, "stop_gain": 1.0, "stop_window": 3},
            {"stop_gain": 1.0, "stop_window": 3},
            {"stop_gain": 3.0, "stop_window": 5},
        ],
    )
    def test_a_stop_can_be_read_off_an_unstopped_play(self, toy_world, knobs):
        def play(**more):
            rule = make_scheduler("random-m", wait_saving=0.05, participants=6, **more)
            return play_batch("x", rule, toy_world(8), episode_seeds(1, 8))

        _, unstopped, _ = play()
        read_off = [log.stopped(knobs) for log in run_logs(unstopped)]
        assert read_off == pytest.approx(play(**knobs)[0]["val_net_points"].tolist(), abs=1e-9)

    def test_the_best_stop_is_found(self):
        accuracy = np.array([10.0, 30, 50, 60, 60, 60, 60, 60])
        log = RunLog(accuracy, 2.0 * np.arange(8), end_points=30.0)
        knobs, score = best_stop([log] * 4, most_rounds=10)
        assert (knobs, score) == ({"stop_after_rounds": 3}, 44.0)

    def test_a_stop_that_sees_the_price_is_found_where_prices_differ(self):
        """Noisy gains at prices from a tenth of a point to three: what ends one run fits no other."""
        rounds, noise = np.arange(41), np.random.default_rng(3).normal(0.0, 3.0, (40, 41))
        prices = np.geomspace(0.1, 3.0, 40)
        curves = 10.0 + 70.0 * -np.expm1(-0.12 * rounds) + noise
        logs = [
            RunLog(accuracy, price * rounds, accuracy[-1] - accuracy[0] - 40 * price)
            for accuracy, price in zip(curves, prices, strict=True)
        ]
        knobs, score = best_stop(logs, most_rounds=40)
        assert knobs["stop_price_power"] > 0
        assert knobs["stop_price"] == pytest.approx(np.median(prices), rel=1e-3)
        assert score == pytest.approx(interquartile_mean([log.stopped(knobs) for log in logs]))
        constant = max(interquartile_mean([log.ended(number) for log in logs]) for number in range(1, 41))
        assert constant < score <= interquartile_mean([log.points.max() for log in logs])

    @given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=30), st.floats(0.0, 2.0), st.integers(1, 40))
    @settings(max_examples=60, deadline=None)
    def test_numbers_of_rounds_end_a_run_where_they_are_first_reached(self, costs, power, rounds):
        spent = np.append(0.0, np.cumsum(costs))
        log = RunLog(np.zeros(spent.size), spent, end_points=-7.0)
        counted = [
            count * (spent[count] / count / 0.5) ** power if count else 0.0 for count in range(spent.size)
        ]
        reached = [count for count, value in enumerate(counted) if value >= rounds]
        stop = int(log.round_stop(rounds, power, 0.5))
        assert stop == (reached[0] if reached else spent.size)
        assert log.ended(stop) == (log.points[stop] if reached else -7.0)

    def test_the_best_stop_is_one_a_rule_takes(self):
        for price in (0.0, 1e-9, 0.3, 1e6):
            log = RunLog(np.arange(8.0)[::-1].copy(), price * np.arange(8), end_points=-100.0)
            make_scheduler("random-m", **best_stop([log] * 4, most_rounds=10)[0])


class TestStored:
    def test_the_best_settings_become_the_defaults_of_the_world(self, tmp_path, monkeypatch):
        best = Trial(1, {"participants": 7, "max_round_s": "off", "avoid_losses": True}, 3.0)
        found = Tuned("random-m", [Trial(0, {}, 1.0), best])
        store("toy", Tuned("f3ast", [Trial(0, {}, 2.0)]), {}, tmp_path / "tuned")
        path = store("toy", found, {"command": "python -m ..."}, tmp_path / "tuned")
        document = json.loads(path.read_text())
        assert document["schedulers"]["random-m"]["default_score"] == 1.0
        assert list(document["schedulers"]) == ["f3ast", "random-m"]
        monkeypatch.setattr(stored.resources, "files", lambda package: tmp_path)
        scheduler = make_scheduler("random-m", world="toy", local_steps=33)
        assert (scheduler.participants, scheduler.avoid_losses, scheduler.local_steps) == (7, True, 33)
        assert make_scheduler("random-m", world="elsewhere").participants == 10

    def test_every_shipped_file_can_be_loaded(self):
        for path in tuning.TUNED_FOLDER.glob("*.json"):
            for name, entry in json.loads(path.read_text())["schedulers"].items():
                assert "command" in entry
                make_player(name, load_any(path.stem))


class TestCommand:
    def test_errors_are_one_line_and_exit_code_2(self, capsys, tmp_path):
        for arguments, message in (
            (["--trials", "0"], "trials: 0"),
            (["--schedulers", "never"], "'never' has no hyperparameters"),
            (["--world", "volunters"], "volunteers"),
        ):
            assert tune_command.main([*arguments, "--out", str(tmp_path)]) == 2
            assert message in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_help_explains_itself(self, capsys):
        assert tune_command.main(["--help"]) == 0
        assert "settings tried per scheduler" in capsys.readouterr().out

    @pytest.mark.slow
    def test_two_stages_end_in_a_file_and_are_not_played_twice(self, capsys, tmp_path):
        world = tmp_path / "small.yaml"
        world.write_text("base: volunteers\nname: small\nmax_rounds: 4\n")
        arguments = ["--world", str(world), "--schedulers", "random-m", "greenest-m", "--trials", "4"]
        arguments += [
            "--episodes",
            "2",
            "--held-out",
            "2",
            "--jobs",
            "1",
            "--log",
            str(tmp_path / "log"),
            "--out",
            str(tmp_path),
        ]
        assert tune_command.main(arguments) == 0
        text = (tmp_path / "small.json").read_text()
        assert set(json.loads(text)["schedulers"]) == {"random-m", "greenest-m"}
        logs = {path: path.stat().st_mtime_ns for path in (tmp_path / "log").rglob("*.journal")}
        assert len(logs) == 4
        assert tune_command.main(arguments) == 0
        assert (tmp_path / "small.json").read_text() == text
        assert {path: path.stat().st_mtime_ns for path in logs} == logs

    def test_schedulers_of_ones_own_are_tuned_if_they_have_knobs(self, capsys, monkeypatch, tmp_path):
        here = str(Path(__file__).parents[1])
        monkeypatch.syspath_prepend(here)
        arguments = ["--world", "quadratic", "--trials", "2", "--episodes", "2", "--held-out", "2"]
        folders = ["--log", str(tmp_path / "log"), "--out", str(tmp_path / "tuned")]
        assert tune_command.main([*arguments, *folders, "--schedulers", "own_schedulers:EveryOther"]) == 2
        assert "'own_schedulers:EveryOther' has no hyperparameters" in capsys.readouterr().err
        assert tune_command.main([*arguments, *folders, "--schedulers", "own_schedulers:Nearest"]) == 0
        document = json.loads((tmp_path / "tuned" / "quadratic.json").read_text())
        assert document["schedulers"]["own_schedulers:Nearest"]["trials"] == 2


class TestSpace:
    @pytest.fixture
    def space(self):
        scheduler = make_scheduler("tuned-rule")
        knobs = knobs_of(scheduler)
        knobs["participants"] = knobs["participants"].within(0, 24)
        return SearchSpace(knobs, settings_of(scheduler))

    @pytest.mark.parametrize("seed", range(5))
    def test_settings_come_back_from_their_parameters(self, space, seed):
        settings = space.draw(np.random.default_rng(seed))
        settings = {key: "off" if value == space.knobs[key].off else value for key, value in settings.items()}
        assert space.settings(space.parameters(settings)) == settings

    def test_every_suggestion_builds_the_scheduler(self, space):
        past = [space.frozen(space.settings(space.parameters({})), 1.0)]
        for seed in range(8):
            parameters = space.suggest(past, seed)
            assert parameters == space.suggest(past, seed)
            assert make_scheduler("tuned-rule", **space.settings(parameters)).participants <= 24
            past.append(space.frozen(space.settings(parameters), float(seed)))

    def test_settings_beyond_the_world_are_cut(self, space):
        assert space.settings(space.parameters({"participants": 90}))["participants"] == 24

    def test_the_sampler_learns(self):
        """On one knob whose best value is 0.3, later suggestions gather there."""
        knobs = {"x": Knob("", 0.0, 1.0)}
        space, past = SearchSpace(knobs, {"x": 0.9}), []
        for seed in range(40):
            value = space.settings(space.suggest(past, seed))["x"]
            past.append(space.frozen({"x": value}, -((value - 0.3) ** 2)))
        tried = [trial.params["x"] for trial in past]
        assert np.median(np.abs(np.array(tried[25:]) - 0.3)) < 0.2


class TestJournal:
    def test_optunas_own_tools_read_it(self, search, tmp_path):
        log = tmp_path / "log.journal"
        found = search(trials=3, log=log)
        storage = JournalStorage(JournalFileBackend(str(log)))
        study = optuna.load_study(study_name="frugalfl", storage=storage)
        assert [trial.value for trial in study.trials] == [trial.score for trial in found.trials]
        assert study.best_trial.user_attrs["settings"] == found.best.settings
        assert trials_in(log) == 3

    def test_the_first_stages_trials_are_known_to_the_second(self, search):
        first = search(trials=6)
        second = search(trials=4, starts=[first.best.settings], known=first.trials)
        blind = search(trials=4, starts=[first.best.settings])
        assert second.trials[0] == blind.trials[0]
        assert second.trials[1:] != blind.trials[1:]


class TestLearners:
    @pytest.mark.parametrize("part", RANGES)
    def test_ranges_are_of_the_algorithms_own_settings_and_hold_the_defaults(self, part):
        defaults = getattr(RunSettings(), part)
        for name, declared in RANGES[part].items():
            assert declared.check(f"{part}.{name}", getattr(defaults, name)) == getattr(defaults, name)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_algorithm_has_a_training_to_try(self, algorithm):
        search = LearnerSearch(algorithm, "volunteers", timesteps=2000)
        settings = search.settings({"gamma": 0.95})
        assert settings.algo == algorithm
        assert settings.learner.gamma == 0.95

    @pytest.mark.slow
    def test_an_interrupted_search_of_hyper_parameters_ends_like_an_unbroken_one(self, tmp_path, in_process):
        search = LearnerSearch("ppo", "quadratic", trials=5, timesteps=512, episodes=2)
        unbroken = tune_learner(search, tmp_path / "a", in_process())
        assert unbroken.trials[0].settings == {}
        with pytest.raises(KeyboardInterrupt):
            tune_learner(search, tmp_path / "b", in_process(stop_after=4))
        assert tune_learner(search, tmp_path / "b", in_process()) == unbroken
        with pytest.raises(ValueError, match="delete the file"):
            tune_learner(replace(search, timesteps=600), tmp_path / "b", in_process())

    def test_unknown_algorithms_are_refused(self, capsys):
        assert tune_command.main(["--world", "quadratic", "--algorithm", "pp0"]) == 2
        assert "algorithm: 'pp0', expected one of ppo" in capsys.readouterr().err
