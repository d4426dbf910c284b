"""The greedy's kernel gives the same numbers compiled and as plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers.parts import slot_greedy_kernels as kernels
from frugalfl.common.compiled import uses_numba


@pytest.mark.skipif(not uses_numba(), reason="nothing is compiled")
@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_plain_python_agrees_with_the_compiled_kernel(alpha):
    rng = np.random.default_rng(3)
    grams = rng.uniform(0.1, 5.0, (6, 9))
    order = np.argsort(grams, axis=1, kind="stable")
    free = np.array([9, 9, 4, 0, 1, 9])
    results = []
    for fill in (kernels.fill_cells, kernels.fill_cells.python):
        chosen, spared = np.zeros(grams.shape, dtype=bool), np.linspace(0.0, 2.0, 6)
        fill(grams, order, free, chosen, spared, float(grams.max()), 30.0, alpha)
        results.append((chosen, spared))
    (compiled, compiled_spared), (plain, plain_spared) = results
    assert compiled.any()
    assert np.array_equal(compiled, plain)
    assert np.array_equal(compiled_spared, plain_spared)
