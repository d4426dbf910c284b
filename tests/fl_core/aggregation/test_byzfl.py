"""Robust rules against byzfl, an independent library of them; skipped where it is not installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import numpy as np
import pytest
from own_updates import centre

from frugalfl.fl_core.aggregation import AGGREGATORS, ATTACKS

SPEC = importlib.util.find_spec("byzfl")
pytestmark = pytest.mark.skipif(SPEC is None, reason="byzfl is not installed")
CASES = [(n, p, f, seed) for n, p, f in ((7, 3, 1), (11, 1, 3), (12, 40, 4), (25, 650, 6)) for seed in (0, 1)]


@pytest.fixture
def library(monkeypatch):
    """Its modules by name. Its door, which loads a data loader and plots, is left shut."""
    assert SPEC is not None
    door = importlib.util.module_from_spec(SPEC)
    monkeypatch.setitem(sys.modules, "byzfl", door)
    return lambda name: importlib.import_module(f"byzfl.{name}")


def ours(spec, x):
    return centre(spec, x)[0]


def drawn(n, p, f, seed):
    """Honest updates, and f far away."""
    x = np.random.default_rng(seed).normal(size=(n, p))
    x[:f] = 4 * x[:f] + 7
    return x


@pytest.mark.parametrize(("n", "p", "f", "seed"), CASES)
def test_rules_agree(library, n, p, f, seed):
    theirs, x = library("aggregators.aggregators"), drawn(n, p, f, seed)
    for spec, rule in (
        ("median", theirs.Median()),
        ({"kind": "trimmed-mean", "f": f}, theirs.TrMean(f)),
        # Theirs sums over n - f - 1 neighbours, the paper (and ours) over n - f - 2.
        ({"kind": "krum", "f": f}, theirs.Krum(f + 1)),
        ({"kind": "multi-krum", "f": f, "m": n - f - 1}, theirs.MultiKrum(f + 1)),
        ({"kind": "centred-clipping", "tau": 2.5, "steps": 6}, theirs.CenteredClipping(None, 6, 2.5)),
    ):
        np.testing.assert_allclose(ours(spec, x), rule(x.copy()), rtol=1e-10, atol=1e-10, err_msg=str(spec))


@pytest.mark.parametrize(("n", "p", "f", "seed"), CASES)
def test_the_geometric_medians_meet(library, n, p, f, seed):
    theirs, x = library("aggregators.aggregators"), drawn(n, p, f, seed)
    apart = np.linalg.norm(x - np.median(x, axis=0), axis=1)
    found = theirs.GeometricMedian(nu=float(0.1 * np.median(apart)), T=3000)(x.copy())
    np.testing.assert_allclose(ours({"kind": "geometric-median", "steps": 3000}, x), found, atol=1e-6)


@pytest.mark.parametrize(("n", "p", "f", "seed"), CASES)
@pytest.mark.parametrize("then", ["median", "trimmed-mean", "krum"])
def test_mixing_agrees(library, n, p, f, seed, then):
    rules, mixing, x = (
        library("aggregators.aggregators"),
        library("aggregators.preaggregators"),
        drawn(n, p, f, seed),
    )
    rule = {"median": rules.Median(), "trimmed-mean": rules.TrMean(f), "krum": rules.Krum(f + 1)}[then]
    spec = then if then == "median" else {"kind": then, "f": f}
    found = rule(np.asarray(mixing.NNM(f)(x.copy())))
    np.testing.assert_allclose(ours({"kind": "nnm", "f": f, "then": spec}, x), found, rtol=1e-10, atol=1e-10)


def test_every_rule_of_theirs_that_is_ours_too_is_compared():
    assert {
        "krum",
        "multi-krum",
        "trimmed-mean",
        "median",
        "geometric-median",
        "centred-clipping",
        "nnm",
    } < set(AGGREGATORS.names())


@pytest.mark.parametrize(("n", "p", "f", "seed"), CASES)
def test_attacks_agree(library, n, p, f, seed):
    theirs, x = library("attacks.attacks"), drawn(n, p, 0, seed)
    own = np.zeros((f, p))
    spread = np.sqrt((n - 1) / n)  # theirs divides by n - 1, and goes the other way
    for spec, lie in (
        ({"kind": "ipm", "epsilon": 0.4}, theirs.InnerProductManipulation(0.4)(x.copy())),
        ({"kind": "alie", "z": 1.2}, theirs.ALittleIsEnough(-1.2 * spread)(x.copy())),
    ):
        made = ATTACKS.make(spec)
        np.testing.assert_allclose(
            made.lies(0, x, own), np.repeat(lie[None], f, axis=0), rtol=1e-10, atol=1e-10
        )
