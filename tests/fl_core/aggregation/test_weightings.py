"""Aggregation rules against the table of expectations: who is selected how, and what is then unbiased."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.aggregation import AGGREGATORS, Arrivals, BySamples, Given, Unbiased, Uniform
from frugalfl.fl_core.training import LocalTraining

K, P, ROUNDS = 6, 3, 20_000
RNG = np.random.default_rng(0)
ALPHA = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
DELTA = RNG.normal(size=(K, P)).astype(np.float32)
TARGET = ALPHA @ DELTA
NONE = np.zeros((1, P))  # these rules do not look at the model


def arrivals(selected, rate=None, given=None):
    """One environment per row of ``selected [rounds, K]``, so that many rounds are one call."""
    env, client = np.nonzero(selected)
    spread = lambda values: None if values is None else np.broadcast_to(values, selected.shape)[env, client]
    return Arrivals(
        env=env,
        client=client,
        span=np.searchsorted(env, np.arange(len(selected) + 1)),
        steps=np.ones(env.size, dtype=np.int64),
        held=(ALPHA[client] * 100).round().astype(np.int64),
        target_weight=ALPHA[client],
        rate=spread(rate),
        given=spread(given),
        staleness=np.zeros(env.size, dtype=np.int64),
        delta=DELTA[client],
        num_clients=K,
        training=LocalTraining(),
        decay=np.ones(env.size),
        round_decay=np.ones(len(selected)),
    )


def mean_and_error(steps):
    return steps.mean(axis=0), 4 * steps.std(axis=0) / np.sqrt(len(steps)) + 1e-6


def without_replacement(m):
    order = RNG.random((ROUNDS, K)).argsort(axis=1)
    return order < m


def test_all_clients_by_samples_is_the_objective():
    assert np.allclose(BySamples().step(arrivals(np.ones((1, K), dtype=bool)), NONE)[0], TARGET, atol=1e-6)


def test_uniform_without_replacement_needs_k_alpha_over_m():
    mean, error = mean_and_error(Given().step(arrivals(without_replacement(2), given=K * ALPHA / 2), NONE))
    assert (abs(mean - TARGET) < error).all()
    plain, error = mean_and_error(Uniform().step(arrivals(without_replacement(2)), NONE))
    assert (abs(plain - TARGET) > error).any()  # averages the clients, not the objective
    assert (abs(plain - DELTA.mean(axis=0)) < error).all()


def test_draws_with_replacement_weigh_each_draw_equally():
    draws = RNG.choice(K, (ROUNDS, 3), p=ALPHA)
    count = (draws[:, :, None] == np.arange(K)).sum(axis=1)
    mean, error = mean_and_error(Given().step(arrivals(count > 0, given=count / 3), NONE))
    assert (abs(mean - TARGET) < error).all()


def test_weighted_draws_without_replacement_are_biased():
    # Efraimidis and Spirakis: exponential clocks give successive weighted draws without replacement.
    selected = (RNG.exponential(size=(ROUNDS, K)) / ALPHA).argsort(axis=1).argsort(axis=1) < 3
    mean, error = mean_and_error(Uniform().step(arrivals(selected), NONE))
    assert (abs(mean - TARGET) > 3 * error).any()


def test_known_rates_are_unbiased_and_active_mean_is_not():
    rate = np.array([0.9, 0.1, 0.5, 0.7, 0.3, 0.2])
    selected = RNG.random((ROUNDS, K)) < rate
    mean, error = mean_and_error(Unbiased().step(arrivals(selected, rate=rate), NONE))
    assert (abs(mean - TARGET) < error).all()
    mean, error = mean_and_error(BySamples().step(arrivals(selected), NONE))
    assert (abs(mean - TARGET) > 3 * error).any()


def test_absent_counted_as_zero_tends_to_alpha_times_rate():
    rate = np.array([0.9, 0.1, 0.5, 0.7, 0.3, 0.2])
    mean, error = mean_and_error(Given().step(arrivals(RNG.random((ROUNDS, K)) < rate, given=ALPHA), NONE))
    assert (abs(mean - (ALPHA * rate) @ DELTA) < error).all()


def test_unbiased_floors_tiny_rates():
    selected = np.eye(1, K, dtype=bool)
    step = Unbiased(min_rate=0.25).step(arrivals(selected, rate=np.full(K, 1e-9)), NONE)
    assert np.allclose(step[0], ALPHA[0] / 0.25 * DELTA[0])


def test_nothing_arrived_is_no_step():
    for aggregator in (BySamples(), Uniform(), Unbiased(), Given()):
        step = aggregator.step(
            arrivals(np.zeros((2, K), dtype=bool), rate=np.ones(K), given=np.ones(K)), NONE
        )
        assert not step.any()
        assert step.shape == (2, P)


def test_missing_arguments_and_names_are_explained():
    with pytest.raises(ValueError, match="rates: None"):
        Unbiased().step(arrivals(np.ones((1, K), dtype=bool)), NONE)
    with pytest.raises(ValueError, match="weights: None"):
        Given().step(arrivals(np.ones((1, K), dtype=bool)), NONE)
    with pytest.raises(ValueError, match="did you mean 'uniform'"):
        AGGREGATORS.make("unifrom")
    with pytest.raises(ValueError, match="min_rate: 0"):
        AGGREGATORS.make({"kind": "unbiased", "min_rate": 0})
