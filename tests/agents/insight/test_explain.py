"""Explanations: counterfactuals exchange one number and tell what the policy then does."""

import numpy as np
import pytest
import torch as th
from PIL import Image

from frugalfl.agents.commands.explain import main
from frugalfl.agents.insight.explain import counterfactual, encounter, questions, wait_by_carbon
from frugalfl.agents.learned.scheduler import LearnedScheduler
from frugalfl.agents.policies.actor_critic import SetActorCriticPolicy
from frugalfl.envs.agent_view import CLIENT_FEATURES, ObservationEncoder, layout_of, make_action_mode
from frugalfl.envs.scenario import load_scenario


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("volunteers", max_rounds=6, clients=8)


@pytest.fixture(scope="module")
def player(scenario):
    """A policy that likes clients with a large loss, and slow ones not at all, and nothing else."""
    encoder, layout = ObservationEncoder(scenario), layout_of(scenario)
    th.manual_seed(0)
    policy = SetActorCriticPolicy(encoder.space, layout.space, lambda _: 0.0, hidden=8)
    with th.no_grad():
        for weights in policy.actor.parameters():
            weights.zero_()
        policy.actor.encoder.client_in.weight[0, CLIENT_FEATURES.index("last_loss")] = 1.0
        policy.actor.encoder.client_in.weight[0, CLIENT_FEATURES.index("step_time")] = -1.0
        policy.actor.encoder.client_out.weight[0, 0] = 1.0
        policy.actor.client_head.weight[0, 0] = 1.0
        policy.actor.client_logits.weight[0, 0] = -3.0
    return LearnedScheduler(policy, encoder, make_action_mode("levels", layout, None), "toy")


@pytest.fixture(scope="module")
def met(player, scenario):
    return encounter(player, scenario, episodes=6)


def test_encounters_hold_every_decision(met):
    assert met.habits.groupby("episode")["decision"].count().max() == len(met.situations)
    assert 6 <= len(met.situations) <= 60  # decisions, not rounds, of which there are six
    assert sum(int(running.sum()) for running in met.running) == len(met.habits)
    assert met.habits["waits"].dtype == bool
    assert (met.habits["invited"] <= met.habits["available"]).all()


def test_what_the_policy_reads_moves_it_and_the_rest_does_not(player, met):
    tables = {each.name: counterfactual(player, met, each) for each in questions(met)}
    assert set(tables) == {"carbon", "session", "loss", "speed", "staleness"}
    assert np.all(np.diff(tables["loss"]["invited"]) > 0)
    assert np.all(np.diff(tables["speed"]["invited"]) < 0)
    for name in ("carbon", "session", "staleness"):
        assert np.ptp(tables[name]["invited"]) < 1e-6
    for table in tables.values():
        assert (table["invited_low"] <= table["invited"] + 1e-9).all()
        assert (table["local_steps"] > 0).all()


def test_situations_are_left_as_they_were(player, met):
    before = [s.clients.last_loss.copy() for s in met.situations]
    loss = next(each for each in questions(met) if each.name == "loss")
    counterfactual(player, met, loss)
    for old, s in zip(before, met.situations, strict=True):
        np.testing.assert_array_equal(old, s.clients.last_loss)


def test_waiting_under_dirtier_grids_is_a_chance(player, met):
    table = wait_by_carbon(player, met, (0.5, 1.0, 2.0))
    assert list(table["factor"]) == [0.5, 1.0, 2.0]
    assert ((table[["waits", "stops"]] >= 0) & (table[["waits", "stops"]] <= 1)).all(axis=None)


@pytest.mark.slow
def test_the_command_draws_everything(tmp_path):
    from frugalfl.train_agent import main as train

    run, out = tmp_path / "run", tmp_path / "why"
    scenario = tmp_path / "short.yaml"
    scenario.write_text("base: volunteers\nname: short\nmax_rounds: 5\nclients: 6\n")
    small = [
        "--timesteps=128",
        "--num-envs=4",
        "--eval-episodes=2",
        "--policy.hidden=8",
        "--ppo.rollout-steps=16",
    ]
    assert train([*small, f"--scenario={scenario}", "--rivals", "none", f"--out={run}"]) == 0
    assert main([str(run), "--out", str(out), "--episodes", "3", "--film"]) == 0
    assert {path.name for path in out.iterdir()} == {
        "counterfactuals.csv",
        "habits.csv",
        "invitations.png",
        "waiting.png",
        "along_the_run.png",
        "episode.png",
        "film.png",
    }
    with Image.open(out / "film.png") as film:
        assert getattr(film, "n_frames", 1) > 1


@pytest.mark.parametrize("arguments", [["random-m"], ["no-such"], ["random-m", "--episode", "99"]])
def test_what_cannot_be_explained_is_refused_in_one_line(arguments, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "x")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
