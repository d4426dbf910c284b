"""Schedulers that choose by loss: pow-d, cpow-d, rpow-d (power-of-choice) and AFL."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import STOP_S
from frugalfl.envs.round import step_shares
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticProblem


def start(name: str, num_envs: int = 1, n: int = 12, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs), n)
    return scheduler


def shares(plan):
    """The plan's coefficients as the world uses them if everybody invited answers."""
    return step_shares(plan.weights, plan.invited)


def everyone_here(situation, **changes):
    return situation.changed(available=np.ones_like(situation.clients.available), **changes)


def told(situation, plan, losses):
    """The next situation: those asked have told their losses."""
    return situation.changed(probed_loss=np.where(plan.probed, losses, np.nan))


class TestPowD:
    def test_first_round_is_uniform_and_asks_nobody(self, situation_of):
        alpha = np.array([0.56] + [0.04] * 11)
        situation = everyone_here(situation_of(0, target_weight=alpha))
        counts = np.zeros(12)
        for seed in range(700):
            scheduler = make_scheduler("pow-d", participants=3)
            scheduler.reset(np.ones(1, dtype=bool), np.array([seed]), 12)
            plan = scheduler.plan(situation)
            assert plan.probe_samples is None
            counts += plan.invited[0]
        assert np.abs(counts / 700 - 0.25).max() < 0.07

    def test_asks_d_then_trains_the_m_with_the_largest_losses(self, situation_of):
        situation = everyone_here(situation_of(1))
        losses = np.arange(12.0)[None]
        scheduler = start("pow-d", participants=3, choice_ratio=2.0)
        scheduler.plan(situation)
        for _ in range(5):
            question = scheduler.plan(situation).validate(1, 12)
            asked = question.probed[0]
            assert asked.sum() == 6
            assert not question.invited.any()
            assert np.array_equal(question.probe_samples[0, asked], situation.clients.samples_held[0, asked])
            assert question.wait_s[0] == 0
            answer = scheduler.plan(told(situation, question, losses))
            assert np.flatnonzero(answer.invited[0]).tolist() == np.flatnonzero(asked)[-3:].tolist()
            assert shares(answer)[0, answer.invited[0]] == pytest.approx([1 / 3] * 3)

    def test_is_greedy_if_all_are_asked_and_never_asks_if_d_is_m(self, situation_of):
        situation = everyone_here(situation_of(1))
        greedy = start("pow-d", participants=2, choice_ratio=10.0)
        greedy.plan(situation)
        question = greedy.plan(situation)
        assert question.probed.all()
        losses = np.random.default_rng(0).random((1, 12))
        best = greedy.plan(told(situation, question, losses)).invited[0]
        assert losses[0, best].min() > losses[0, ~best].max()
        random = start("pow-d", participants=2, choice_ratio=1.0)
        assert all(random.plan(situation).invited.sum() == 2 for _ in range(6))

    def test_drawing_without_replacement_is_biased_towards_equal(self, situation_of):
        """POLICIES 1.1: with 1/m and draws by alpha without replacement, E[omega] is flatter than alpha."""
        alpha = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
        situation = everyone_here(situation_of(1, n=5, target_weight=alpha))
        scheduler = start("pow-d", n=5, participants=2, choice_ratio=1.0)
        scheduler.plan(situation)
        mean = np.mean([shares(scheduler.plan(situation))[0] for _ in range(3000)], axis=0)
        exact = np.zeros(5)
        for first, second in itertools.permutations(range(5), 2):
            chance = alpha[first] * alpha[second] / (1 - alpha[first])
            exact[[first, second]] += chance / 2
        assert mean == pytest.approx(exact, abs=0.02)
        assert exact.max() < 0.41
        assert exact.min() > 0.06

    def test_shrinking_asks_all_in_the_first_half_and_nobody_in_the_second(self, situation_of):
        for index, expected in ((4, 12), (5, 0), (9, 0)):
            situation = everyone_here(situation_of(1, round_index=index, rounds_left=10 - index))
            scheduler = start("pow-d", participants=3, shrinking=True)
            scheduler.plan(situation)
            assert scheduler.plan(situation).probed.sum() == expected

    def test_answers_outlive_a_wait_and_lost_answers_come_last(self, situation_of):
        situation = everyone_here(situation_of(1))
        scheduler = start("pow-d", participants=3)
        scheduler.plan(situation)
        question = scheduler.plan(situation)
        asked = np.flatnonzero(question.probed[0])
        losses = np.full((1, 12), 1.0)
        losses[0, asked[0]] = np.nan
        gone = told(situation, question, losses).changed(available=np.zeros((1, 12), dtype=bool))
        assert scheduler.plan(gone).wait_s[0] > 0
        chosen = scheduler.plan(told(situation, question, losses)).invited[0]
        assert chosen.sum() == 3
        assert not chosen[asked[0]]

    def test_asks_others_if_all_that_were_asked_are_gone(self, situation_of):
        situation = everyone_here(situation_of(1))
        scheduler = start("pow-d", participants=3)
        scheduler.plan(situation)
        question = scheduler.plan(situation)
        again = scheduler.plan(situation.changed(available=~question.probed))
        assert again.probed.sum() == 6
        assert not (again.probed & question.probed).any()

    def test_clients_without_data_go_first_and_are_not_asked(self, situation_of):
        samples, room = np.array([0] * 4 + [20] * 8), np.full(12, 30)
        situation = everyone_here(situation_of(1, samples_held=samples, storage_left=room))
        scheduler = start("pow-d", participants=5, choice_ratio=10.0)
        scheduler.plan(situation)
        question = scheduler.plan(situation)
        assert question.probed[0].tolist() == [False] * 4 + [True] * 8
        answer = scheduler.plan(told(situation, question, np.arange(12.0)[None]))
        assert np.flatnonzero(answer.invited[0]).tolist() == [0, 1, 2, 3, 11]
        bare = situation.changed(samples_held=np.zeros((1, 12), dtype=np.int64))
        assert scheduler.plan(bare).invited.sum() == 5

    def test_questions_are_no_rounds(self, situation_of):
        situation = everyone_here(situation_of(1))
        scheduler = start("pow-d", participants=3, stop_after_rounds=3)
        trained = 0
        for _ in range(5):
            plan = scheduler.plan(situation)
            trained += int(plan.invited.any())
        assert trained == 3
        assert scheduler.plan(situation).wait_s[0] == STOP_S

    def test_cpow_d_asks_for_one_batch(self, situation_of):
        samples = np.arange(10, 130, 10)
        situation = everyone_here(situation_of(1, samples_held=samples))
        scheduler = start("cpow-d", participants=6, probe_samples=32)
        scheduler.plan(situation)
        question = scheduler.plan(situation)
        assert np.array_equal(question.probe_samples[0], np.minimum(samples, 32) * question.probed[0])

    def test_a_world_charges_for_the_answers(self):
        """Same rounds, more gigabytes, hours and grams than rpow-d, which knows losses for free."""
        totals = {}
        for name in ("pow-d", "power-of-choice"):
            scheduler = make_scheduler(name, participants=3, choice_ratio=3.0)
            world = FederatedWorld(load_scenario("quadratic", max_rounds=8), 4, "val")
            everyone, seeds = np.ones(4, dtype=bool), np.arange(4)
            world.reset(everyone, seeds)
            scheduler.reset(everyone, seeds, 20)
            for _ in range(30):
                world.step(scheduler.plan(world.situation()))
            assert not world.running.any()
            totals[name] = world.totals()
        assert totals["pow-d"]["rounds"].tolist() == totals["power-of-choice"]["rounds"].tolist() == [8] * 4
        for cost in ("gigabytes", "hours", "kilograms"):
            assert (totals["pow-d"][cost] > totals["power-of-choice"][cost]).mean() >= 0.75


class TestSpeedAndFloor:
    """POLICIES 5.3, item 10: 30 heterogeneous quadratics, m = 3, H = 5, step 0.02."""

    ENVS, ROUNDS = 20, 400

    def gaps(self, situation_of, stacked, ratio):
        alpha = np.random.default_rng(0).dirichlet(np.full(30, 0.7))
        problem = quadratics(30, 5, 0.2, 2.0, 2, 0.7, alpha)
        settings = {"dimension": 5, "gradient_noise": 0.1}
        core = QuadraticCore(settings, self.ENVS, 30, {"learning_rate": 0.02})
        for env in range(self.ENVS):
            core.reset(env, problem, env)
        blank = everyone_here(
            stacked(*(situation_of(e, n=30, target_weight=alpha) for e in range(self.ENVS)))
        )
        scheduler = start("pow-d", self.ENVS, 30, participants=3, choice_ratio=ratio, local_steps=5)
        gaps = []
        for index in range(self.ROUNDS):
            plan = scheduler.plan(blank)
            if plan.probed.any():
                plan = scheduler.plan(blank.changed(probed_loss=core.client_losses(plan.probed)))
            core.run_round(TrainingOrders(plan.local_steps, shares(plan), np.full(self.ENVS, index)))
            gaps.append(core.gap().mean())
        return np.array(gaps)

    def test_more_candidates_are_faster_and_end_further_away(self, situation_of, stacked):
        gaps = [self.gaps(situation_of, stacked, ratio) for ratio in (1.0, 2.0, 5.0)]
        rounds = [int(np.argmax(each < 2.0)) for each in gaps]
        floors = [float(each[-100:].mean()) for each in gaps]
        assert rounds[0] > rounds[1] > rounds[2]
        assert floors[0] < floors[1] < floors[2]
        assert np.abs(np.subtract(rounds, [16, 12, 9])).max() <= 2
        assert floors == pytest.approx([0.045, 0.088, 0.159], rel=0.2)


class TestAfl:
    KNOBS = dict(participants=1, random_ratio=0.0, root_size=False)

    def test_values_are_losses_times_the_root_of_the_size(self, situation_of):
        losses, samples = np.arange(1.0, 13.0), np.full(12, 16)
        losses[3] = np.nan
        situation = situation_of(0, last_loss=losses, samples_held=samples)
        values = start("afl").values(situation)[0]
        assert values[3] == 48
        assert np.delete(values, 3).tolist() == (4 * np.delete(losses, 3)).tolist()
        assert not start("afl").values(situation_of(0, last_loss=np.full(12, np.nan))).any()

    def test_the_smallest_three_quarters_are_set_aside(self, situation_of):
        situation = everyone_here(situation_of(0, last_loss=np.arange(12.0)))
        scheduler = start("afl", **(self.KNOBS | {"participants": 2}))
        chosen = sum(scheduler.plan(situation).invited[0] for _ in range(200))
        assert (chosen[:9] == 0).all()
        assert (chosen[9:] > 0).all()

    def test_too_few_worthy_ones_are_filled_up(self, situation_of):
        situation = everyone_here(situation_of(0, last_loss=np.arange(12.0)))
        plan = start("afl", **(self.KNOBS | {"participants": 8})).plan(situation)
        assert plan.invited.sum() == 8
        assert plan.invited[0, 9:].all()

    @pytest.mark.parametrize("sharpness", [0.01, 2.0])
    def test_draws_by_the_softmax_of_the_values(self, situation_of, sharpness):
        losses = np.linspace(0, 1.5, 12)
        situation = everyone_here(situation_of(0, last_loss=losses))
        scheduler = start("afl", **self.KNOBS, delete_ratio=0.0, sharpness=sharpness)
        share = sum(scheduler.plan(situation).invited[0] for _ in range(2500)) / 2500
        softmax = np.exp(sharpness * losses)
        assert share == pytest.approx(softmax / softmax.sum(), abs=0.03)

    def test_a_share_is_drawn_from_everybody(self, situation_of):
        situation = everyone_here(situation_of(0, n=40, last_loss=np.arange(40.0)))
        scheduler = start("afl", n=40, participants=10, random_ratio=0.1, root_size=False)
        aside = sum(int(scheduler.plan(situation).invited[0, :30].sum()) for _ in range(1000)) / 1000
        # 9 of the best 10 by value, 1 of the 31 others, 30 of whom had been set aside.
        assert aside == pytest.approx(30 / 31, abs=0.03)


class TestRpowD:
    def test_never_selected_clients_come_first_then_the_largest_reports(self, situation_of):
        losses = np.array([np.nan, 5, 4, 3, np.nan, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1])
        situation = everyone_here(situation_of(0, last_loss=losses))
        scheduler = start("power-of-choice", participants=4, choice_ratio=10.0)
        plan = scheduler.plan(situation)
        assert np.flatnonzero(plan.invited[0]).tolist() == [0, 1, 2, 4]
        assert shares(plan)[0, plan.invited[0]].tolist() == [0.25] * 4
        assert plan.probe_samples is None


def quadratics(n, d, mu, smoothness, seed, het, alpha):
    """Random quadratics whose spectra touch mu and L, all started at (4, ..., 4)."""
    rng = np.random.default_rng(seed)
    hessian = []
    for _ in range(n):
        basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
        spectrum = rng.uniform(mu, smoothness, size=d)
        spectrum[0], spectrum[-1] = mu, smoothness
        hessian.append(basis @ np.diag(spectrum) @ basis.T)
    centre = het * rng.normal(size=(n, d))
    rows = np.full(n, 10, dtype=np.int32)
    return QuadraticProblem(np.array(hessian), centre, alpha, rows, rows, np.full(d, 4.0))
