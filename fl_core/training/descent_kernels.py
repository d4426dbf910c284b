"""Steps of local optimisers over whole packed vectors, for kernels that have the full gradient.

What is trained may be low-rank factors: a model's kernel, which knows how its gradient comes about, calls
`begin_factors` before the first and `step_factors` after every one. Parameters and gradient then pass in flat
order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.compiled import inner
from ..models import FineTuned, View
from . import simd
from .jobs import LocalJobs, Moments
from .settings import CLIP_EPSILON, LocalTraining

LANES = simd.LANES


class Descent(NamedTuple):
    """Settings of the steps; see `LocalTraining` and `AdamW`."""

    weight_decay: float
    prox_mu: float
    adamw: bool
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    decoupled: float = 0.0  # AdamW's weight decay
    clip_norm: float = 0.0  # 0 = any length


class TrainJobs(NamedTuple):
    """See `LocalJobs`; without a correction it has no rows."""

    start: Floats32
    origin: Ints
    first: Ints
    rows: Ints32
    correction: Floats32
    rates: Floats


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


class Updates(NamedTuple):
    """See `LocalUpdates`; without moments theirs have no rows."""

    delta: Floats32
    losses: Floats32
    norms: Floats32
    first: Floats32
    second: Floats32
    steps: Ints


def descent_of(settings: LocalTraining) -> Descent:
    """The settings as a kernel reads them."""
    plain, how = (settings.weight_decay, settings.prox_mu), settings.adamw
    if how is None:
        return Descent(*plain, False)
    return Descent(*plain, True, how.beta1, how.beta2, how.epsilon, how.weight_decay, how.clip_norm or 0.0)


def blank_updates(jobs: LocalJobs, settings: LocalTraining) -> tuple[Updates, Moments | None]:
    """Arrays to be filled by the kernels, and the moments among them."""
    count, size = jobs.origin.size, jobs.start.shape[1]
    moments = jobs.new_moments(settings)
    kept = Moments.blank(0, size) if moments is None else moments
    scores = (np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32))
    delta = np.empty((count, size), dtype=np.float32)
    return Updates(delta, *scores, kept.first, kept.second, kept.steps), moments


def factor_layout(model: FineTuned, view: View) -> FactorLayout:
    """The layout of a fine-tuned model."""
    parts = (view.at, view.rows, view.columns, view.b_at, view.a_at, view.rank, view.scale, view.whole)
    return FactorLayout(model.base, *parts, view.fixed, view.count)


@inner(cache=True)
def clear(values, begin, end):  # type: ignore[no-untyped-def]
    """`values[begin:end] = 0`; a loop, since numba takes seconds to compile an assignment to a slice."""
    for i in range(begin, end):
        values[i] = np.float32(0.0)


@inner(cache=True)
def pull(g, w, factor, anchor):  # type: ignore[no-untyped-def]
    """`g <- g + factor w - anchor`: weight decay, the proximal term and control variates."""
    share = simd.splat(factor)
    for p in range(0, g.size, LANES):
        held = simd.sub(simd.load(g, p), simd.load(anchor, p))
        simd.store(g, p, simd.fma(share, simd.load(w, p), held))


@inner(cache=True)
def descend(w, g, rate):  # type: ignore[no-untyped-def]
    """SGD: `w <- w - rate g`."""
    step = simd.splat(-rate)
    for p in range(0, w.size, LANES):
        simd.store(w, p, simd.fma(step, simd.load(g, p), simd.load(w, p)))


@inner(cache=True)
def adamw(w, g, m, v, step, rate, how):  # type: ignore[no-untyped-def]
    """One step of AdamW, the `step`-th since the moments were zero; see `adamw_step`."""
    shrink = np.float32(1.0)
    if how.clip_norm > 0:
        square = simd.splat(np.float32(0.0))
        for p in range(0, g.size, LANES):
            part = simd.load(g, p)
            square = simd.fma(part, part, square)
        length = np.sqrt(np.float64(simd.sum_lanes(square)))
        if not length + CLIP_EPSILON <= how.clip_norm:  # also where it is not a number
            shrink = np.float32(how.clip_norm / (length + CLIP_EPSILON))
    keep_m, keep_v = simd.splat(np.float32(how.beta1)), simd.splat(np.float32(how.beta2))
    new_m, new_v = simd.splat(np.float32(1.0 - how.beta1)), simd.splat(np.float32(1.0 - how.beta2))
    less, factor = simd.splat(np.float32(1.0 - rate * how.decoupled)), simd.splat(shrink)
    reach = simd.splat(np.float32(-rate / (1.0 - how.beta1**step)))
    root = simd.splat(np.float32(1.0 / np.sqrt(1.0 - how.beta2**step)))
    epsilon = simd.splat(np.float32(how.epsilon))
    for p in range(0, w.size, LANES):
        part = simd.mul(simd.load(g, p), factor)
        mean = simd.fma(new_m, part, simd.mul(keep_m, simd.load(m, p)))
        spread = simd.fma(simd.mul(new_v, part), part, simd.mul(keep_v, simd.load(v, p)))
        simd.store(m, p, mean)
        simd.store(v, p, spread)
        below = simd.fma(simd.sqrt(spread), root, epsilon)
        moved = simd.mul(reach, simd.div(mean, below))
        simd.store(w, p, simd.fma(less, simd.load(w, p), moved))


@inner(cache=True)
def factor_work(layout):  # type: ignore[no-untyped-def]
    """The layout as a record, and blank scratch."""
    view = FactorLayout(*layout)
    padded = (view.num_trained + LANES - 1) // LANES * LANES
    values, size = view.num_trained + view.fixed.size, view.base.size
    return view, FactorWork(
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
def begin_factors(j, jobs, view, how, out, work):  # type: ignore[no-untyped-def]
    """Set out from where job j starts, with the moments it has; fills `full`."""
    start, origin, _, _, correction, _ = jobs
    home = start[origin[j]]
    for p in range(home.size):
        work.w[p] = home[p]
        work.anchor[p] = np.float32(how.prox_mu) * home[p]
        if correction.shape[0] > 0:
            work.anchor[p] -= correction[j, p]
        if how.adamw:
            work.m[p], work.v[p] = out[3][j, p], out[4][j, p]
    expand(view, work)


@inner(cache=True)
def step_factors(j, rate, view, how, out, work):  # type: ignore[no-untyped-def]
    """One step of job j, once `full_slopes` has the gradient; fills `full`."""
    project(view, work)
    pull(work.g, work.w, np.float32(how.weight_decay + how.prox_mu), work.anchor)
    if how.adamw:
        out[5][j] += 1
        adamw(work.w, work.g, work.m, work.v, out[5][j], rate, how)
    else:
        descend(work.w, work.g, np.float32(rate))
    expand(view, work)


@inner(cache=True)
def end_factors(j, jobs, how, out, work, loss):  # type: ignore[no-untyped-def]
    """Write what job j has changed, its length, its mean loss and the moments."""
    out[1][j] = loss / max(1, jobs[2][j + 1] - jobs[2][j])
    home, square = jobs[0][jobs[1][j]], 0.0
    for p in range(home.size):
        moved = work.w[p] - home[p]
        out[0][j, p] = moved
        square += np.float64(moved) * np.float64(moved)
        if how.adamw:
            out[3][j, p], out[4][j, p] = work.m[p], work.v[p]
    out[2][j] = np.float32(np.sqrt(square))
