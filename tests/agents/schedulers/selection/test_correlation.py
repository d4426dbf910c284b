"""Schedulers for clients that come and go: unbiased, all-mean, CA-Fed and its quantitative variant."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import (
    estimated_availability,
    estimated_memory,
    fresh_chains,
    observe_chains,
)
from frugalfl.agents.schedulers.selection import Unbiased, predicted_excess, surrogate, truncate
from frugalfl.fl_core.quadratics import QuadraticProblem
from frugalfl.fl_core.theory import (
    affine_rounds,
    availability_chain,
    correlation_factor,
    estimate_chains,
    expected_gap,
    markov_moments,
    predicted_gap,
)


def start(name: str, num_envs: int = 1, n: int = 12, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs), n)
    return scheduler


def everyone_here(situation, **changes):
    return situation.changed(available=np.ones_like(situation.clients.available), **changes)


def random_problem(n, d, mu, smoothness, seed, het=1.0):
    """Random quadratics whose spectra touch mu and L (the recipe behind the published figures below)."""
    rng = np.random.default_rng(seed)
    hessian = []
    for _ in range(n):
        basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
        spectrum = rng.uniform(mu, smoothness, size=d)
        spectrum[0], spectrum[-1] = mu, smoothness
        hessian.append(basis @ np.diag(spectrum) @ basis.T)
    centre = het * rng.normal(size=(n, d))
    rows = np.full(n, 10, dtype=np.int32)
    return QuadraticProblem(np.array(hessian), centre, np.full(n, 1 / n), rows, rows, np.zeros(d))


PI = np.array([0.9, 0.7, 0.3, 0.2])
FOUR = random_problem(4, 3, 0.5, 3, seed=3)


class TestEstimatedChains:
    @pytest.mark.parametrize("prior", [0.5, 10.0])
    def test_long_histories_recover_pi_and_lambda(self, prior):
        rng = np.random.default_rng(0)
        pi, memory = np.array([0.9, 0.5, 0.2]), np.array([0.5, 0.0, 0.9])
        state, history, on = fresh_chains(1, 3), [], np.ones(3, dtype=bool)
        for _ in range(6000):
            on = rng.random(3) < np.where(on, memory + (1 - memory) * pi, (1 - memory) * pi)
            observe_chains(state, on[None], np.ones(1, dtype=bool))
            history.append(on)
        batch_pi, batch_memory = estimate_chains(np.array(history))
        assert estimated_availability(state, prior)[0] == pytest.approx(batch_pi, abs=0.01)
        assert estimated_memory(state, prior)[0] == pytest.approx(batch_memory, abs=0.02)
        assert np.allclose([batch_pi, batch_memory], [pi, memory], atol=0.06)

    def test_at_first_all_are_alike_and_memoryless(self):
        state = fresh_chains(1, 4)
        observe_chains(state, np.array([[True, True, True, False]]), np.ones(1, dtype=bool))
        pi = estimated_availability(state, 100.0)[0]
        assert pi == pytest.approx(np.full(4, 0.75), abs=0.01)
        assert not estimated_memory(state, 10.0).any()

    def test_rows_that_are_not_observed_stay_as_they_are(self):
        state = fresh_chains(2, 3)
        for here in ([True] * 3, [False] * 3):
            observe_chains(state, np.array([here, here]), np.array([True, False]))
        assert state["chain_seen"].tolist() == [[1] * 3, [0] * 3]
        assert state["chain_from_available"].tolist() == [[1] * 3, [0] * 3]


class TestUnbiased:
    def omega(self, situation_of, stacked, scheduler):
        """The scheduler's coefficients in every one of the 16 states of availability."""
        chain = availability_chain(PI, np.zeros(4))
        alpha = np.full(4, 0.25)
        batch = stacked(*(situation_of(0, n=4, target_weight=alpha) for _ in chain.states))
        scheduler.reset(np.ones(16, dtype=bool), np.arange(16), 4)
        return scheduler.plan(batch.changed(available=chain.states)).weights

    def test_known_availability_gives_the_target_in_expectation(self, situation_of, stacked):
        """POLICIES 1.1: sum over states of rho_s omega_sk is alpha_k; for all-mean it is alpha_k pi_k."""
        rho = availability_chain(PI, np.zeros(4)).stationary
        known = self.omega(situation_of, stacked, Unbiased(availability=PI))
        assert rho @ known == pytest.approx(np.full(4, 0.25))
        everyone = self.omega(situation_of, stacked, make_scheduler("all-mean"))
        assert rho @ everyone == pytest.approx(0.25 * PI)

    @pytest.mark.parametrize(
        ("memory", "unbiased", "all_mean"),
        [(0.0, 0.0201, 0.0798), (0.5, 0.0547, 0.0869), (0.9, 0.2185, 0.1321), (0.99, 0.4775, 0.2870)],
    )
    def test_stops_paying_when_availability_is_correlated(
        self, situation_of, stacked, memory, unbiased, all_mean
    ):
        """POLICIES 3.3 and 5.3, item 5: the exact stationary gaps of the two schedulers."""
        chain = availability_chain(PI, np.full(4, memory))
        for scheduler, expected in (
            (Unbiased(availability=PI), unbiased),
            (make_scheduler("all-mean"), all_mean),
        ):
            rounds = affine_rounds(FOUR, self.omega(situation_of, stacked, scheduler), 0.02)
            mean, second = markov_moments(rounds, chain)
            assert expected_gap(FOUR, mean, second) == pytest.approx(expected, abs=6e-5)
            if scheduler.name == "unbiased" and memory == 0:
                assert mean == pytest.approx(FOUR.optimum())

    def test_sightings_replace_what_is_not_known(self, situation_of):
        rng = np.random.default_rng(1)
        scheduler, situation = start("unbiased", n=4), situation_of(0, n=4, target_weight=np.full(4, 0.25))
        for _ in range(1500):
            plan = scheduler.plan(situation.changed(available=rng.random((1, 4)) < PI))
        here = plan.invited[0]
        assert plan.weights[0, here] == pytest.approx(0.25 / PI[here], rel=0.1)
        assert (plan.weights[0, ~here] == 0).all()

    def test_bad_availabilities_are_refused(self):
        for bad in ([0.0, 1.0], [0.5, 1.2], [[0.5]]):
            with pytest.raises(ValueError, match=r"unbiased\.availability"):
                Unbiased(availability=bad)
        with pytest.raises(ValueError, match="2 numbers, expected 12"):
            Unbiased(availability=[0.5, 0.5]).reset(np.ones(1, dtype=bool), np.zeros(1, dtype=int), 12)


def clustered_24():
    """POLICIES 2.5's 24 clients: half available, a quarter rare and sticky, a quarter rare; their losses."""
    rng = np.random.default_rng(0)
    hessian = random_problem(24, 5, 0.5, 3, seed=0, het=0.0).hessian
    centre = np.tile(rng.normal(size=5), (24, 1)) + 0.25 * rng.normal(size=(24, 5))
    kind = rng.choice(3, 24, p=[0.5, 0.25, 0.25])
    pi, memory = np.where(kind == 0, 0.9, 0.1), np.where(kind == 1, 0.9, 0.005)
    centre[kind != 0] += 0.3 * rng.normal(size=5)
    away = 0.5 - centre
    losses = 0.5 * np.einsum("ki,kij,kj->k", away, hessian, away)
    return np.full((1, 24), 1 / 24), pi[None], memory[None], losses[None]


def ca_fed_passes(alpha, pi, memory, gap, c_bias):
    """Coefficients before, between and after CA-Fed's two passes, and their objective values."""
    value, q = surrogate(alpha, pi, gap, c_bias), alpha / pi
    history = [q]
    for key in (-np.abs(memory), pi):
        q = truncate(q, np.argsort(key, axis=1, kind="stable"), value)
        history.append(q)
    return history, [float(value(each)[0]) for each in history]


def some_clients(seed, n=6):
    rng = np.random.default_rng(seed)
    alpha = rng.dirichlet(np.ones(n))[None]
    return alpha, rng.uniform(0.05, 1, (1, n)), rng.uniform(0, 0.95, (1, n)), rng.uniform(0.1, 3, (1, n))


class TestCaFedRule:
    @pytest.mark.parametrize(
        ("c_bias", "kept"), [(0.0, 4), (0.1, 8), (0.3, 12), (1.0, 17), (3.0, 22), (1e6, 24)]
    )
    def test_keeps_as_many_as_the_reference(self, c_bias, kept):
        """POLICIES 2.5 and 5.3, item 12."""
        alpha, pi, memory, losses = clustered_24()
        history, values = ca_fed_passes(alpha, pi, memory, losses, c_bias)
        assert (history[-1] > 0).sum() == kept
        assert history[-1][0, losses[0].argmin()] > 0
        assert values[0] >= values[1] >= values[2]

    @given(st.integers(0, 10_000), st.floats(0, 10))
    @settings(max_examples=60, deadline=None)
    def test_objective_never_grows_and_the_smallest_gap_stays(self, seed, c_bias):
        alpha, pi, memory, gap = some_clients(seed)
        history, values = ca_fed_passes(alpha, pi, memory, gap, c_bias)
        assert values[0] + 1e-12 >= values[1]
        assert values[1] + 1e-12 >= values[2]
        assert history[-1][0, gap[0].argmin()] > 0
        value = surrogate(alpha, pi, gap, c_bias)
        subsets = [np.array(keep) for keep in itertools.product([0, 1], repeat=6) if any(keep)]
        best = min(float(value(history[0] * keep)[0]) for keep in subsets)
        assert best <= values[2] + 1e-12

    def test_two_passes_are_close_to_the_best_subset(self):
        """Brute force over all subsets of six clients."""
        excess = []
        for seed in range(40):
            alpha, pi, memory, gap = some_clients(seed)
            history, values = ca_fed_passes(alpha, pi, memory, gap, 1.0)
            value = surrogate(alpha, pi, gap, 1.0)
            subsets = [np.array(keep) for keep in itertools.product([0, 1], repeat=6) if any(keep)]
            best = min(float(value(history[0] * keep)[0]) for keep in subsets)
            excess.append(values[2] / best - 1)
        assert np.median(excess) == pytest.approx(0, abs=1e-9)
        assert np.quantile(excess, 0.9) < 0.02
        assert max(excess) < 0.06

    def test_the_more_correlated_of_two_hard_clients_goes(self):
        """Both lower the objective alone, but not together; whoever is tried first is taken out."""
        alpha, gap, pi = np.full((1, 4), 0.25), np.array([[1.0, 1.0, 0.2, 0.2]]), np.full((1, 4), 0.5)
        for memory, kept in (
            ([0.9, 0.1, 0, 0], [False, True, True, True]),
            ([0.1, -0.9, 0, 0], [True, False, True, True]),
        ):
            history, _ = ca_fed_passes(alpha, pi, np.array([memory]), gap, 1.8)
            assert (history[-1][0] > 0).tolist() == kept

    def test_rows_do_not_touch_each_other(self):
        cases = [some_clients(seed) for seed in range(5)]
        alpha, pi, memory, gap = (np.concatenate(each) for each in zip(*cases, strict=True))
        together = ca_fed_passes(alpha, pi, memory, gap, 1.0)[0][-1]
        for row, case in enumerate(cases):
            assert np.array_equal(ca_fed_passes(*case, 1.0)[0][-1][0], together[row])


class TestCaFed:
    def play(self, situation_of, name="ca-fed", rounds=60, losses=None, **knobs):
        """Rounds with true losses told on demand; client 0 is rare, sticky and hard."""
        rng = np.random.default_rng(0)
        pi, memory = np.array([0.3, 0.8, 0.8, 0.8, 0.8, 0.8]), np.array([0.9, 0, 0, 0, 0, 0])
        losses = np.array([[3.0, 1, 1, 1, 1, 1]]) if losses is None else losses
        scheduler = start(name, n=6, **knobs)
        situation = situation_of(0, n=6, target_weight=np.full(6, 1 / 6), last_loss=losses[0])
        situation = situation.changed(last_norm=np.array([[2.0, 1, 1, 1, 1, 1]]))
        on, plans = np.ones(6, dtype=bool), []
        for _ in range(rounds):
            on = rng.random(6) < np.where(on, memory + (1 - memory) * pi, (1 - memory) * pi)
            here = situation.changed(available=on[None])
            plan = scheduler.plan(here)
            if plan.probed.any():
                plans.append(plan)
                plan = scheduler.plan(here.changed(probed_loss=np.where(plan.probed, losses, np.nan)))
            plans.append(plan)
        return scheduler, plans

    def test_asks_everybody_there_before_every_round(self, situation_of):
        _, plans = self.play(situation_of)
        questions, rounds = plans[::2], plans[1::2]
        for question, plan in zip(questions, rounds, strict=True):
            assert not question.invited.any()
            assert (question.probed | ~plan.invited).all()

    def test_reported_losses_are_free(self, situation_of):
        scheduler = start("ca-fed", losses="reported")
        assert scheduler.plan(everyone_here(situation_of(0))).probe_samples is None

    def test_leaves_out_the_hard_rare_client_unless_bias_is_dear(self, situation_of):
        for c_bias, excluded in ((0.01, True), (100.0, False)):
            scheduler, plans = self.play(situation_of, rounds=100, c_bias=c_bias)
            assert (scheduler.state["q"][0, 0] == 0) == excluded
            assert any(plan.invited[0, 0] for plan in plans[40:]) != excluded

    def test_those_kept_weigh_alpha_over_pi(self, situation_of):
        scheduler, plans = self.play(situation_of, c_bias=100.0)
        pi = estimated_availability(scheduler.state, 10.0)[0]
        here = plans[-1].invited[0]
        assert plans[-1].weights[0, here] == pytest.approx(1 / 6 / pi[here])

    def test_nobody_is_left_out_before_a_loss_is_known(self, situation_of):
        situation = everyone_here(situation_of(0, last_loss=np.full(12, np.nan)))
        plan = start("ca-fed", losses="reported", participants=3).plan(situation)
        assert plan.invited.all()
        assert plan.quorum[0] == 1  # the round waits for all of them

    def test_unseen_clients_start_at_the_mean_and_smoothing_averages(self, situation_of):
        losses = np.array([1.0, 3.0, np.nan, np.nan])
        scheduler = start("ca-fed", n=4, losses="reported", smoothing=0.5)
        for each in (losses, np.array([2.0, 3.0, np.nan, np.nan])):
            scheduler.plan(everyone_here(situation_of(0, n=4, last_loss=each)))
        assert scheduler.state["loss"][0].tolist() == [1.5, 3.0, 2.0, 2.0]


class TestQuantitative:
    def test_price_alone_drops_the_dear_and_bias_alone_keeps_all(self):
        alpha, pi, memory, gap = some_clients(3)
        dear = (1 - pi) / pi * correlation_factor(memory)
        for c_bias, scale, kept in ((1.0, 0.0, 6), (1e9, 1.0, 6), (1e-9, 1.0, None)):
            value = predicted_excess(alpha, pi, gap, scale * dear, c_bias)
            q = truncate(alpha / pi, np.argsort(-dear, axis=1), value, 1e-12)
            if kept is None:
                assert 0 < (q > 0).sum() <= 6
                best = 1 / dear  # the least variance weighs clients by 1 / price
                assert value(q)[0] <= value(alpha / pi)[0]
                assert value(best / pi)[0] <= value(q)[0]
            else:
                assert (q > 0).sum() == kept

    def test_value_is_the_closed_form_for_alike_clients(self):
        """Variance part: with gradients of unit price it is `participation_price` of p."""
        alpha, pi, memory, gap = some_clients(5)
        norm_squared, eta = 2.0, 0.01
        unit = eta / 4 * norm_squared * (1 - pi) / pi * correlation_factor(memory)
        value = float(predicted_excess(alpha, pi, gap, unit, 1.0)(alpha / pi)[0])
        assert value == pytest.approx(float((alpha**2 * unit).sum()))

    def ranks(self, problem, pi, memory, eta=0.02):
        """Rank correlations over all 31 subsets of exact gaps with both predictions."""
        alpha, chain = problem.target_weight, availability_chain(pi, memory)
        best = problem.optimum()
        gradient = np.einsum("kij,kj->ki", problem.hessian, best - problem.centre)
        unit = eta / 4 * (gradient**2).sum(axis=1) * (1 - pi) / pi * correlation_factor(memory)
        value = predicted_excess(alpha[None], pi[None], problem.client_losses(best)[None], unit[None], 1.0)
        exact, closed, known = [], [], []
        for keep in itertools.product([0, 1], repeat=5):
            if any(keep):
                q = alpha * np.array(keep) / (alpha * np.array(keep)).sum() / pi
                moments = markov_moments(affine_rounds(problem, chain.states * q, eta), chain)
                exact.append(expected_gap(problem, *moments))
                closed.append(sum(predicted_gap(problem, q, pi, memory, eta)))
                known.append(float(value(q[None])[0]))
        return spearmanr(exact, closed)[0], spearmanr(exact, known)[0]

    def test_closed_form_ranks_subsets_as_the_exact_moments_do(self):
        """POLICIES 2.5: rank correlation 0.91 with the exact ranking of the 31 subsets."""
        problem = random_problem(5, 3, 0.5, 3, seed=8, het=0.35)
        pi, memory = np.array([0.9, 0.9, 0.9, 0.15, 0.15]), np.array([0, 0, 0, 0.9, 0.97])
        closed, known = self.ranks(problem, pi, memory)
        assert closed == pytest.approx(0.907, abs=0.005)
        assert known > 0.4  # without the gradients' directions

    def test_what_a_coordinator_knows_still_ranks_subsets(self):
        ranks = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            pi, memory = rng.uniform(0.1, 0.95, 5), rng.choice([0, 0.5, 0.9, 0.97], 5)
            ranks.append(self.ranks(random_problem(5, 3, 0.5, 3, 100 + seed, 0.5), pi, memory))
        closed, known = np.mean(ranks, axis=0)
        assert closed > 0.9
        assert known > 0.6

    def test_scheduler_drops_the_dear_client(self, situation_of):
        scheduler, _ = TestCaFed().play(situation_of, "ca-fed-quantitative", c_bias=0.01)
        assert scheduler.state["q"][0, 0] == 0
        scheduler, _ = TestCaFed().play(situation_of, "ca-fed-quantitative", c_bias=100.0)
        assert (scheduler.state["q"] > 0).all()
