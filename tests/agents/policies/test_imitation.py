"""Imitation takes over a scheduler's decisions, and the learned scheduler plays like any other."""

import numpy as np
import pytest
import torch as th
from own_worlds import FOLDER

from frugalfl.agents.learned.scheduler import DECISIONS, LearnedScheduler
from frugalfl.agents.learning import PolicySettings, RunSettings
from frugalfl.agents.learning.algorithms import build_model
from frugalfl.agents.learning.imitation import CloneSettings, clone, demonstrate
from frugalfl.agents.schedulers.base import plan_for, top_m
from frugalfl.envs.agent_view import ActionCodec, ActionLayout
from frugalfl.envs.contract import STOP_S, RoundPlan, Scheduler
from frugalfl.envs.registration import make_vec_env

CLIENTS, ROUNDS = 8, 6


class TwoFastest:
    """Invites the two fastest clients for ten steps, and stops after four decisions."""

    name, kind, clairvoyant = "two-fastest", "handcrafted", False

    def reset(self, envs, seeds, num_clients): ...

    def plan(self, situation):
        chosen = top_m(-situation.clients.step_s, 2, situation.clients.available)
        stop = np.where(situation.run.round_index >= 4, STOP_S, 0.0)
        return plan_for(situation, chosen, 10, wait_s=stop)


FACTORS = (0.5, 1.0, 4.0)


@pytest.fixture(scope="module", params=[(1.0,), FACTORS], ids=["fixed step", "server step"])
def worlds(request):
    home, levels = FOLDER / "volunteers.yaml", {"server_step": request.param}
    changes = {"clients": CLIENTS, "max_rounds": ROUNDS, "levels": levels}
    return make_vec_env("frugalfl/Volunteers-v0", 8, scenario=str(home), **changes)


def make_model(worlds, algo="ppo"):
    settings = RunSettings(algo=algo, num_envs=8, policy=PolicySettings(hidden=32))
    return build_model(settings, worlds)


def test_demonstrations_are_finished_episodes_with_their_returns(worlds):
    shown = demonstrate(worlds, TwoFastest(), 60, gamma=0.9, seed=3)
    assert len(shown.actions) >= 60
    assert shown.actions.shape[1] == worlds.action_space.nvec.size
    assert shown.observations["clients"].shape[1:] == worlds.observation_space["clients"].shape
    ends = np.flatnonzero(shown.actions[:, 0] == 3)
    assert len(ends) > 0
    assert shown.returns[ends] == pytest.approx(0.0, abs=1e-6), "stopping earns and costs nothing"
    again = demonstrate(worlds, TwoFastest(), 60, gamma=0.9, seed=3)
    assert (again.actions == shown.actions).all()
    assert (again.returns == shown.returns).all()


def test_demonstrated_actions_are_legal(worlds):
    shown = demonstrate(worlds, TwoFastest(), 60, seed=1)
    there = shown.observations["clients"][..., 0] > 0.5
    first = worlds.agent_view.codec.layout.server_heads
    assert (shown.actions[:, first : first + CLIENTS][~there] == 0).all()
    nobody = ~there.any(axis=1)
    assert (shown.actions[nobody, 0] > 0).all()


def test_a_short_wait_is_not_taken_for_training():
    codec = ActionCodec(ActionLayout(2, (0.0, 1800.0, STOP_S), (1.0,), (0, 5)))
    nobody = np.zeros((3, 2), dtype=np.int32)
    plan = RoundPlan(nobody, nobody, np.ones(3), np.array([0.0, 60.0, STOP_S]))
    assert codec.encode(plan)[:, 0].tolist() == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["ppo", "maskable-ppo"])
def test_the_clone_does_what_the_scheduler_does(worlds, algo):
    model = make_model(worlds, algo)
    before = {key: tensor.clone() for key, tensor in model.policy.optimizer.state_dict()["state"].items()}
    shares = []
    result = clone(
        model,
        worlds,
        TwoFastest(),
        CloneSettings(2_000, batch_size=128, passes=20),
        progress=shares.append,
    )
    assert result.agreement > 0.9
    assert shares[-1] == 1.0
    assert model.policy.optimizer.state_dict()["state"] == before == {}
    face = worlds.agent_view
    worlds.seed(99)
    worlds.reset()
    player = LearnedScheduler(model, face.encoder, face.action_mode)
    plan, wanted = player.plan(face.situation), TwoFastest().plan(face.situation)
    assert (plan.invited == wanted.invited).mean() > 0.9
    assert (plan.local_steps[plan.invited] == 10).all()


def test_cloning_needs_a_set_policy():
    env = make_vec_env("frugalfl/Volunteers-discrete-v0", 2, clients=CLIENTS)
    model = build_model(RunSettings(algo="ppo", env="frugalfl/Volunteers-discrete-v0"), env)
    with pytest.raises(ValueError, match="expected a set policy"):
        clone(model, env, TwoFastest(), CloneSettings(10))


class TestLearnedScheduler:
    def player(self, worlds, decision):
        th.manual_seed(1)
        face = worlds.agent_view
        return LearnedScheduler(make_model(worlds), face.encoder, face.action_mode, decision=decision)

    @pytest.mark.parametrize("decision", DECISIONS)
    def test_is_a_scheduler_with_valid_plans(self, worlds, decision):
        player = self.player(worlds, decision)
        assert isinstance(player, Scheduler)
        assert player.kind == "learned"
        player.reset(np.ones(8, dtype=bool), np.arange(8), CLIENTS)
        worlds.reset()
        situation = worlds.agent_view.situation
        plan = player.plan(situation).validate(8, CLIENTS, FACTORS)
        waits, levels = player.probabilities(situation)
        np.testing.assert_allclose(waits.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(levels.sum(axis=2), 1, atol=1e-6)
        np.testing.assert_allclose(levels[..., 0][~situation.clients.available], 1)
        assert not (plan.invited & ~situation.clients.available).any()

    def test_draws_depend_on_the_episodes_seed_alone(self, worlds):
        worlds.seed(5)
        worlds.reset()
        situation = worlds.agent_view.situation
        everyone = np.ones(8, dtype=bool)
        first, second = self.player(worlds, "sample"), self.player(worlds, "sample")
        second.policy = first.policy
        first.reset(everyone, np.arange(8), CLIENTS)
        second.reset(everyone, np.arange(8)[::-1].copy(), CLIENTS)
        second.reset(everyone, np.arange(8), CLIENTS)
        one, two = first.plan(situation), second.plan(situation)
        assert (one.local_steps == two.local_steps).all()
        first.reset(everyone, np.arange(8) + 50, CLIENTS)
        assert (first.plan(situation).local_steps != one.local_steps).any()

    def test_drawing_before_an_episode_begins_is_an_error(self, worlds):
        with pytest.raises(ValueError, match=r"expected reset\(\)"):
            self.player(worlds, "sample").plan(worlds.agent_view.situation)
        with pytest.raises(ValueError, match="decision: 'dice', expected one of count, mode, sample"):
            self.player(worlds, "dice")

    @pytest.mark.parametrize("face", ["discrete", "scores"])
    def test_plays_the_other_faces_too(self, face):
        env_id = f"frugalfl/Volunteers-{face}-v0"
        env = make_vec_env(env_id, 3, clients=CLIENTS)
        env.seed(0)
        env.reset()
        algo = "dqn" if face == "discrete" else "sac"
        model = build_model(RunSettings(algo=algo, env=env_id), env)
        player = LearnedScheduler(model, env.agent_view.encoder, env.agent_view.action_mode)
        player.reset(np.ones(3, dtype=bool), np.arange(3), CLIENTS)
        player.plan(env.agent_view.situation).validate(3, CLIENTS)
