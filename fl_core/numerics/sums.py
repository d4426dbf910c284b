"""Sums over consecutive spans of jobs, always in the same order."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Floats, Ints
from ...common.compiled import kernel
from .threads import run_ranges

# Multiply-adds worth a thread.
_WORTH_A_THREAD = 500_000


@kernel(nogil=True)
def sum_range(begin, end, span, omega, delta, out):  # type: ignore[no-untyped-def]
    """Environments `begin:end` of `weighted_sums`."""
    for e in range(begin, end):
        for p in range(out.shape[1]):
            out[e, p] = 0.0
        for j in range(span[e], span[e + 1]):
            for p in range(out.shape[1]):
                out[e, p] += omega[j] * delta[j, p]


def weighted_sums(span: Ints, omega: Floats, delta: AnyArray) -> AnyArray:
    """`sum_j omega[j] delta[j]` over each environment's span, always in the order of j.

    Args:
        span: `[E + 1]`.
        omega: `[J]`.
        delta: `[J, P]`.

    Returns:
        `[E, P]` in the precision of `delta`; zero where a span is empty.
    """
    out: AnyArray = np.empty((span.size - 1, delta.shape[1]), dtype=delta.dtype)
    factor = omega.astype(delta.dtype)
    work = span * delta.shape[1]
    run_ranges(lambda begin, end: sum_range(begin, end, span, factor, delta, out), work, _WORTH_A_THREAD)
    return out


def span_sums(span: Ints, values: AnyArray) -> Floats:
    """Sum of `values [J]` over each environment's span, `[E]`, in a fixed order."""
    env = np.repeat(np.arange(span.size - 1), np.diff(span))
    sums: AnyArray = np.bincount(env, weights=values.astype(np.float64), minlength=span.size - 1)
    return sums
