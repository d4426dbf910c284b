"""Steps of local optimisers over whole packed parameter vectors, for kernels that have the full gradient."""

from __future__ import annotations

from ...common.compiled import inner
from . import simd

LANES = simd.LANES


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
