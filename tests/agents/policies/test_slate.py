"""Slates: the probability of a set against brute force, exact log-probabilities, draws, masks, any N."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.agents.policies.client_set import ClientSet, available_clients
from frugalfl.agents.policies.packed import Choices
from frugalfl.agents.policies.slate import (
    SLATE_SIZES,
    SlateActions,
    masked_slate,
    rank_of,
    set_log_prob,
    size_index,
    sizes_possible,
)

CHOICES = Choices(waits=3, quorums=2, further=(), levels=4, transfers=3)
SERVER, EACH = 3 + 2 + len(SLATE_SIZES), 1 + 3 + 3


def clients_of(available):
    """The packed set of a bool `[B, N]`."""
    available = th.as_tensor(available)
    features = th.stack([available.double(), th.rand(available.shape, dtype=th.double)], dim=2)
    return available_clients({"clients": features})


def some_clients(seed=0, batch=6, n=7):
    rng = np.random.default_rng(seed)
    available = rng.random((batch, n)) < 0.6
    available[0] = False
    return clients_of(available), rng


def slate_of(seed=0, batch=6, n=7, scale=1.0, storage=None):
    clients, rng = some_clients(seed, batch, n)
    server = th.as_tensor(scale * rng.normal(size=(batch, SERVER)))
    each = th.as_tensor(scale * rng.normal(size=(len(clients.row), EACH))).requires_grad_()
    return SlateActions(CHOICES, server, each, clients, storage), clients, server, each


def by_orders(weights, members):
    """The chance of a set: the sum over the orders in which it may be drawn."""
    total = 0.0
    for order in itertools.permutations(members):
        left, chance = sum(weights), 1.0
        for client in order:
            chance *= weights[client] / left
            left -= weights[client]
        total += chance
    return total


class TestSetLogProb:
    @settings(max_examples=60, deadline=None)
    @given(scores=st.lists(st.floats(-6.0, 6.0), min_size=2, max_size=7), data=st.data())
    def test_is_the_sum_over_all_orders(self, scores, data):
        members = data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1, max_size=5))
        clients = clients_of(np.ones((1, len(scores)), dtype=bool))
        member = th.tensor([index in members for index in range(len(scores))])
        found = set_log_prob(th.tensor(scores, dtype=th.double), member, clients)
        expected = math.log(by_orders([math.exp(score) for score in scores], sorted(members)))
        assert found.item() == pytest.approx(expected, abs=2e-4)

    @pytest.mark.parametrize("size", [1, 2, 4, 8])
    def test_all_sets_of_a_size_together_are_certain(self, size):
        scores = th.as_tensor(np.random.default_rng(size).normal(0, 2, 10))
        sets = list(itertools.combinations(range(10), size))
        clients = clients_of(np.ones((len(sets), 10), dtype=bool))
        member = th.zeros(len(sets), 10, dtype=th.bool)
        for row, each in enumerate(sets):
            member[row, list(each)] = True
        found = set_log_prob(scores.repeat(len(sets)), member.flatten(), clients)
        assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-4)

    def test_nobody_or_everybody_leaves_nothing_open(self):
        clients = clients_of(np.array([[True, True, False], [True, True, True], [False, False, False]]))
        member = th.tensor([True, True, False, False, False])
        found = set_log_prob(th.randn(5, dtype=th.double), member, clients)
        assert found.tolist() == [0.0, 0.0, 0.0]

    def test_gradients_are_those_of_finite_differences(self):
        clients = clients_of(np.ones((2, 6), dtype=bool))
        member = th.tensor([True, False, True, False, False, True] + [False] * 5 + [True])
        scores = th.as_tensor(np.random.default_rng(0).normal(0, 2, 12)).requires_grad_()
        assert th.autograd.gradcheck(lambda s: set_log_prob(s, member, clients), [scores])

    def test_far_apart_scores_stay_finite_in_single_precision(self):
        clients = clients_of(np.ones((1, 4), dtype=bool))
        scores = th.tensor([-80.0, 80.0, 0.0, 5.0]).requires_grad_()
        for members in ([0], [1], [0, 2], [1, 3]):
            member = th.zeros(4, dtype=th.bool)
            member[members] = True
            found = set_log_prob(scores, member, clients)
            (gradient,) = th.autograd.grad(found.sum(), scores)
            assert th.isfinite(found).all()
            assert th.isfinite(gradient).all()


def every_action(available):
    """All actions of one observation that differ in what the environment sees."""
    n = len(available)
    for wait in range(CHOICES.waits):
        if wait:
            yield [wait, 0, *[0] * n, *[0] * n]
            continue
        for quorum in range(CHOICES.quorums):
            options = [
                [(0, 0), *itertools.product(range(1, CHOICES.levels), range(CHOICES.transfers))]
                if here
                else [(0, 0)]
                for here in available
            ]
            for each in itertools.product(*options):
                if any(level for level, _ in each):
                    yield [0, quorum, *(level for level, _ in each), *(sent for _, sent in each)]


class TestActions:
    def test_the_probabilities_of_all_actions_sum_to_one(self):
        """Three clients of whom two are here: every effective action, with its log-probability."""
        available = [True, False, True]
        actions = th.tensor(list(every_action(available)))
        clients = clients_of(np.repeat([available], len(actions), axis=0))
        rng = np.random.default_rng(1)
        server = th.as_tensor(rng.normal(size=(1, SERVER))).repeat(len(actions), 1)
        each = th.as_tensor(rng.normal(size=(2, EACH))).repeat(len(actions), 1)
        log_prob = SlateActions(CHOICES, server, each, clients).log_prob(actions)
        assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-4)

    def test_draws_are_as_frequent_as_their_probabilities_say(self):
        draws, n = 40_000, 4
        clients = clients_of(np.ones((draws, n), dtype=bool))
        rng = np.random.default_rng(2)
        server = th.as_tensor(rng.normal(size=(1, SERVER))).repeat(draws, 1)
        each = th.as_tensor(rng.normal(size=(n, EACH))).repeat(draws, 1)
        slate = SlateActions(CHOICES, server, each, clients)
        th.manual_seed(0)
        actions = slate.sample()
        invited = actions[:, 2 : 2 + n] > 0
        log_prob = slate.log_prob(actions, effective_only=False)
        one = SlateActions(CHOICES, server[:1], each[:n], clients_of(np.ones((1, n), dtype=bool)))
        levels = one.level_chances(draws=2000)[0]
        assert th.allclose(levels.sum(dim=1), th.ones(n, dtype=th.double))
        frequency = th.stack([(actions[:, 2 : 2 + n] == level).double().mean(dim=0) for level in range(4)], 1)
        assert (frequency - levels).abs().max() < 0.03
        # exp(-log p) has mean = number of the actions with a chance: an unbiased check of the whole formula.
        sizes = {int(size) for size in invited.sum(dim=1)}
        assert sizes == {1, 2, 3, 4}
        count = sum(math.comb(n, m) * 3**m * 3**m for m in sizes) * 3 * 2
        assert (-log_prob).exp().mean().item() == pytest.approx(count, rel=0.25)

    @pytest.mark.parametrize("n", [3, 40, 2400])
    def test_among_equals_everybody_has_the_same_chance_and_whoever_is_away_none(self, n):
        here = np.arange(2 * n).reshape(2, n) % 3 != 1
        server = th.as_tensor(np.random.default_rng(5).normal(size=(2, SERVER)))
        each = th.zeros((int(here.sum()), EACH), dtype=th.double)
        slate = SlateActions(CHOICES, server, each, clients_of(here))
        invited = 1.0 - slate.level_chances(draws=2000)[:, :, 0].numpy()
        count = here.sum(axis=1)
        possible = sizes_possible(th.as_tensor(count)).numpy()
        chance = np.exp(server[:, 5:].numpy()) * possible
        held = np.minimum(SLATE_SIZES, count[:, None])
        mean_size = (chance * held).sum(axis=1) / chance.sum(axis=1)
        assert (invited[~here] == 0.0).all()
        assert invited.sum(axis=1) == pytest.approx(mean_size)
        assert invited[here] == pytest.approx(np.repeat(mean_size / count, count), abs=0.05)

    def test_the_mode_is_the_likeliest_size_and_the_best_scores(self):
        slate, clients, server, each = slate_of(3)
        actions = slate.mode()
        wanted = th.tensor(SLATE_SIZES)[
            server[:, 5:].masked_fill(~sizes_possible(clients.count), -9e9).argmax(1)
        ]
        for row in range(1, 6):
            own = (clients.row == row).nonzero().squeeze(1)
            best = own[each[own, 0].argsort(descending=True)][: int(wanted[row])]
            places = sorted((clients.place[best] % 7).tolist())
            assert (actions[row, 2:9] > 0).nonzero().squeeze(1).tolist() == places
        assert actions[0, 2:].sum() == 0  # nobody is there
        assert actions[0, 0] > 0  # so that it waits

    def test_waits_leave_the_slate_out_of_the_probability(self):
        slate, _, server, _ = slate_of(4)
        actions = slate.mode()
        actions[:, 0] = 2
        waits = server[:, :3].clone()
        waits[0, 0] = -1e8
        assert th.allclose(slate.log_prob(actions), waits.log_softmax(1)[:, 2])

    def test_gradients_reach_everything_and_are_finite(self):
        slate, _, _, each = slate_of(5)
        th.manual_seed(1)
        (slate.log_prob(slate.sample()).sum() + slate.entropy().sum()).backward()
        assert th.isfinite(each.grad).all()
        assert (each.grad.abs().sum(dim=0) > 0).all()

    def test_a_full_store_is_sent_nothing(self):
        clients, _ = some_clients(6)
        storage = th.arange(len(clients.row)) % 2 == 0
        slate, *_ = slate_of(6, storage=storage)
        for actions in (slate.mode(), slate.sample()):
            sent = actions[:, 9:].flatten()[clients.place]
            assert not sent[~storage].any()

    def test_the_entropy_of_one_sure_choice_is_zero(self):
        clients = clients_of(np.ones((1, 3), dtype=bool))
        server, each = th.full((1, SERVER), -200.0), th.full((3, EACH), -200.0)
        server[0, [0, 3, 5]] = 0.0
        each[0, [0, 1, 4]] = 0.0
        each[1:, [1, 4]] = 0.0
        assert SlateActions(CHOICES, server, each, clients).entropy().item() == pytest.approx(0.0, abs=1e-6)

    def test_permuted_clients_have_permuted_slates(self):
        slate, clients, server, each = slate_of(7, batch=3)
        th.manual_seed(0)
        actions = slate.sample()
        order = th.randperm(7)
        dense = clients.unpack(each)[:, order]
        available = clients.unpack(th.ones(len(clients.row), 1, dtype=th.double))[:, order, 0] > 0.5
        shuffled = clients_of(available)
        other = SlateActions(CHOICES, server, dense.flatten(0, 1)[shuffled.place], shuffled)
        moved = th.cat([actions[:, :2], actions[:, 2:9][:, order], actions[:, 9:][:, order]], dim=1)
        assert th.allclose(other.log_prob(moved), slate.log_prob(actions), atol=1e-9)

    @pytest.mark.parametrize("n", [1, 24, 2400])
    def test_counts_do_not_grow_with_the_clients(self, n):
        clients = clients_of(np.ones((50, n), dtype=bool))
        slate = SlateActions(CHOICES, th.zeros(50, SERVER), th.zeros(50 * n, EACH), clients)
        invited = (slate.sample()[:, 2 : 2 + n] > 0).sum(dim=1)
        assert invited.max() <= min(n, SLATE_SIZES[-1])
        assert invited.min() >= 1
        assert th.isfinite(slate.log_prob(slate.sample())).all()


class TestParts:
    @given(seed=st.integers(0, 1000))
    @settings(max_examples=20, deadline=None)
    def test_ranks_are_those_within_an_observation(self, seed):
        clients, rng = some_clients(seed, batch=4, n=6)
        score = th.as_tensor(rng.integers(0, 4, len(clients.row)).astype(float))
        rank = rank_of(score, clients)
        for row in range(4):
            own = score[clients.row == row].numpy()
            expected = np.argsort(np.argsort(-own, kind="stable"), kind="stable")
            assert rank[clients.row == row].tolist() == expected.tolist()

    def test_a_size_holds_everybody_only_where_it_is_the_first_that_can(self):
        possible = sizes_possible(th.tensor([0, 1, 2, 5, 6, 100]))
        assert possible.sum(dim=1).tolist() == [1, 1, 2, 5, 5, len(SLATE_SIZES)]
        assert size_index(th.tensor([1, 2, 5, 6, 16])).tolist() == [0, 1, 4, 4, 7]

    def test_masks_take_clients_levels_and_heads_away(self):
        _, clients, server, each = slate_of(8, batch=4)
        masks = th.ones(4, 3 + 2 + 7 * 4 + 7 * 3, dtype=th.bool)
        masks[:, 1] = False  # no short wait
        masks[:, 5 : 5 + 4] = th.tensor([True, False, False, False])  # client 0 is nobody's
        masks[:, 5 + 4 : 5 + 8] = th.tensor([True, False, True, False])  # client 1 has one level
        masks[:, 5 + 28 + 3 : 5 + 28 + 6] = th.tensor([True, False, False])  # and is sent nothing
        slate = SlateActions(CHOICES, *masked_slate(CHOICES, server, each, clients, masks))
        for _ in range(30):
            actions = slate.sample()
            assert not (actions[:, 0] == 1).any()
            assert not actions[:, 2].any()
            assert set(actions[:, 3].tolist()) <= {0, 2}
            assert not actions[:, 10].any()
        assert isinstance(clients.only(th.tensor([0, 1])), ClientSet)
