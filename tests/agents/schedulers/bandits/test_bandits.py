"""Schedulers that learn from what came back: bandits, online ascent with its regret, and F3AST's optimum."""

from __future__ import annotations

from dataclasses import fields
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from frugalfl.agents.schedulers import make_scheduler

ASCENTS = ("oga", "oma")


class Bench:
    """Environments whose availability, successes and update norms the test decides."""

    def __init__(self, situation_of, n=8, horizon=200, rows=1, **changes):
        # Everybody holds data and has fast enough a link; what differs is set by the test.
        base = dict(available=np.ones(n, dtype=bool), target_weight=np.full(n, 1 / n))
        base |= dict(samples_held=np.full(n, 50), samples_sent=np.zeros(n, dtype=np.int64))
        one = situation_of(0, n=n, round_index=0, rounds_left=horizon, **(base | changes))
        parts = [getattr(one, part) for part in ("clients", "zones", "run", "terms")]
        values = {item.name: getattr(part, item.name) for part in parts for item in fields(part)}
        batched = {name: value for name, value in values.items() if np.shape(value)[:1] == (1,)}
        self.situation = one.changed(
            **{name: np.repeat(value, rows, axis=0) for name, value in batched.items()}
        )
        self.n, self.horizon, self.rows, self.round = n, horizon, rows, 0
        self.completions = np.zeros((rows, n), dtype=np.int64)
        self.norms = np.full((rows, n), np.nan)
        self.sightings = np.zeros((rows, n), dtype=np.int64)

    def now(self, available=None):
        here = np.array(np.broadcast_to(True if available is None else available, (self.rows, self.n)))
        self.sightings = np.minimum(self.sightings + here, self.round + 1)
        return self.situation.changed(
            available=here,
            sightings=self.sightings,
            round_index=np.full(self.rows, self.round),
            looks=np.full(self.rows, self.round + 1),
            rounds_left=np.full(self.rows, self.horizon - self.round),
            completions=self.completions.copy(),
            last_norm=self.norms.copy(),
        )

    def answer(self, invited, success=True, norms=None):
        """The updates of the invited come back where `success`, with these norms."""
        done = invited & success
        self.completions = self.completions + done
        if norms is not None:
            self.norms = np.where(done, norms, self.norms)
        self.round += 1


def started(name, bench, seed=5, **knobs):
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(np.ones(bench.rows, dtype=bool), np.arange(seed, seed + bench.rows), bench.n)
    return scheduler


def random_game(name, situation_of, seed, **knobs):
    """An episode of arbitrary availability, losses and norms; gains and played marginals of every round."""
    rng = np.random.default_rng(seed)
    n, horizon = int(rng.integers(3, 12)), int(rng.integers(5, 120))
    bench = Bench(situation_of, n=n, horizon=horizon, target_weight=rng.dirichlet(np.ones(n)))
    scheduler = started(name, bench, seed, participants=int(rng.integers(1, n + 1)), **knobs)
    here, there, gains, played = rng.uniform(0.2, 1, n), rng.uniform(0.3, 1, n), [], []
    for _ in range(horizon):
        before = scheduler.state["gained"][0].copy()
        plan = scheduler.plan(bench.now(rng.random(n) < here))
        gains.append(scheduler.state["gained"][0] - before)
        played.append(scheduler.state["played"][0].copy())
        bench.answer(plan.invited, rng.random(n) < there, rng.lognormal(0, 2, n))
    # The gains of a round are known at the next decision.
    return scheduler, np.array(gains[1:]), np.array(played[:-1])


class TestOnlineAscent:
    @pytest.mark.parametrize("name", ASCENTS)
    @given(seed=st.integers(0, 10_000), feedback=st.sampled_from(["importance", "last-known"]))
    @settings(max_examples=25, deadline=None)
    def test_regret_stays_below_the_theorys_bound_in_every_episode(self, name, seed, feedback, request):
        scheduler, _, _ = random_game(name, request.getfixturevalue("situation_of"), seed, feedback=feedback)
        assert scheduler.regret()[0] <= scheduler.regret_bound()[0] + 1e-9

    @pytest.mark.parametrize("name", ASCENTS)
    @pytest.mark.parametrize("seed", range(5))
    def test_regret_is_what_linear_programming_finds(self, name, seed, situation_of):
        scheduler, gains, played = random_game(name, situation_of, seed, quota=0.2)
        n, m = gains.shape[1], min(scheduler.participants, gains.shape[1])
        best = linprog(-gains.sum(axis=0), A_eq=np.ones((1, n)), b_eq=[m], bounds=[(0.2 * m / n, 1.0)] * n)
        assert scheduler.regret()[0] == pytest.approx(-best.fun - (gains * played).sum(), abs=1e-6)

    @pytest.mark.parametrize(("name", "order"), [("oga", 2), ("oma", np.inf)])
    def test_gains_are_no_longer_than_one(self, name, order, situation_of):
        _, gains, _ = random_game(name, situation_of, 3)
        lengths = np.linalg.norm(gains, ord=order, axis=1)
        assert lengths.max() <= 1 + 1e-9
        assert lengths.max() > 0.5

    def test_bounds_are_the_theorys(self, situation_of):
        """D G sqrt(T) with D^2 = 2 min(m, N - m), and m G sqrt(2 ln(N / m) T), as the quota vanishes."""
        bench = Bench(situation_of, n=8, horizon=100)
        for name, expected in (("oga", np.sqrt(2 * 3) * 10), ("oma", 3 * np.sqrt(2 * np.log(8 / 3)) * 10)):
            scheduler = started(name, bench, participants=3, quota=0.01)
            scheduler.plan(bench.now())
            assert scheduler.regret_bound()[0] == pytest.approx(expected, rel=0.03)
            assert started(name, bench, participants=3, quota=0.01, rate=4.0).slack() == 17 / 8

    @pytest.mark.parametrize("name", ASCENTS)
    def test_marginals_of_a_round(self, name, situation_of):
        """Sum min(m, available), 0 for the absent, at least x for those there, at least the quota."""
        bench = Bench(situation_of, n=10)
        scheduler = started(name, bench, participants=4, quota=0.5)
        rng = np.random.default_rng(0)
        for _ in range(60):
            here = rng.random(10) < 0.6
            plan = scheduler.plan(bench.now(here))
            p, (_, least) = scheduler.state["played"][0], scheduler.size(10)
            x = least + (1 - least) * scheduler.state["point"][0]
            assert p.sum() == pytest.approx(min(4, here.sum()))
            assert plan.invited.sum() == min(4, here.sum())
            assert not p[~here].any()
            assert (p[here] >= x[here] - 1e-9).all()
            assert p[here].min(initial=1.0) >= 0.5 * 4 / 10 - 1e-9
            bench.answer(plan.invited, rng.random(10) < 0.8, rng.lognormal(0, 1, 10))

    @pytest.mark.parametrize("name", ASCENTS)
    def test_fewer_than_m_available_means_all(self, name, situation_of):
        bench = Bench(situation_of, n=10)
        here = np.arange(10) < 3
        plan = started(name, bench, participants=4).plan(bench.now(here))
        assert np.array_equal(plan.invited[0], here)
        assert started("oga", bench, mean="drawn").plan(bench.now(here)).weights[0, here] == pytest.approx(
            0.1
        )

    @pytest.mark.parametrize("name", [*ASCENTS, "e3cs", "horizon-fair"])
    @pytest.mark.parametrize("mean", ["unbiased", "drawn"])
    def test_aggregation_is_unbiased(self, name, mean, situation_of):
        """Whatever was learned, mean weights are alpha; times availability where only the draw counts."""
        alpha, here = np.array([0.3, 0.05, 0.2, 0.15, 0.1, 0.2]), np.array([1, 0.4, 0.7, 1, 0.5, 0.9])
        bench = Bench(situation_of, n=6, horizon=110, rows=300, target_weight=alpha)
        scheduler, total = started(name, bench, participants=2, mean=mean), np.zeros(6)
        rng = np.random.default_rng(1)
        for index in range(110):
            plan = scheduler.plan(bench.now(rng.random((300, 6)) < here))
            bench.answer(plan.invited, rng.random(6) < [1, 0.5, 1, 0.2, 1, 1], rng.lognormal(0, 1, 6))
            total += plan.weights.mean(axis=0) * (index >= 60)
        expected = alpha if mean == "unbiased" else alpha * here
        assert total / 50 == pytest.approx(expected, rel=0.08)

    @pytest.mark.parametrize("name", ASCENTS)
    @pytest.mark.parametrize(("feedback", "share"), [("last-known", 0.98), ("importance", 0.5)])
    def test_finds_the_marginals_of_least_variance(self, name, feedback, share, situation_of):
        """With steady norms sum alpha^2 |Delta|^2 / x falls towards its least, at x ~ alpha |Delta|."""
        n, m, norms = 8, 3, np.array([1.0, 1, 1, 1, 2, 2, 3, 5])
        bench = Bench(situation_of, n=n, horizon=400, rows=8)
        scheduler, played = started(name, bench, participants=m, quota=0.1, feedback=feedback), []
        for _ in range(400):
            bench.answer(scheduler.plan(bench.now()).invited, norms=norms)
            played.append(scheduler.state["played"])

        def variance(x):
            return ((norms / n) ** 2 / x).sum(axis=-1).mean()

        best, uniform = variance(proportional(norms, m)), variance(np.full(n, m / n))
        assert uniform - variance(np.array(played[200:])) >= share * (uniform - best)

    @pytest.mark.parametrize("name", [*ASCENTS, "e3cs", "horizon-fair"])
    def test_late_updates_of_others_are_no_answers_to_this_draw(self, name, situation_of):
        bench = Bench(situation_of, n=6)
        scheduler = started(
            name, bench, participants=2, **({"feedback": "importance"} if name in ASCENTS else {})
        )
        bench.answer(scheduler.plan(bench.now(np.arange(6) < 3)).invited, success=False)
        bench.completions += np.arange(6) >= 3
        bench.norms[:] = 1.0
        scheduler.plan(bench.now())
        assert np.isfinite(scheduler.state["played"]).all()
        assert not scheduler.state["gained"][0, 3:].any()

    def test_a_wait_teaches_nothing(self, situation_of):
        bench = Bench(situation_of, n=6)
        scheduler = started("oga", bench, participants=2)
        bench.answer(scheduler.plan(bench.now()).invited, norms=np.ones(6))
        scheduler.plan(bench.now(np.zeros(6, dtype=bool)))
        point, gained = scheduler.state["point"].copy(), scheduler.state["gained"].copy()
        scheduler.plan(bench.now(np.zeros(6, dtype=bool)))
        assert np.array_equal(scheduler.state["point"], point)
        assert np.array_equal(scheduler.state["gained"], gained)


class TestHorizonFair:
    HERE = np.array([1.0, 1.0, 0.9, 0.6, 0.3, 0.15])

    def rates(self, situation_of, fairness):
        bench, rng = Bench(situation_of, n=6, horizon=300, rows=16), np.random.default_rng(2)
        scheduler = started("horizon-fair", bench, participants=2, quota=0.05, fairness=fairness)
        total = np.zeros(6)
        for _ in range(300):
            plan = scheduler.plan(bench.now(rng.random((16, 6)) < self.HERE))
            total += plan.invited.mean(axis=0)
            bench.answer(plan.invited)
        return total / 300

    def test_beats_every_fixed_point_at_its_own_fairness(self, situation_of):
        """The best fixed x of sum log(x_k availability_k) is m / N for all."""
        fixed = np.log(self.HERE * 2 / 6).sum()
        rates = {fairness: self.rates(situation_of, fairness) for fairness in (0.0, 1.0, 3.0)}
        assert np.log(rates[1.0]).sum() > fixed + 1
        assert rates[0.0].sum() >= rates[1.0].sum() - 0.02  # nobody is left out for nothing
        assert rates[0.0].min() < rates[1.0].min() < rates[3.0].min()

    def test_comes_near_the_fairest_rates_that_any_policy_reaches(self, situation_of):
        """Frank-Wolfe over all policies that see who is there; max-min is within reach of a = 3."""
        states, chances = availability_states(self.HERE)
        best = frank_wolfe(lambda r: -np.log(r).sum(), lambda r: 1 / r, states, chances, 2)
        assert np.log(self.rates(situation_of, 3.0)).sum() >= np.log(best).sum() - 0.4


class TestE3cs:
    def test_probabilities_are_the_papers(self, situation_of):
        """p = sigma + (m - K sigma) w' / sum w', w' = min(w, c) with the c that caps p at 1, by bisection."""
        bench = Bench(situation_of, n=6)
        scheduler = started("e3cs", bench, participants=3, quota=0.4)
        w = np.array([1.0, 1.0, 2.0, 3.0, 30.0, 90.0])
        scheduler.state["log_weight"][0] = np.log(w)
        scheduler.plan(bench.now())
        sigma = 0.4 * 3 / 6

        def largest(cut):
            kept = np.minimum(w, cut)
            return sigma + (3 - 6 * sigma) * kept.max() / kept.sum()

        low, high = 1.0, 90.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if largest(middle) < 1 else (low, middle)
        kept = np.minimum(w, low)
        p = scheduler.state["played"][0]
        assert p == pytest.approx(sigma + (3 - 6 * sigma) * kept / kept.sum(), abs=1e-9)
        assert p[5] == pytest.approx(1.0)
        assert p.min() >= sigma

    def test_update_by_hand(self, situation_of):
        bench = Bench(situation_of, n=6)
        scheduler = started("e3cs", bench, participants=3, quota=0.4, eta=0.7)
        plan = scheduler.plan(bench.now())
        success = np.array([True, False] * 3)
        bench.answer(plan.invited, success)
        scheduler.plan(bench.now())
        came_back = plan.invited[0] & success
        expected = np.where(came_back, (3 - 6 * 0.2) * 0.7 / 6 / 0.5, 0.0)
        assert scheduler.state["log_weight"][0] == pytest.approx(expected)

    def test_those_who_come_back_are_drawn_more_often_and_none_less_than_its_quota(self, situation_of):
        bench, rng = Bench(situation_of, n=10, horizon=200, rows=16), np.random.default_rng(3)
        back = np.repeat([0.1, 0.9], 5)
        scheduler, counts, returned = started("e3cs", bench, participants=4, quota=0.5), np.zeros(10), 0.0
        for _ in range(200):
            plan, success = scheduler.plan(bench.now()), rng.random((16, 10)) < back
            counts += plan.invited.mean(axis=0)
            returned += (plan.invited & success).sum() / 16
            bench.answer(plan.invited, success)
        rates = counts / 200
        assert rates.min() >= 0.5 * 4 / 10 - 0.02
        assert rates[5:].min() > rates[:5].max() + 0.2
        assert returned > 1.2 * 200 * 4 * back.mean()

    def test_growing_quota_ends_in_equal_chances(self, situation_of):
        bench = Bench(situation_of, n=6, horizon=40)
        scheduler = started("e3cs", bench, participants=2, quota_growth=True)
        for _ in range(40):
            bench.answer(scheduler.plan(bench.now()).invited, np.arange(6) < 2)
            if bench.round == 10:
                assert np.ptp(scheduler.state["played"][0]) > 0.05
        assert scheduler.state["played"][0] == pytest.approx(1 / 3)


class TestConfidenceBounds:
    def quick_and_slow(self, situation_of, **changes):
        step_s = np.array([1.0, 1.5, 2.0, 5.0, 8.0, 9.0, 9.5, 10.0])
        links = dict(down_bytes_per_s=np.full(8, 1e8), up_bytes_per_s=np.full(8, 1e8))
        return Bench(situation_of, n=8, step_s=step_s, **links, **changes)

    def test_everyone_is_tried_before_anyone_again(self, situation_of):
        bench = self.quick_and_slow(situation_of)
        scheduler, seen = started("cs-ucb", bench, participants=2), np.zeros(8)
        for _ in range(4):
            plan = scheduler.plan(bench.now())
            seen += plan.invited[0]
            bench.answer(plan.invited)
        assert seen.tolist() == [1.0] * 8

    @pytest.mark.parametrize(("name", "factor"), [("cs-ucb", 4.0), ("cs-ucb-q", 2.0)])
    def test_index_by_hand(self, name, factor, situation_of):
        bench, rng = self.quick_and_slow(situation_of), np.random.default_rng(0)
        scheduler = started(name, bench, participants=3)
        total, trials = np.zeros(8), np.zeros(8)
        for _ in range(12):
            now, success = bench.now(), rng.random(8) < 0.8
            plan = scheduler.plan(now)
            seconds = now.round_s(10)[0]
            trials += plan.invited[0]
            total += np.where(plan.invited[0] & success, 1 - seconds / seconds.max(), 0.0)
            bench.answer(plan.invited, success)
        scheduler.plan(bench.now())
        expected = total / trials + np.sqrt(factor * np.log(13) / trials)
        # The state has moved on by the last plan's round, its rewards are not in yet.
        assert scheduler.index(factor)[0] == pytest.approx(expected)

    def test_finds_the_quick_and_reliable(self, situation_of):
        bench, rng = self.quick_and_slow(situation_of, horizon=800), np.random.default_rng(1)
        scheduler, counts = started("cs-ucb", bench, participants=2, exploration=0.1), np.zeros(8)
        for _ in range(800):
            plan = scheduler.plan(bench.now())
            counts += plan.invited[0]
            bench.answer(plan.invited, rng.random(8) < [0.05, 1, 1, 1, 1, 1, 1, 1])
        # Client 0 is the quickest but hardly ever comes back.
        assert set(np.argsort(-counts)[:2]) == {1, 2}
        assert counts[[1, 2]].min() > 500

    def test_queues_give_everyone_the_share_owed(self, situation_of):
        """Rates of at least guarantee m alpha; without the turns struck off the queues only grow."""
        alpha = np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2])
        bench = self.quick_and_slow(situation_of, horizon=1000, target_weight=alpha)
        scheduler, counts = started("cs-ucb-q", bench, participants=3, guarantee=0.8), np.zeros(8)
        for _ in range(1000):
            plan = scheduler.plan(bench.now())
            counts += plan.invited[0]
            bench.answer(plan.invited)
        assert (counts / 1000 >= 0.8 * 3 * alpha - 0.01).all()
        assert scheduler.state["queue"].max() < 10
        assert counts[0] > 0.8 * 3 * alpha[0] * 1000 * 2  # what is not owed goes to the quick


class TestF3ast:
    ROWS, ROUNDS = 40, 1600

    def rates(self, situation_of, alpha, here, m, seed):
        """Long-run selection rates where everyone is there independently of the others."""
        rng = np.random.default_rng(seed)
        bench = Bench(situation_of, n=alpha.size, rows=self.ROWS, target_weight=alpha)
        scheduler = started("f3ast", bench, participants=m, beta=0.01)
        counts = np.zeros(alpha.size)
        for index in range(self.ROUNDS):
            invited = scheduler.plan(bench.now(rng.random((self.ROWS, alpha.size)) < here)).invited
            counts += invited.mean(axis=0) * (index >= 600)
        return counts / (self.ROUNDS - 600)

    @pytest.mark.parametrize("seed", [0, 1])
    def test_is_within_a_percent_of_frank_wolfe(self, seed, situation_of):
        """H(r) = sum alpha^2 / r over all rates reachable with three of those available at random.

        The gap <g, s - r> to the best corner s, g = -dH/dr, bounds how far H is from its least value: these
        are the KKT conditions of a minimum over a polytope.
        """
        rng = np.random.default_rng(seed)
        alpha, here = rng.dirichlet(np.full(8, 2.0)), rng.uniform(0.2, 0.9, 8)
        rates = self.rates(situation_of, alpha, here, 3, seed)
        states, chances = availability_states(here)
        best = frank_wolfe(lambda r: (alpha**2 / r).sum(), lambda r: alpha**2 / r**2, states, chances, 3)
        least, gain = (alpha**2 / best).sum(), alpha**2 / rates**2
        assert (alpha**2 / rates).sum() == pytest.approx(least, rel=0.01)
        assert gain @ (corner(gain, states, chances, 3) - rates) <= 0.1 * least

    def test_alpha_over_r_is_equal_for_all_that_have_a_choice(self, situation_of):
        """The KKT oracle: nobody is taken whenever there, nobody only for want of others."""
        alpha = np.array([0.08, 0.09, 0.1, 0.11, 0.12, 0.15, 0.17, 0.18])
        here = np.array([0.9, 0.95, 0.8, 0.9, 0.85, 0.9, 0.95, 0.9])
        rates = self.rates(situation_of, alpha, here, 2, 0)
        assert (rates < 0.6 * here).all()
        assert np.ptp(alpha / rates) < 0.03 * (alpha / rates).mean()


def availability_states(here):
    """All 2^N sets of available clients and their probabilities."""
    states = np.array(list(product([False, True], repeat=here.size)))
    return states, np.where(states, here, 1 - here).prod(axis=1)


def corner(gain, states, chances, m):
    """The reachable rates of the policy that takes the m largest gains of those available."""
    order = np.argsort(np.where(states, -gain, np.inf), axis=1)[:, :m]
    taken = np.zeros_like(states)
    np.put_along_axis(taken, order, True, axis=1)
    return chances @ (taken & states)


def frank_wolfe(value, slope, states, chances, m, steps=300):
    """Minimise over the rates reachable with m of those available; `slope` is minus the gradient."""
    rng = np.random.default_rng(0)
    rates = np.mean([corner(rng.random(states.shape[1]), states, chances, m) for _ in range(50)], axis=0)
    shares = np.linspace(0, 1, 401)[:-1]
    for _ in range(steps):
        towards = corner(slope(rates), states, chances, m)
        share = min(shares, key=lambda s: value((1 - s) * rates + s * towards))
        rates = (1 - share) * rates + share * towards
    return rates


def proportional(weights, m):
    """argmin of sum w^2 / x on the capped simplex: proportional to w, the largest capped."""
    x, capped = np.zeros_like(weights), np.zeros(weights.size, dtype=bool)
    while True:
        x[~capped] = (m - capped.sum()) * weights[~capped] / weights[~capped].sum()
        x[capped] = 1.0
        if x.max() <= 1 + 1e-12:
            return x
        capped |= x > 1
