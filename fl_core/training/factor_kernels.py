"""Compiled steps on low-rank factors: expand them to parameters, bring the gradient back, descend.

A model's kernel knows how its gradient comes about, and calls these before and after it. Parameters and
gradient pass in flat order. What is trained lies in `w`, padded to whole vectors, and so do its gradient and
moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats32, Ints
from ...common.compiled import inner
from ..models import FineTuned, View
from .descent_kernels import LANES, adamw, clear, descend, pull


class FactorLayout(NamedTuple):
    """See `View`; with the base that the factors are added to."""

    base: Floats32  # [P]
    at: Ints
    rows: Ints
    columns: Ints
    b_at: Ints
    a_at: Ints
    rank: int
    scale: np.float32
    whole: Ints
    fixed: Floats32
    num_trained: int


class FactorWork(NamedTuple):
    """Scratch of one thread."""

    w: Floats32  # what is trained, padded
    g: Floats32  # its gradient
    m: Floats32  # moments
    v: Floats32
    anchor: Floats32  # what a step is drawn to
    values: Floats32  # trained and fixed factors
    slopes: Floats32  # their gradient
    full: Floats32  # [P] parameters
    full_slopes: Floats32  # [P] their gradient
    nothing: Floats32  # [P] zeros, to be subtracted from it


def factor_layout(model: FineTuned, view: View) -> FactorLayout:
    """The layout of a fine-tuned model."""
    parts = (view.at, view.rows, view.columns, view.b_at, view.a_at, view.rank, view.scale, view.whole)
    return FactorLayout(model.base, *parts, view.fixed, view.count)


@inner(cache=True)
def make_factor_work(view):  # type: ignore[no-untyped-def]
    """Blank scratch."""
    padded = (view.num_trained + LANES - 1) // LANES * LANES
    values, size = view.num_trained + view.fixed.size, view.base.size
    return FactorWork(
        np.zeros(padded, np.float32),
        np.zeros(padded, np.float32),
        np.zeros(padded, np.float32),
        np.zeros(padded, np.float32),
        np.zeros(padded, np.float32),
        np.zeros(values, np.float32),
        np.zeros(values, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
    )


@inner(cache=True)
def expand(view, work):  # type: ignore[no-untyped-def]
    """Fill `full` with the parameters that `w` stands for."""
    full, values, count = work.full, work.values, view.num_trained
    for p in range(count):
        values[p] = work.w[p]
    for p in range(view.fixed.size):
        values[count + p] = view.fixed[p]
    for p in range(full.size):
        full[p] = view.base[p]
    for p in range(view.whole.size):
        full[view.whole[p]] = values[p]
    for k in range(view.at.size):
        columns = view.columns[k]
        for o in range(view.rows[k]):
            begin = view.at[k] + o * columns
            for r in range(view.rank):
                b = view.scale * values[view.b_at[k] + o * view.rank + r]
                a_at = view.a_at[k] + r * columns
                for i in range(columns):
                    full[begin + i] += b * values[a_at + i]


@inner(cache=True, fastmath={"reassoc"})  # lets sums run in parallel; nan and inf stay
def project(view, work):  # type: ignore[no-untyped-def]
    """Fill `g` with the gradient of what is trained, from `full_slopes`."""
    values, slopes, full_slopes = work.values, work.slopes, work.full_slopes
    clear(slopes, 0, slopes.size)
    for p in range(view.whole.size):
        slopes[p] = full_slopes[view.whole[p]]
    for k in range(view.at.size):
        columns = view.columns[k]
        for o in range(view.rows[k]):
            begin = view.at[k] + o * columns
            for r in range(view.rank):
                b_at, a_at = view.b_at[k] + o * view.rank + r, view.a_at[k] + r * columns
                total = np.float32(0.0)
                for i in range(columns):
                    total += full_slopes[begin + i] * values[a_at + i]
                slopes[b_at] = view.scale * total
                b = view.scale * values[b_at]
                for i in range(columns):
                    slopes[a_at + i] += b * full_slopes[begin + i]
    for p in range(view.num_trained):
        work.g[p] = slopes[p]


@inner(cache=True)
def begin_factors(j, jobs, how, out, work):  # type: ignore[no-untyped-def]
    """Set out from where job j starts, with the moments it has."""
    start, origin, _, _, correction, _ = jobs
    home = start[origin[j]]
    for p in range(home.size):
        work.w[p] = home[p]
        work.anchor[p] = np.float32(how.prox_mu) * home[p]
        if correction.shape[0] > 0:
            work.anchor[p] -= correction[j, p]
        if how.adamw:
            work.m[p], work.v[p] = out[3][j, p], out[4][j, p]


@inner(cache=True)
def step_factors(j, rate, view, how, out, work):  # type: ignore[no-untyped-def]
    """One step of job j, once `full_slopes` has the gradient."""
    project(view, work)
    pull(work.g, work.w, np.float32(how.weight_decay + how.prox_mu), work.anchor)
    if how.adamw:
        out[5][j] += 1
        adamw(work.w, work.g, work.m, work.v, out[5][j], rate, how)
    else:
        descend(work.w, work.g, np.float32(rate))


@inner(cache=True)
def end_factors(j, jobs, how, out, work):  # type: ignore[no-untyped-def]
    """Write what job j has changed, its length, and the moments."""
    home, square = jobs[0][jobs[1][j]], 0.0
    for p in range(home.size):
        moved = work.w[p] - home[p]
        out[0][j, p] = moved
        square += np.float64(moved) * np.float64(moved)
        if how.adamw:
            out[3][j, p], out[4][j, p] = work.m[p], work.v[p]
    out[2][j] = np.float32(np.sqrt(square))
