"""Steps of local optimisers over whole packed parameter vectors, for kernels that have the full gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Floats32, Ints, Ints32
from ...common.compiled import inner
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
