"""Overlays against brute force: all circuits, all trees, all rings of small networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.envs.round import BUILDERS, Network, best, cycle_time_s, mbst, mst, ring, star


def network_of(n, seed, access=True):
    """Silos scattered on a plane; without `access` only the links between them limit."""
    rng = np.random.default_rng(seed)
    place = rng.random((n, 2))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    unlimited = np.full(n, 1e12)
    return Network(
        compute_s=rng.uniform(0.0, 0.2, n),
        up_bytes_per_s=rng.uniform(1e6, 1e7, n) if access else unlimited,
        down_bytes_per_s=rng.uniform(1e6, 1e7, n) if access else unlimited,
        model_bytes=5e6,
        latency_s=distance * (0.1 if access else 3.0),
        core_bytes_per_s=None if access else np.full((n, n), 5e7),
    )


def largest_circuit_mean(delay):
    """Over all elementary circuits, one by one."""
    n, found = len(delay), []
    for length in range(1, n + 1):
        for first, *rest in itertools.permutations(range(n), length):
            if rest and min(rest) < first:
                continue
            circuit = [first, *rest]
            found.append(sum(delay[a, b] for a, b in zip(circuit, [*rest, first], strict=True)) / length)
    return max(found)


def all_trees(n):
    """Every labelled tree, from its Pruefer code."""
    for code in itertools.product(range(n), repeat=n - 2):
        degree = 1 + np.bincount(np.array(code, dtype=int), minlength=n)
        overlay = np.zeros((n, n), dtype=bool)
        for silo in code:
            leaf = int(np.flatnonzero(degree == 1)[0])
            overlay[leaf, silo] = overlay[silo, leaf] = True
            degree[[leaf, silo]] -= 1
        a, b = np.flatnonzero(degree == 1)
        overlay[a, b] = overlay[b, a] = True
        yield overlay


def all_rings(n):
    for rest in itertools.permutations(range(1, n)):
        overlay = np.zeros((n, n), dtype=bool)
        order = np.array([0, *rest])
        overlay[order, np.roll(order, -1)] = True
        yield overlay


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 6), density=st.floats(0.0, 1.0), seed=st.integers(0, 10_000))
def test_the_cycle_time_is_the_largest_mean_over_all_circuits(n, density, seed):
    rng = np.random.default_rng(seed)
    delay = np.where(rng.random((n, n)) < density, rng.uniform(-5, 5, (n, n)), -np.inf)
    assert cycle_time_s(delay) == pytest.approx(largest_circuit_mean(delay))


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(sorted(BUILDERS)), n=st.integers(2, 9), seed=st.integers(0, 1000))
def test_rounds_follow_each_other_at_the_cycle_time(name, n, seed):
    """The recursion itself: silo j begins round k + 1 when its own work and all it waits for are there."""
    network = network_of(n, seed)
    overlay = BUILDERS[name](network)
    delay, begins_s = network.delay_s(overlay), np.zeros(n)
    for _ in range(400):
        begins_s = (begins_s[:, None] + delay).max(axis=0)
    halfway_s = begins_s.copy()
    for _ in range(12 * n * (n + 1)):
        begins_s = (begins_s[:, None] + delay).max(axis=0)
    rate_s = (begins_s - halfway_s).max() / (12 * n * (n + 1))
    assert rate_s == pytest.approx(network.cycle_time_s(overlay), rel=1e-2)


@pytest.mark.parametrize("name", sorted(BUILDERS))
@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_every_overlay_joins_everybody(name, n):
    overlay = BUILDERS[name](network_of(n, n))
    assert not overlay.diagonal().any()
    reach = np.linalg.matrix_power(overlay.astype(float) + np.eye(n), n)
    assert (reach > 0).all()
    if name in ("mst", "mbst", "star"):
        np.testing.assert_array_equal(overlay, overlay.T)
        assert overlay.sum() == 2 * (n - 1)
    if name == "ring" and n > 1:
        assert (overlay.sum(axis=0) == 1).all() and (overlay.sum(axis=1) == 1).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_spanning_tree_is_the_best_tree_where_access_is_no_bottleneck(seed):
    network = network_of(6, seed, access=False)
    fastest = min(network.cycle_time_s(tree) for tree in all_trees(6))
    assert network.cycle_time_s(mst(network)) == pytest.approx(fastest)


def test_bounded_degrees_come_close_to_the_best_tree_where_access_is_the_bottleneck():
    ratios = []
    for seed in range(12):
        network = network_of(6, seed)
        fastest = min(network.cycle_time_s(tree) for tree in all_trees(6))
        ratios.append(network.cycle_time_s(mbst(network)) / fastest)
    assert min(ratios) >= 1 - 1e-12 and max(ratios) <= 6
    assert np.mean(ratios) < 1.3


def test_the_ring_comes_close_to_the_best_ring():
    ratios = []
    for seed in range(12):
        network = network_of(7, seed)
        fastest = min(network.cycle_time_s(overlay) for overlay in all_rings(7))
        ratios.append(network.cycle_time_s(ring(network)) / fastest)
    assert min(ratios) >= 1 - 1e-12 and max(ratios) <= 3 * 7
    assert np.mean(ratios) < 1.1


def test_delays_share_the_access_links():
    network = Network(np.array([1.0, 2.0, 3.0]), np.array([4.0, 1e9, 1e9]), np.array([1e9, 1e9, 2.0]), 8.0)
    overlay = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=bool)
    delay = network.delay_s(overlay)
    assert delay[0, 1] == pytest.approx(1 + 8 / (4 / 2))
    assert delay[0, 2] == pytest.approx(1 + 8 / 2)
    assert delay[1, 0] == pytest.approx(2) and delay[1, 1] == 2
    assert delay[1, 2] == -np.inf
    both = [delay[0, 1] + delay[1, 0], delay[0, 2] + delay[2, 0]]
    assert network.cycle_time_s(overlay) == pytest.approx(max(*both, 6) / 2)


def test_of_equally_fast_overlays_the_best_has_the_fewest_arcs():
    """One slow silo decides alone: its own work is the circuit with the largest mean."""
    compute_s = np.array([100.0, 1.0, 1.0, 1.0, 1.0])
    network = Network(compute_s, np.full(5, 1e6), np.full(5, 1e6), 1e6)
    assert all(network.cycle_time_s(build(network)) == 100.0 for build in BUILDERS.values())
    assert best(network).sum() == 5


def test_a_slow_middle_is_what_overlays_are_for():
    """The paper's claim in kind: the more silos share the centre's link, the more rings and trees gain."""
    gains = []
    for n in (5, 10, 20):
        network = Network(np.full(n, 0.1), np.full(n, 1e6), np.full(n, 1e6), 1e6)
        star_s, ring_s = (network.cycle_time_s(build(network)) for build in (star, ring))
        assert network.cycle_time_s(best(network)) <= min(star_s, ring_s)
        gains.append(star_s / ring_s)
    assert gains == sorted(gains) and gains[-1] > 9
