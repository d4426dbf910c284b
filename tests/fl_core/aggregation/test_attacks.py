"""Clients that lie: what they send, who notices, and what robust rules make of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from frugalfl.fl_core.aggregation import ATTACKS
from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.quadratics import QuadraticCore, quadratic_problem
from frugalfl.fl_core.training import make_trainer

DIGITS = load_dataset("digits")
N = 10
every_attack = pytest.mark.parametrize("name", ATTACKS.names())
rounds = st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))


def attack_of(spec, liars, size=3, envs=1):
    made = ATTACKS.make(spec)
    made.bind(envs, len(liars), size, np.dtype(float))
    for env in range(envs):
        made.reset(env, np.asarray(liars))
    return made


def one_round(spec, honest, own):
    """The lies in a round in which the liars come first."""
    liars = np.arange(len(honest) + len(own)) < len(own)
    attack = attack_of(spec, liars, honest.shape[1])
    sent, lies = attack.send(0 * liars.astype(int), np.arange(liars.size), np.concatenate([own, honest]))
    np.testing.assert_array_equal(lies, liars)
    np.testing.assert_array_equal(sent[len(own) :], honest)
    return sent[: len(own)]


def core_of(attack=None, liars=(), name="digits", aggregator="uniform", num_envs=1):
    if name == "quadratic":
        core = QuadraticCore({"dimension": 3}, num_envs, N, {"learning_rate": 0.1}, aggregator)
        task = quadratic_problem(core.settings, N, np.zeros(N, int), 1, np.random.default_rng(0))
    else:
        core = FederatedCore(
            DIGITS, make_model("softmax", DIGITS), num_envs, N, {"learning_rate": 0.2}, aggregator
        )
        task = partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
    if attack is not None:
        core.threaten(attack)
    for env in range(num_envs):
        core.reset(env, task, env)
        if attack is not None:
            core.mark_liars(env, np.isin(np.arange(N), liars))
    return core


def play(core, rounds=1, steps=5, first=0):
    for r in range(first, first + rounds):
        result = core.run_round(
            TrainingOrders(np.full((core.num_envs, N), steps), None, np.full(core.num_envs, r))
        )
    return result


class TestWhatTheySend:
    """Against the papers' formulas, written down again."""

    @settings(max_examples=25, deadline=None)
    @given(rounds)
    def test_formulas(self, size):
        h, m, p, seed = size
        rng = np.random.default_rng(seed)
        honest, own = rng.normal(size=(h, p)), rng.normal(size=(m, p))
        mean, std = honest.sum(axis=0) / h, np.sqrt(((honest - honest.mean(axis=0)) ** 2).sum(axis=0) / h)
        np.testing.assert_array_equal(one_round("sign-flip", honest, own), -own)
        np.testing.assert_array_equal(one_round({"kind": "scale", "factor": -3.0}, honest, own), -3 * own)
        np.testing.assert_array_equal(one_round("label-flip", honest, own), own)
        for lie in one_round({"kind": "ipm", "epsilon": 0.7}, honest, own):
            np.testing.assert_allclose(lie, -0.7 * mean, atol=1e-12)
        for lie in one_round({"kind": "alie", "z": 1.3}, honest, own):
            np.testing.assert_allclose(lie, mean - 1.3 * std, atol=1e-12)
        copies = one_round("mimic", honest, own)
        assert (copies == copies[0]).all() and (honest == copies[0]).all(axis=1).any()

    @pytest.mark.parametrize(
        ("honest", "lies", "z"),
        [
            (40, 10, norm.ppf((40 - 16) / 40)),
            (18, 6, norm.ppf((18 - 7) / 18)),
            (3, 3, norm.ppf(2 / 3)),
            (2, 5, 6.0),
        ],
    )
    def test_alie_hides_as_far_out_as_the_paper_says(self, honest, lies, z):
        x = np.random.default_rng(0).normal(size=(honest, 4))
        sent = one_round("alie", x, np.zeros((lies, 4)))[0]
        found = (x.mean(axis=0) - sent) / x.std(axis=0)
        np.testing.assert_allclose(found, np.full(4, min(z, norm.ppf(1 - 1e-9))), atol=1e-9)

    def test_mimic_stays_with_the_side_on_which_clients_differ_most(self):
        rng, liars = np.random.default_rng(0), np.arange(8) < 2
        attack = attack_of("mimic", liars)
        odd = []
        for _ in range(12):
            x = rng.normal(size=(8, 3)) * 0.1
            x[5, 0] += 2.0  # one client's data are of another kind
            sent, _ = attack.send(np.zeros(8, dtype=int), np.arange(8), x)
            odd.append(bool((sent[0] == x[5]).all()))
        assert all(odd[1:])

    @pytest.mark.parametrize("name", ["alie", "ipm", "mimic"])
    def test_liars_among_themselves_send_what_they_trained(self, name):
        own = np.random.default_rng(0).normal(size=(3, 4))
        np.testing.assert_array_equal(one_round(name, np.zeros((0, 4)), own), own)


class TestInACore:
    """Rounds of real training."""

    @every_attack
    @pytest.mark.parametrize("kind", ["digits", "quadratic"])
    def test_nobody_lies_unless_somebody_does(self, name, kind):
        if (name, kind) == ("label-flip", "quadratic"):
            return
        cores = [core_of(None, name=kind), core_of(name, (), name=kind), core_of(name, (1, 4), name=kind)]
        results = [play(core, 3) for core in cores]
        np.testing.assert_array_equal(cores[0].parameters(), cores[1].parameters())
        for field in ("reported_loss", "update_norm"):
            np.testing.assert_array_equal(*(getattr(result, field) for result in results[:2]))
        assert (cores[0].parameters() != cores[2].parameters()).any()
        assert cores[2].liars.nonzero()[1].tolist() == [1, 4] and not cores[0].liars.any()
        cores[2].reset(0, core_task(kind), 0)
        assert not cores[2].liars.any()

    @every_attack
    def test_environments_are_independent_and_snapshots_exact(self, name):
        batch, alone = core_of(name, (1, 4), num_envs=3), core_of(name, (1, 4))
        alone.reset(0, core_task("digits"), 2)
        alone.mark_liars(0, np.isin(np.arange(N), (1, 4)))
        for core in (batch, alone):
            play(core, 3)
        np.testing.assert_array_equal(batch.parameters()[2], alone.parameters()[0])
        again = core_of(name, (), num_envs=3)
        again.load_state(batch.state())
        for core in (batch, again):
            play(core, 2, first=3)
        np.testing.assert_array_equal(batch.parameters(), again.parameters())

    def test_the_server_sees_the_lengths_of_lies(self):
        honest, lying = (play(core_of("scale", liars)).update_norm[0] for liars in ((), (2,)))
        np.testing.assert_allclose(lying[2], 10 * honest[2], rtol=1e-5)
        np.testing.assert_array_equal(np.delete(lying, 2), np.delete(honest, 2))

    def test_flipped_labels_are_what_training_on_flipped_labels_gives(self):
        core = core_of("label-flip", (3,))
        result, asked = play(core), np.eye(N, dtype=bool)[[3]]
        start = core_of().parameters()
        turned = Dataset(
            "turned",
            DIGITS.x_train,
            9 - DIGITS.y_train,
            DIGITS.x_val,
            DIGITS.y_val,
            DIGITS.x_test,
            DIGITS.y_test,
            10,
        )
        other = FederatedCore(turned, make_model("softmax", turned), 1, N, {"learning_rate": 0.2}, "uniform")
        other.reset(0, core_task("digits"), 0)
        only = np.where(asked, 5, 0)
        alone = other.run_round(TrainingOrders(only, None, np.array([0])))
        assert result.reported_loss[0, 3] == alone.reported_loss[0, 3]
        assert result.update_norm[0, 3] == alone.update_norm[0, 3]
        assert (start != other.parameters()).any()
        fresh = core_of("label-flip", (3,))
        other.reset(0, core_task("digits"), 0)
        np.testing.assert_array_equal(fresh.client_losses(asked), other.client_losses(asked))

    @pytest.mark.parametrize(
        "attack", [{"kind": "scale", "factor": -10.0}, "sign-flip", {"kind": "ipm", "epsilon": 5.0}]
    )
    @pytest.mark.parametrize(
        "aggregator",
        [
            "median",
            "geometric-median",
            {"kind": "trimmed-mean", "f": 3},
            {"kind": "krum", "f": 3},
            {"kind": "nnm", "f": 3, "then": "median"},
            {"kind": "centred-clipping", "tau": 0.5},
        ],
    )
    def test_a_robust_rule_learns_where_the_mean_does_not(self, attack, aggregator):
        robust, mean = core_of(attack, (0, 4, 7), aggregator=aggregator), core_of(attack, (0, 4, 7))
        for core in (robust, mean):
            play(core, 15)
        accuracy = [core.evaluate()[0][0] for core in (robust, mean)]
        assert accuracy[0] > 0.6
        assert attack == "sign-flip" or accuracy[1] < 0.3

    def test_what_makes_no_sense_is_refused(self):
        with pytest.raises(ValueError, match="quadratics have no labels"):
            core_of("label-flip", name="quadratic")
        with pytest.raises(ValueError, match="attack: None, expected one"):
            core_of().mark_liars(0, np.zeros(N, dtype=bool))
        with pytest.raises(ValueError, match="did you mean 'sign-flip'"):
            core_of("sign-flop")
        model = make_model("softmax", DIGITS)
        made = FederatedCore(DIGITS, model, 1, N, trainer=make_trainer("numpy", DIGITS, model))
        with pytest.raises(ValueError, match="expected a trainer by name"):
            made.threaten("label-flip")


def core_task(kind):
    if kind == "quadratic":
        return quadratic_problem(
            core_of(name=kind).settings, N, np.zeros(N, int), 1, np.random.default_rng(0)
        )
    return partition(DIGITS, N, np.zeros(N, dtype=int), 1, "iid", np.random.default_rng(0))
