"""The algebra of the quadratics, against the library of linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.quadratics import QuadraticProblem, expand, hessians, minimiser, value


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_hessians_have_their_spectrum_and_the_basis_of_a_qr(n, d, seed):
    rng = np.random.default_rng(seed)
    normal, spectrum = rng.standard_normal((n, d, d)), rng.uniform(0.1, 9.0, (n, d))
    drawn = hessians(normal, spectrum)
    assert np.array_equal(drawn, drawn.transpose(0, 2, 1))
    assert np.allclose(np.linalg.eigvalsh(drawn), np.sort(spectrum, axis=1))
    basis, _ = np.linalg.qr(normal)
    assert np.allclose(drawn, np.einsum("kij,kj,klj->kil", basis, spectrum, basis), atol=1e-6)


@given(st.integers(1, 5), st.integers(1, 10), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_federation_is_the_weighted_sum_and_has_its_optimum(n, d, seed):
    rng = np.random.default_rng(seed)
    hessian = hessians(rng.standard_normal((n, d, d)), rng.uniform(0.2, 4.0, (n, d)))
    centre, weight, w = rng.standard_normal((n, d)), rng.dirichlet(np.ones(n)), rng.standard_normal(d)
    tables = np.empty((n + 1, d, d)), np.empty((n + 1, d)), np.empty(n + 1)
    expand(hessian, centre, weight, *tables)
    each = [0.5 * (w - centre[k]) @ hessian[k] @ (w - centre[k]) for k in range(n)]
    for k, expected in enumerate([*each, weight @ each]):
        assert np.isclose(value(w, tables[0][k], tables[1][k], tables[2][k]), expected)
    best = minimiser(tables[0][-1], tables[1][-1])
    assert np.allclose(best, np.linalg.solve(tables[0][-1], tables[1][-1]))


def test_a_federation_without_a_minimum_is_refused():
    problem = QuadraticProblem(
        np.diag([1.0, -2.0])[None],
        np.ones((1, 2)),
        np.ones(1),
        np.ones(1, "i4"),
        np.ones(1, "i4"),
        np.zeros(2),
    )
    with pytest.raises(ValueError, match="not positive definite"):
        _ = problem.expanded
