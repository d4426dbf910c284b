"""Kernels run as plain Python give the compiled numbers, bit for bit: what a broken numba falls back to."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from frugalfl.common.compiled import Kernel, uses_numba
from frugalfl.traces.arrivals import batch_kernels as requests
from frugalfl.traces.availability import batch_kernels as sessions
from frugalfl.traces.availability import climatology_kernels as climatology
from frugalfl.traces.availability.generators import renewal_kernels as renewal
from frugalfl.traces.carbon import batch_kernels as carbon
from frugalfl.traces.carbon import generator_kernels as zones
from frugalfl.traces.numerics import ar1_kernels as ar1

pytestmark = pytest.mark.skipif(not uses_numba(), reason="kernels are not compiled here")
MODULES = (requests, sessions, climatology, renewal, carbon, zones, ar1)
KERNELS = {
    name: value for module in MODULES for name, value in vars(module).items() if isinstance(value, Kernel)
}
E, N, L, T, HOUR = 2, 5, 3, 30, 3600.0


def session_tables(rng):
    starts = np.sort(rng.uniform(-HOUR, 60 * HOUR, (E, N, 6)), axis=2)
    ends = starts + 0.4 * np.diff(starts, axis=2, append=90 * HOUR)
    last = np.full((E, N, 1), np.inf)
    return np.concatenate([starts, last], axis=2), np.concatenate([ends, last], axis=2)


def inputs(rng):
    """Arguments of every kernel by its name."""
    starts, ends = session_tables(rng)
    time_s, leads_s = rng.uniform(0, 30 * HOUR, E), np.array([0.0, 600.0, 9 * HOUR])
    announced = rng.random(starts.shape) < 0.5
    end_s = np.where(rng.random((E, N)) < 0.5, time_s[:, None] + 5000.0, np.inf)
    usual, start_s = rng.uniform(0.1, 0.9, (E, N, 24)), np.array([1.68e9, 1.7e9])
    clocks = [
        renewal.ClockTable(np.arange(25.0), np.append(0.0, np.cumsum(rng.uniform(0.1, 1, 24))), 24.0)
        for _ in range(2)
    ]
    hour = rng.uniform(0, 168, N)
    rates = renewal.Rates(hour, hour + 40.0, rng.uniform(0.5, 2, N), rng.uniform(0.5, 2, N))
    work = renewal.Work(*rng.exponential(1.0, (3, 12, N)), 0.1)
    empty = np.empty((12, N))
    stays = renewal.Stays(hour + 1.0, empty.copy() * 0, empty.copy() * 0, np.zeros((12, N), dtype=bool))
    beginnings = np.cumsum(rng.uniform(0.5, 9, (8, N)), axis=0) + hour
    g, step_s, first_s, last = (
        rng.uniform(0, 500, (E, 2, T)),
        np.full(E, HOUR),
        np.full(E, -900.0),
        np.full(E, T - 1),
    )
    upto = np.cumsum(g, axis=2) * HOUR
    t0 = rng.uniform(0, 20 * HOUR, (E, N))
    shares, week = rng.uniform(0.1, 0.9, (N, 24)), rng.uniform(0.1, 0.9, 168)
    months, hours = rng.uniform(0.5, 2, (2, 12)), rng.uniform(0.5, 2, (2, 4, 24))
    phi = np.array([0.5, 0.97])
    sums = np.cumsum(rng.integers(0, 4, (E, N, T)), axis=2).astype(np.int32)
    places = rng.integers(0, (E, N, 60), (9, 3)).T
    return {
        "requests_until": (sums, rng.uniform(-60, 60 * T, (E, N)), 60.0),
        "moments_of": (sums, *places, 60.0),
        "running_at": (starts, ends, np.array([0, 1, 1]), np.array([0, 4, 2]), rng.uniform(0, 40 * HOUR, 3)),
        "visible_sessions": (
            starts, ends, ends + 60.0, announced, np.zeros((E, N), dtype=np.int64), time_s,
            np.full((E, N), 1e5),
        ),
        "hour_of_day": (1.7e9 + 123.0,),
        "expected_share": (usual, start_s, rng.uniform(0, 3e5, (E, N, L))),
        "markov_exponents": (time_s, leads_s, end_s, rng.uniform(HOUR, 9 * HOUR, (E, N)), True),
        "markov_chance": (
            time_s, leads_s, rng.random((E, N)) < 0.5, end_s, True, usual, start_s, rng.random((E, N, L)),
        ),
        "rows_by_utc_hour": (shares, np.array([-11.0, -3.5, 0.0, 5.75, 13.0])),
        "odds_multiplied": (shares, rng.uniform(0.2, 4, N)),
        "personal_shares": (rng.uniform(0.3, 3, N), hour, week, shares[0]),
        "interpolated": (3.3, np.arange(25.0), clocks[0].done_by),
        "hours_after": (hour, rng.uniform(-9, 30, N), clocks[0]),
        "first_stays": (rng.random(N), rng.random(N), rng.random(N), rng.random(N), rates, *clocks),
        "play_stays": (True, rates, rng.random(N) < 0.5, rng.random(N), work, *clocks, stays),
        "padded_sessions": (
            beginnings[0::2], beginnings[1::2], rng.random((4, N)) < 0.5, hour, hour + 20.0,
        ),
        "values_ahead": (g, time_s, leads_s, first_s, step_s, last),
        "enter": (*np.zeros((3, 2, T)), g[0, :, :20].copy(), g[1, :, :20].copy(), HOUR),
        "integrals": (
            rng.integers(0, 2, (E, N)), t0, t0 + rng.uniform(0, HOUR, (E, N)), g, upto, first_s, step_s, last,
        ),
        "usual_intensity": (
            1.68e9 + HOUR * np.arange(50.0), np.array([5.5, -8.0]), np.array([300.0, 90.0]), months, hours,
            np.array([0.8, 1.0]),
        ),
        "within_limits": (g[0], np.array([50.0, 90.0]), np.array([400.0, 300.0]), np.array([0.0, 9.0])),
        "paths": (
            rng.standard_normal((2, 70)), phi[:, None] ** np.arange(1, 33), np.sqrt(1 - phi**2),
        ),
    }  # fmt: skip


def arrays(value):
    if isinstance(value, tuple):
        return [array for part in value for array in arrays(part)]
    return [np.asarray(value)]


def test_every_kernel_has_inputs():
    assert set(inputs(np.random.default_rng(0))) == set(KERNELS)


@pytest.mark.parametrize("name", KERNELS)
def test_the_python_of_a_kernel_gives_the_compiled_numbers(name):
    for seed in range(3):
        args = inputs(np.random.default_rng(seed))[name]
        kernel, mine, theirs = KERNELS[name], deepcopy(args), deepcopy(args)
        compiled, python = kernel(*mine), kernel.python(*theirs)
        for one, other in zip(arrays((compiled, mine)), arrays((python, theirs)), strict=True):
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), name
