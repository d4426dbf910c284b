"""Worlds that ask how much: from episode to episode it costs nothing, or all that training could gain."""

from __future__ import annotations

import numpy as np
import pytest
from own_worlds import begun

from frugalfl.envs.scenario import load_scenario

SEEDS = np.arange(200)
NONE = np.zeros(len(SEEDS))


@pytest.fixture(scope="module")
def outposts():
    return begun(load_scenario("outposts"), SEEDS).situation()


@pytest.fixture(scope="module")
def roaming():
    return begun(load_scenario("roaming"), SEEDS).situation()


def of_a_client(situation):
    """Points `[E]` that the bytes of one more participant cost, which begins its session."""
    terms = situation.terms
    moved = terms.model_bytes + terms.upload_bytes + situation.clients.setup_bytes.max(axis=1)
    return terms.points(NONE, moved / 1e9, NONE)


def of_a_round(situation):
    """Points `[E]` that the hours cost in which a round is arranged."""
    return situation.terms.points(situation.terms.overhead_s / 3600, NONE, NONE)


def test_sending_all_rows_is_for_some_free_and_for_some_out_of_the_question(outposts):
    all_rows = outposts.terms.points(NONE, 120 * outposts.terms.sample_bytes / 1e9, NONE)
    assert np.quantile(all_rows, 0.2) < 0.5
    assert np.quantile(all_rows, 0.9) > 50
    assert (outposts.clients.storage_left == 120).all()


def test_one_more_phone_costs_ten_rounds_or_a_thirtieth_of_one(roaming):
    ratio = of_a_client(roaming) / of_a_round(roaming)
    assert np.quantile(ratio, 0.1) < 0.03
    assert np.quantile(ratio, 0.9) > 10
    assert 0.1 < np.median(ratio) < 2


@pytest.mark.parametrize("world", ["outposts", "roaming"])
def test_what_differs_is_told(world, request):
    terms = request.getfixturevalue(world).terms
    for told in (terms.price_per_hour, terms.price_per_gb, terms.price_per_kg, terms.label_skew):
        assert len(set(told.tolist())) == len(SEEDS)
