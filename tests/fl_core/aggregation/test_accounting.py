"""Privacy without sampling: the exact epsilon of Gaussian mechanisms one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from frugalfl.fl_core.aggregation import epsilon, epsilon_bound


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 5), st.integers(1, 50), st.sampled_from([1e-2, 1e-5, 1e-8]))
def test_it_is_the_epsilon_at_which_the_failure_probability_is_delta(sigma, rounds, delta):
    """By integrating the definition: delta = int max(0, p - e^eps q) of N(mu, 1) and N(0, 1)."""
    mu, eps = math.sqrt(rounds) / sigma, epsilon_bound(sigma, rounds, delta)
    if eps == 0:
        assert 2 * norm.cdf(mu / 2) - 1 <= delta * (1 + 1e-9)
        return
    begins = eps / mu + mu / 2  # where p exceeds e^eps q

    def excess(x):
        return norm.pdf(x - mu) * (1 - math.exp(min(0.0, eps + mu**2 / 2 - mu * x)))

    found = quad(excess, begins, max(begins, mu) + 12, epsabs=0, epsrel=1e-9, limit=200)[0]
    assert found == pytest.approx(delta, rel=1e-4)


def test_noise_helps_rounds_and_certainty_cost():
    grid = [epsilon_bound(sigma, 10, 1e-5) for sigma in (0.5, 1, 2, 4)]
    assert grid == sorted(grid, reverse=True)
    grid = [epsilon_bound(1.0, rounds, 1e-5) for rounds in (0, 1, 2, 5, 20)]
    assert grid[0] == 0 and grid == sorted(grid)
    assert epsilon_bound(1.0, 5, 1e-8) > epsilon_bound(1.0, 5, 1e-3)
    assert np.isfinite(epsilon_bound(0.05, 1000, 1e-6))


def test_the_accountant_without_sampling_says_a_little_more():
    pytest.importorskip("dp_accounting")
    for sigma, rounds in ((0.8, 1), (3.0, 60)):
        exact, renyi = epsilon_bound(sigma, rounds, 1e-5), epsilon(sigma, 1.0, rounds, 1e-5)
        assert exact <= renyi <= 1.35 * exact


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ((0, 1, 0.1), "noise_multiplier: 0"),
        ((1.0, -1, 0.1), "participations: -1"),
        ((1.0, 1, 1.0), "delta: 1"),
    ],
)
def test_numbers_out_of_range_are_refused(args, match):
    with pytest.raises(ValueError, match=match):
        epsilon_bound(*args)
