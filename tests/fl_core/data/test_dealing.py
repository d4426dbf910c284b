"""Dealing rows, compiled, to the last bit what its plain formula in arrays gives."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import Partition
from frugalfl.fl_core.data.partitions import balanced


def plain_balance(appetite, supply):
    """Sinkhorn's scaling in arrays."""
    size, share = appetite.sum(axis=1), appetite.copy()
    for _ in range(30):
        share *= supply / np.maximum(share.sum(axis=0), 1e-300)
        share *= (size / np.maximum(share.sum(axis=1), 1e-300))[:, None]
    return share


def plain_deal(labels, num_classes, appetite):
    """One label after the other, cut where the clients' shares of it add up."""
    client = np.empty(labels.size, dtype=np.int64)
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    share = plain_balance(appetite, counts / max(1.0, counts.sum()))
    for label in np.flatnonzero(counts):
        of_label = np.flatnonzero(labels == label)
        wanted = np.cumsum(share[:, label]) / share[:, label].sum()
        cuts = np.round(wanted * of_label.size).astype(np.int64)
        client[of_label] = np.searchsorted(cuts, np.arange(of_label.size), side="right")
    return client


@settings(max_examples=60, deadline=None)
@example(clients=139, classes=1, rows=200, concentration=0.3, seed=0)
@given(
    clients=st.integers(1, 140),
    classes=st.sampled_from([1, 2, 7, 8, 9, 10, 16, 17, 62, 128, 129, 300]),
    rows=st.integers(1, 1500),
    concentration=st.sampled_from([0.01, 0.3, 5.0]),
    seed=st.integers(0, 2**31),
)
def test_rows_go_where_the_plain_formula_sends_them(clients, classes, rows, concentration, seed):
    rng = np.random.default_rng(seed)
    known = int(rng.integers(1, classes + 1))  # some labels that no row has
    dataset = SimpleNamespace(num_classes=classes, y_train=rng.integers(0, known, rows).astype(np.int32))
    appetite = (
        rng.dirichlet(np.full(classes, concentration), clients) * rng.dirichlet(np.ones(clients))[:, None]
    )
    appetite += 1e-12
    order = rng.permutation(rows)
    found = Partition.deal(None, dataset, order, appetite, rng)
    assert np.array_equal(found, plain_deal(dataset.y_train[order], classes, appetite))
    supply = rng.dirichlet(np.ones(classes))
    assert np.array_equal(balanced(appetite, appetite.sum(axis=1), supply), plain_balance(appetite, supply))


@pytest.mark.parametrize("shape", [(3, 2), (5, 10), (4, 17)])
def test_python_does_as_the_compiler_does(shape):
    appetite = np.random.default_rng(1).random(shape)
    arguments = appetite, appetite.sum(axis=1), np.full(shape[1], 1.0 / shape[1])
    plain = getattr(balanced, "python", balanced)
    assert np.array_equal(plain(*arguments), balanced(*arguments))


def test_medians_are_numpys():
    from frugalfl.envs.agent_view.encoder import _medians

    for count in (1, 2, 7, 100):
        rows = np.random.default_rng(count).random((6, count))
        assert np.array_equal(_medians(rows), np.median(rows, axis=1))
