"""A situation from its fields: what may be missing, and what one number stands for."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.envs.contract import PAST, Situation
from frugalfl.worlds import FederatedWorld, load_scenario


@pytest.fixture(scope="module")
def fields():
    world = FederatedWorld(load_scenario("quadratic"), 3)
    world.reset(np.ones(3, dtype=bool), np.arange(3))
    return world.situation().flat()


def test_it_is_itself_again(fields):
    again = Situation.of(**fields).flat()
    assert all(np.array_equal(again[name], value, equal_nan=True) for name, value in fields.items())


def test_what_nobody_need_know_may_be_missing(fields):
    optional = {"busy", "probed_loss", "upload_bytes", "label_skew", "announced_share", "best_accuracy"}
    optional |= {name for name in fields if name.startswith(("past_", "last_hours", "last_g", "last_k"))}
    optional |= {"last_invited", "last_completed"}
    least = {name: value for name, value in fields.items() if name not in optional}
    situation = Situation.of(**least)
    assert situation.terms.label_skew.tolist() == situation.terms.announced_share.tolist() == [0.0] * 3
    assert not situation.clients.busy.any()
    run = situation.run
    assert np.array_equal(run.past_accuracy, np.repeat(run.accuracy[:, None], PAST, axis=1))
    assert np.array_equal(run.past_loss[:, 0], run.loss) and np.array_equal(run.best_accuracy, run.accuracy)
    assert run.last_hours.tolist() == run.last_invited.tolist() == [0, 0, 0]


def test_one_number_stands_for_all_environments(fields):
    situation = Situation.of(**fields | {"sample_bytes": 5, "overhead_s": 7.0})
    assert situation.terms.sample_bytes.tolist() == [5.0] * 3
    assert situation.terms.overhead_s.tolist() == [7.0] * 3


def test_each_environments_samples_have_their_own_size(fields):
    situation = Situation.of(**fields | {"sample_bytes": np.array([1.0, 10.0, 100.0])})
    more = situation.round_bytes(3) - situation.round_bytes()
    np.testing.assert_allclose(more, np.broadcast_to([[3.0], [30.0], [300.0]], more.shape), rtol=1e-6)
    later_s = (situation.round_s(1, 3) - situation.round_s(1)) * situation.clients.down_bytes_per_s
    np.testing.assert_allclose(later_s, more, rtol=1e-3)
