"""`frugalfl theory` records participation faithfully and sets predictions beside what training came to."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.commands.theory import main
from frugalfl.agents.evaluation import episode_seeds
from frugalfl.agents.insight import Options, play, predictions, scenario_of
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.registration import find_entry
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.theory import affine_rounds


def recorded(aggregator="by-samples", scheduler="random-m", episodes=3, rounds=12, **settings):
    scenario = scenario_of(Options(aggregator=aggregator, rounds=rounds, learning_rate=0.005))
    world = FederatedWorld(scenario, episodes, "test")
    return world, play(world, make_scheduler(scheduler, **settings), episode_seeds(0, episodes))


@pytest.mark.parametrize(
    ("aggregator", "scheduler"),
    [
        ("by-samples", "random-m"),
        ("uniform", "random-m"),
        ("unbiased", "random-m"),
        ("fednova", "random-m"),
        ("fedau", "random-m"),
        ("by-samples", "f3ast"),  # its plans bring their own coefficients
    ],
)
def test_the_record_replays_the_training_exactly(aggregator, scheduler):
    world, episodes = recorded(aggregator, scheduler)
    rate = world.source.training.learning_rate
    for each in episodes:
        w = each.problem.start
        for omega, steps, model in zip(each.history.omega, each.history.steps, each.models, strict=True):
            one = affine_rounds(each.problem, omega[None], rate, steps.tolist())
            w = w - one.gain[0] @ w + one.shift[0]
            assert np.allclose(w, model, rtol=1e-9, atol=1e-9)


def test_rows_sent_along_are_recorded_as_shared():
    _, episodes = recorded(transfer_samples=20)
    shared = np.concatenate([each.history.shared.ravel() for each in episodes])
    assert shared.max() > 0.1
    assert (shared < 1).all()
    for each in episodes:
        assert (each.history.shared[~each.history.participated] == 0).all()


def test_an_episode_does_not_depend_on_the_others():
    many, one = recorded(episodes=3)[1][0], recorded(episodes=1)[1][0]
    assert np.array_equal(many.models, one.models)
    assert np.array_equal(many.history.omega, one.history.omega)


def test_predicted_and_simulated_losses_agree():
    world, episodes = recorded(episodes=24, rounds=60)
    told = predictions(world, episodes)
    final = [each.problem.gap(each.models[-1]) for each in episodes]
    halves = [each.models[len(each.models) // 2 :] for each in episodes]
    mean = [np.mean([each.problem.gap(w) for w in late]) for each, late in zip(episodes, halves, strict=True)]
    assert np.mean([t.mean_gap for t in told]) == pytest.approx(np.mean(mean), rel=0.25)
    assert np.mean([t.final_gap for t in told]) == pytest.approx(np.mean(final), rel=0.35)


@pytest.mark.parametrize("world", ["Quadratic", "Volunteers"])
def test_rates_are_constant_and_no_server_optimiser_is_left(world):
    home = find_entry(f"frugalfl/{world}-v0").scenario
    scenario = scenario_of(Options(env=f"frugalfl/{world}-v0"))
    assert scenario == load_scenario(home, training={"learning_rate_decay": 1.0}, aggregator="by-samples")


def test_quadratic_tables(capsys):
    assert main(["--episodes", "2", "--rounds", "10"]) == 0
    out = capsys.readouterr().out
    for words in ("total variation", "chi-square", "effective", "predicted", "simulated", "client drift"):
        assert words in out


def test_a_data_world_shows_bounds_only(capsys):
    assert main(["--env", "frugalfl/Volunteers-v0", "--episodes", "2", "--rounds", "4"]) == 0
    out = capsys.readouterr().out
    assert "bounds only" in out
    assert "optimum unknown" in out
    assert "F - F*  " not in out
    assert "test accuracy" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--env", "frugalfl/Quadratc-v0"], "did you mean"),
        (["--scheduler", "random-n"], "did you mean 'random-m'"),
        (["--episodes", "0"], "episodes: 0"),
        (["--rounds", "0"], "rounds: 0"),
        (["--learning-rate", "-1"], "learning_rate"),
        (["--aggregator", "scaffold"], "plain weighting"),
        (["--scheduler", "never"], "nothing to predict from"),
        (["--episodes", "many"], "many"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_bad_input_is_one_line(arguments, words, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error
