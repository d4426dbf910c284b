"""Robust rules: what they are, what they withstand, what they go with, and what they refuse."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from own_updates import arrivals, centre
from scipy.optimize import minimize

from frugalfl.fl_core.aggregation import AGGREGATORS, RobustRule
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.quadratics import QuadraticCore, QuadraticSettings, quadratic_problem

F = 2
TOLD_F = ["krum", "multi-krum", "trimmed-mean", "nnm"]
RULES = {
    "krum": {"kind": "krum", "f": F},
    "multi-krum": {"kind": "multi-krum", "f": F},
    "multi-krum of 3": {"kind": "multi-krum", "f": F, "m": 3},
    "trimmed-mean": {"kind": "trimmed-mean", "f": F},
    "median": "median",
    "geometric-median": "geometric-median",
    "centred-clipping": {"kind": "centred-clipping", "tau": 3.0, "steps": 4},
    "nnm": {"kind": "nnm", "f": F},
    "nnm of krum": {"kind": "nnm", "f": F, "then": {"kind": "krum", "f": F}},
    "nnm of median": {"kind": "nnm", "f": F, "then": "median"},
    "clip of median": {"kind": "clip", "length": 2.0, "then": "median"},
    "clip of nnm": {"kind": "clip", "length": 2.0, "then": {"kind": "nnm", "f": F, "then": "median"}},
}
EQUIVARIANT = [name for name in RULES if not name.startswith(("clip", "centred"))]
EXACT = {"multi-krum": "krum", "multi-krum of 3": "krum", "nnm of krum": "krum"}
every_rule = pytest.mark.parametrize("name", RULES)


updates = st.tuples(st.integers(2 * F + 3, 11), st.integers(1, 4), st.integers(0, 2**32 - 1)).map(
    lambda size: np.random.default_rng(size[2]).normal(size=size[:2])
)
quickly = settings(max_examples=25, deadline=None)


class TestWhatTheyAre:
    """Against definitions written down a second time."""

    @quickly
    @given(updates)
    def test_krum(self, x):
        scores = []
        for i in range(len(x)):
            apart = sorted(float(((x[i] - x[j]) ** 2).sum()) for j in range(len(x)) if j != i)
            scores.append(sum(apart[: len(x) - F - 2]))
        best = sorted(range(len(x)), key=lambda i: scores[i])
        np.testing.assert_array_equal(centre(RULES["krum"], x)[0], x[best[0]])
        for name, m in (("multi-krum", len(x) - F), ("multi-krum of 3", 3)):
            np.testing.assert_allclose(centre(RULES[name], x)[0], x[best[:m]].mean(axis=0), atol=1e-12)

    @quickly
    @given(updates)
    def test_trimmed_mean_and_median(self, x):
        kept = [sorted(column)[F : len(x) - F] for column in x.T]
        np.testing.assert_allclose(centre(RULES["trimmed-mean"], x)[0], np.mean(kept, axis=1), atol=1e-12)
        most = {"kind": "trimmed-mean", "f": (len(x) - 1) // 2}
        np.testing.assert_allclose(centre("median", x)[0], centre(most, x)[0], atol=1e-12)

    @settings(max_examples=8, deadline=None)
    @given(updates)
    def test_the_geometric_median_minimises_the_sum_of_distances(self, x):
        """With distances below the smoothing counted as quadratic, which is what Weiszfeld then minimises."""
        start = np.median(x, axis=0)
        near = 0.1 * np.median(np.linalg.norm(x - start, axis=1))

        def total(point):
            r = np.linalg.norm(x - point, axis=1)
            return np.where(r < near, r**2 / (2 * near) + near / 2, r).sum()

        found = centre({"kind": "geometric-median", "steps": 2000}, x)[0]
        best = minimize(total, found, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
        assert total(found) <= best.fun + 1e-7
        assert total(centre("geometric-median", x)[0]) <= total(start) + 1e-12

    @quickly
    @given(updates)
    def test_centred_clipping_goes_on_from_the_last_step(self, x):
        spec = {"kind": "centred-clipping", "tau": 0.5, "steps": 3}
        rule, v = AGGREGATORS.make(spec), np.zeros(x.shape[1])
        rule.bind(1, 20, x.shape[1], np.dtype(np.float64))
        for scale in (1.0, 2.0):
            for _ in range(3):
                moved = [d * min(1, 0.5 / max(np.linalg.norm(d), 1e-30)) for d in scale * x - v]
                v = v + np.mean(moved, axis=0)
            np.testing.assert_allclose(rule.step(arrivals(scale * x), v[None])[0], v, atol=1e-12)
        rule.reset(0, v, 0)
        assert not rule.memory["centre"].any()

    @quickly
    @given(updates)
    def test_mixing_takes_the_mean_of_the_nearest(self, x):
        mixed = []
        for i in range(len(x)):
            order = sorted(range(len(x)), key=lambda j: float(((x[i] - x[j]) ** 2).sum()))
            mixed.append(x[order[: len(x) - F]].mean(axis=0))
        np.testing.assert_allclose(centre(RULES["nnm of median"], x)[0], np.median(mixed, axis=0), atol=1e-12)

    @quickly
    @given(updates)
    def test_clipping_shortens_and_nothing_else(self, x):
        short = [d * min(1, 2.0 / np.linalg.norm(d)) for d in x]
        np.testing.assert_allclose(
            centre({"kind": "clip", "length": 2.0, "then": "uniform"}, x)[0],
            np.mean(short, axis=0),
            atol=1e-12,
        )
        np.testing.assert_allclose(
            centre({"kind": "clip", "length": 1e9, "then": "uniform"}, x), centre("uniform", x), atol=1e-12
        )


class TestTheory:
    """What is proved of them."""

    @quickly
    @given(updates, st.sampled_from(list(RULES)), st.randoms())
    def test_the_order_of_the_arrivals_does_not_matter(self, x, name, random):
        order = random.sample(range(len(x)), len(x))
        np.testing.assert_allclose(centre(RULES[name], x[order]), centre(RULES[name], x), atol=1e-9)

    @quickly
    @given(updates, st.sampled_from(EQUIVARIANT), arrays(float, 4, elements=st.floats(-100, 100)))
    def test_moved_updates_move_the_centre_alike(self, x, name, shift):
        shift = shift[: x.shape[1]]
        np.testing.assert_allclose(centre(RULES[name], x + shift), centre(RULES[name], x) + shift, atol=1e-8)

    @quickly
    @given(updates, st.sampled_from(EQUIVARIANT), st.floats(1e-3, 1e3))
    def test_scaled_updates_scale_the_centre(self, x, name, factor):
        np.testing.assert_allclose(
            centre(RULES[name], factor * x), factor * centre(RULES[name], x), rtol=1e-9, atol=1e-9
        )

    @quickly
    @given(updates, st.sampled_from(list(RULES)), st.sampled_from([1e3, 1e9, -1e15]))
    def test_two_liars_move_nothing_beyond_the_honest(self, x, name, far):
        """Breakdown: with f liars anywhere the centre stays within reach of the honest updates."""
        honest = x[F:]
        lies = np.concatenate([np.full((F, x.shape[1]), far), honest])
        spread = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
        reach = np.linalg.norm(honest.mean(axis=0)) + 6 * spread + 4 * 3.0
        assert np.linalg.norm(centre(RULES[name], lies)[0]) <= reach

    @pytest.mark.parametrize("name", ["uniform", "by-samples", "fedavgm"])
    def test_means_are_moved_as_far_as_anybody_likes(self, name):
        x = np.random.default_rng(0).normal(size=(9, 3))
        x[0] = 1e9
        assert np.linalg.norm(centre(name, x)) > 1e8

    @quickly
    @given(updates, st.sampled_from(EQUIVARIANT))
    def test_what_all_agree_on_is_the_centre(self, x, name):
        same = np.repeat(x[:1], len(x), axis=0)
        np.testing.assert_allclose(centre(RULES[name], same)[0], x[0], atol=1e-12)


class TestRounds:
    """Rounds with too few arrivals, and batches."""

    @pytest.mark.parametrize(
        ("spec", "least"),
        [
            ({"kind": "krum", "f": 2}, 7),
            ({"kind": "multi-krum", "f": 1}, 5),
            ({"kind": "trimmed-mean", "f": 2}, 5),
            ({"kind": "nnm", "f": 2, "then": "median"}, 5),
            ({"kind": "nnm", "f": 1, "then": {"kind": "krum", "f": 2}}, 7),
            ({"kind": "clip", "then": {"kind": "trimmed-mean", "f": 3}}, 7),
            ({"kind": "fedadam", "weighting": {"kind": "trimmed-mean", "f": 1}}, 3),
            ("median", 1),
            ("geometric-median", 1),
            ("centred-clipping", 1),
        ],
    )
    def test_too_few_arrivals_leave_the_model_alone(self, spec, least):
        x = np.random.default_rng(0).normal(size=(least, 3)) + 5
        few, enough = centre(spec, x[: least - 1], x)
        assert not few.any() and enough.any()
        alone = AGGREGATORS.make(spec)
        if least > 1:
            with pytest.raises(
                ValueError, match=f"needs {least} updates in a round, expected at most {least - 1}"
            ):
                alone.bind(1, least - 1, 3, np.dtype(float))
        alone.bind(1, least, 3, np.dtype(float))

    @pytest.mark.parametrize("weighting", [{"kind": "trimmed-mean", "f": 1}, {"kind": "krum", "f": 1}])
    @pytest.mark.parametrize("optimiser", ["fedavgm", "fedadam", "fedyogi", "fedadagrad"])
    def test_momentum_stands_still_as_well(self, optimiser, weighting):
        rule = AGGREGATORS.make({"kind": optimiser, "weighting": weighting})
        rule.bind(1, 20, 3, np.dtype(np.float64))
        x = np.random.default_rng(0).normal(size=(8, 3)) + 5
        assert rule.step(arrivals(x), np.zeros((1, 3))).any()
        before = {key: table.copy() for key, table in rule.memory.items()}
        assert not rule.step(arrivals(x[:2]), np.zeros((1, 3))).any()
        assert all((rule.memory[key] == table).all() for key, table in before.items())

    @every_rule
    def test_environments_are_independent_to_the_last_bit(self, name):
        rng = np.random.default_rng(1)
        rounds = [rng.normal(size=(n, 5)) for n in (7, 9, 3, 20, 8)]
        together = centre(RULES[name], *rounds)
        for row, each in zip(together, rounds, strict=True):
            np.testing.assert_array_equal(row, centre(RULES[name], each)[0])

    @every_rule
    def test_a_world_of_quadratics_learns_and_snapshots(self, name):
        settings_ = QuadraticSettings(dimension=4)
        problem = quadratic_problem(settings_, 12, np.zeros(12, int), 1, np.random.default_rng(0))
        cores = [QuadraticCore(settings_, 1, 12, {"learning_rate": 0.05}, RULES[name]) for _ in range(2)]
        for core in cores:
            core.reset(0, problem, 0)
        gap = cores[0].gap()[0]
        for r in range(20):
            cores[0].run_round(TrainingOrders(np.full((1, 12), 5), None, np.array([r])))
        assert cores[0].gap()[0] < 0.25 * gap
        cores[1].load_state(cores[0].state())
        for core in cores:
            core.run_round(TrainingOrders(np.full((1, 12), 5), None, np.array([20])))
        np.testing.assert_array_equal(cores[0].parameters(), cores[1].parameters())


class TestCombinations:
    """What goes with what."""

    @pytest.mark.parametrize(
        "weighting", ["fedau", "unbiased", "stale", "fednova", "gaussian", "clip", "nnm"]
    )
    @pytest.mark.parametrize("optimiser", ["fedavgm", "fedadam"])
    def test_an_optimiser_goes_over_any_mean_and_remembers_what_it_remembers(self, optimiser, weighting):
        rule, bare = (
            AGGREGATORS.make({"kind": optimiser, "weighting": weighting}),
            AGGREGATORS.make(weighting),
        )
        for each in (rule, bare):
            each.bind(1, 20, 3, np.dtype(np.float64))
        assert {f"inner.{name}" for name in bare.memory} <= set(rule.memory)
        assert rule.accepts_weights == bare.accepts_weights and rule.moves_alone == bare.moves_alone
        x = np.random.default_rng(0).normal(size=(8, 3)) + 5
        seen = replace(arrivals(x), rate=np.full(8, 0.5))
        step, plain = rule.step(seen, np.zeros((1, 3))), bare.step(seen, np.zeros((1, 3)))
        if optimiser == "fedavgm":
            np.testing.assert_allclose(step, plain)
        assert step.any()

    def test_a_noisy_mean_moves_the_momentum_in_a_silent_round(self):
        noisy = {"kind": "gaussian", "noise_multiplier": 0.5, "expected_clients": 4}
        rule = AGGREGATORS.make({"kind": "fedavgm", "weighting": noisy})
        rule.bind(1, 20, 3, np.dtype(np.float64))
        silent = replace(arrivals(np.zeros((0, 3))), closes=np.ones(1, dtype=bool))
        assert rule.moves_alone and rule.step(silent, np.zeros((1, 3))).any()

    @pytest.mark.parametrize("then", [name for name in AGGREGATORS.names() if name not in ("clip", "given")])
    def test_clip_goes_with_whatever_does_not_need_exact_updates(self, then):
        if not AGGREGATORS.make(then).accepts_compression:
            with pytest.raises(
                ValueError, match=f"then: '{then}', expected an aggregator that does not need"
            ):
                AGGREGATORS.make({"kind": "clip", "then": then})
            return
        x = np.random.default_rng(0).normal(size=(20, 3))
        short = x / np.maximum(1.0, np.linalg.norm(x, axis=1, keepdims=True))
        clipped, bare = (AGGREGATORS.make(spec) for spec in ({"kind": "clip", "then": then}, then))
        steps = []
        for rule, delta in ((clipped, x), (bare, short)):
            rule.bind(1, 20, 3, np.dtype(np.float64))
            rule.reset(0, np.zeros(3), 1)
            steps.append(rule.step(replace(arrivals(delta), rate=np.full(20, 0.5)), np.zeros((1, 3))))
        np.testing.assert_allclose(*steps, atol=1e-9)

    @pytest.mark.parametrize(
        ("spec", "match"),
        [
            ({"kind": "nnm", "then": "by-samples"}, "then: 'by-samples', expected a robust rule"),
            ({"kind": "nnm", "then": "gaussian"}, "then: 'gaussian', expected a robust rule"),
            ({"kind": "nnm", "then": {"kind": "fedavgm", "weighting": "median"}}, "then: 'fedavgm', exp"),
            ({"kind": "fedadam", "weighting": "scaffold"}, "weighting: 'scaffold', expected a plain weight"),
            ({"kind": "fednova", "weighting": "median"}, "weighting: 'median', expected a plain weighting"),
            ({"kind": "krum", "f": -1}, "f: -1"),
            ({"kind": "clip", "length": 0}, "length: 0"),
            ({"kind": "clip", "then": "medium"}, "did you mean 'median'"),
        ],
    )  # fmt: skip
    def test_combinations_that_make_no_sense_are_refused(self, spec, match):
        with pytest.raises(ValueError, match=match):
            AGGREGATORS.make(spec)

    @pytest.mark.parametrize("name", [n for n in AGGREGATORS if isinstance(AGGREGATORS.make(n), RobustRule)])
    def test_a_plans_weights_are_refused(self, name):
        settings_ = QuadraticSettings(dimension=3)
        problem = quadratic_problem(settings_, 8, np.zeros(8, int), 1, np.random.default_rng(0))
        core = QuadraticCore(settings_, 1, 8, None, name)
        core.reset(0, problem, 0)
        with pytest.raises(ValueError, match=f"'{name}' sets its own coefficients"):
            core.run_round(TrainingOrders(np.ones((1, 8), dtype=int), np.full((1, 8), 1 / 8)))


def test_a_minority_cannot_win_by_claiming_many_rows():
    """Weights by reported counts undo a guarantee, so no robust rule looks at them."""
    x = np.random.default_rng(0).normal(size=(9, 3))
    x[0] = 50.0
    boast = replace(
        arrivals(x), held=np.array([10**6, *[10] * 8]), target_weight=np.array([0.9, *[0.0125] * 8])
    )
    for spec, plain in itertools.product(RULES.values(), [arrivals(x)]):
        steps = []
        for seen in (boast, plain):
            rule = AGGREGATORS.make(spec)
            rule.bind(1, 20, 3, np.dtype(float))
            steps.append(rule.step(seen, np.zeros((1, 3))))
        np.testing.assert_array_equal(*steps)
