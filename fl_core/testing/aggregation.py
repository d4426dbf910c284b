"""Batteries for aggregators, server optimisers and compressions."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from ...common.arrays import AnyArray, Ints
from ...common.settings import Spec
from ..aggregation import AGGREGATORS, COMPRESSIONS, Aggregator, Arrivals, Compression
from ..federation import TrainingOrders
from ..quadratics import QuadraticCore, QuadraticProblem, QuadraticSettings, quadratic_problem
from ..training import LocalTraining
from .expect import check_array, described, expect, same

_N, _ROUNDS = 6, 5


def check_aggregator(spec: Spec | Aggregator) -> None:
    """Check an aggregator or server optimiser.

    Its step is finite, of the parameters' shape and precision, and does not depend on the order of arrivals;
    where nothing arrives the model stands still; environments are independent bit for bit; a reset forgets; a
    snapshot goes on exactly; what it is given is left unchanged.

    Raises:
        AssertionError: one line.
    """
    what = f"aggregator {described(spec)}"
    expect(bool(_aggregator(spec).name), f"{what}: name: empty, expected one")
    for dtype in (np.float32, np.float64):
        _check_step(spec, what, np.dtype(dtype))
    batch, alone = _core(spec, 3), _core(spec, 1)
    alone.reset(0, _problem(2), 2)
    for index in range(_ROUNDS):
        steps = _steps(index)
        before = batch.parameters()
        _run(batch, steps, index)
        _run(alone, steps[2:], index)
        idle = ~(steps > 0).any(axis=1)
        expect(
            same(batch.parameters()[idle], before[idle]), f"{what}: moved a model, expected none: no updates"
        )
        expect(
            same(batch.parameters()[2], alone.parameters()[0]),
            f"{what}: environment 2 of a batch: another model than alone, expected the same bits",
        )
    expect(bool(np.isfinite(batch.parameters()).all()), f"{what}: parameters: not finite, expected numbers")
    restored = _core(spec, 3)
    restored.load_state(batch.state())
    for core in (batch, restored):
        _run(core, _steps(_ROUNDS), _ROUNDS)
    expect(
        same(batch.parameters(), restored.parameters()),
        f"{what}: after a snapshot: another model, expected the same: what it remembers goes into `memory`",
    )
    fresh = _core(spec, 3)
    for e in range(3):
        batch.reset(e, _problem(e), e)
    for core in (batch, fresh):
        _run(core, _steps(0), 0)
    expect(
        same(batch.parameters(), fresh.parameters()), f"{what}: after a reset: expected nothing remembered"
    )


def check_compression(spec: Spec | Compression) -> None:
    """Check a compression of updates.

    It says a whole number of bytes; what the server decodes is finite, of the updates' shape and precision;
    zero stays zero; every update is compressed by itself; a reset forgets; what it is given stays as it was.

    Raises:
        AssertionError: one line.
    """
    what = f"compression {described(spec)}"
    rng, size = np.random.default_rng(0), 40
    sizes = [_compression(spec, size).upload_bytes(parameters) for parameters in (1, 10, 1000)]
    expect(
        all(isinstance(each, int) and each > 0 for each in sizes) and sizes == sorted(sizes),
        f"{what}: upload_bytes: {sizes} for 1, 10, 1000 parameters, expected positive integers that grow",
    )
    env, client = np.array([0, 0, 1]), np.array([0, 3, 3])
    for dtype in (np.float32, np.float64):
        delta: AnyArray = rng.normal(size=(3, size)).astype(dtype)
        kept, used = delta.copy(), _compression(spec, size, np.dtype(dtype))
        first = used.send(env, client, delta)
        expect(same(delta, kept), f"{what}: changed the updates that it was given, expected a copy")
        check_array(first, delta, f"{what}: decoded update")
        alone = _compression(spec, size, np.dtype(dtype))
        one = alone.send(env[1:2], client[1:2], delta[1:2])
        expect(same(one[0], first[1]), f"{what}: an update alone is decoded otherwise than among others")
        used.send(env, client, delta)
        used.reset(1)
        expect(
            same(used.send(env[2:], client[2:], delta[2:])[0], first[2]),
            f"{what}: after a reset: expected nothing remembered: what it remembers goes into `memory`",
        )
        blank = _compression(spec, size, np.dtype(dtype))
        zero = blank.send(env, client, np.zeros_like(delta))
        expect(not zero.any(), f"{what}: made something of an update of zeros, expected zeros")
        expect(
            blank.send(env[:0], client[:0], delta[:0]).shape == (0, size), f"{what}: fails without updates"
        )


def _aggregator(spec: Spec | Aggregator) -> Aggregator:
    return AGGREGATORS.make(copy.deepcopy(spec))


def _compression(
    spec: Spec | Compression, size: int, dtype: np.dtype[np.generic] | None = None
) -> Compression:
    made = COMPRESSIONS.make(copy.deepcopy(spec))
    made.bind(2, 4, size, dtype or np.dtype(np.float32))
    return made


def _problem(seed: int) -> QuadraticProblem:
    return quadratic_problem(
        QuadraticSettings(dimension=3), _N, np.zeros(_N, int), 1, np.random.default_rng(seed)
    )


def _core(spec: Spec | Aggregator, num_envs: int) -> QuadraticCore:
    core = QuadraticCore({"dimension": 3}, num_envs, _N, {"learning_rate": 0.02}, _aggregator(spec))
    for e in range(num_envs):
        core.reset(e, _problem(e), e)
    return core


def _steps(index: int) -> Ints:
    """Some take part; environment `index % 3` rests now and then."""
    steps = np.random.default_rng(index).integers(0, 3, (3, _N))
    if index % 2:
        steps[index % 3] = 0
    return steps


def _run(core: QuadraticCore, steps: Ints, index: int) -> None:
    orders = TrainingOrders(steps, None, np.full(len(steps), index), np.full(steps.shape, 0.5))
    if _asks_the_plan(core.aggregator):
        orders = replace(orders, weights=np.full(steps.shape, 1.0 / _N))
    core.run_round(orders)


def _asks_the_plan(aggregator: Aggregator) -> bool:
    """Whether it has no rule of its own: without the plan's coefficients it refuses to work."""
    if not aggregator.accepts_weights:
        return False
    one = np.zeros(1, dtype=np.int64)
    arrivals = Arrivals(
        one, one, np.arange(2), one + 1, one + 1, np.ones(1), np.ones(1), None, one, np.ones((1, 3)), 1,
        LocalTraining(), np.ones(1), np.ones(1),
    )  # fmt: skip
    fresh = copy.deepcopy(aggregator)
    fresh.bind(1, 1, 3, np.dtype(np.float64))
    try:
        fresh.step(arrivals, np.zeros((1, 3)))
    except ValueError as error:
        return str(error).startswith("weights: ")
    return False


def _check_step(spec: Spec | Aggregator, what: str, dtype: np.dtype[np.generic]) -> None:
    """One step from arrivals in three environments, nobody's in the second."""
    rng, size = np.random.default_rng(2), 7
    env, client = np.array([0, 0, 0, 2, 2]), np.array([0, 2, 5, 1, 2])
    params: AnyArray = rng.normal(size=(3, size)).astype(dtype)
    delta: AnyArray = rng.normal(size=(5, size)).astype(dtype)
    given = np.full(5, 0.3) if _asks_the_plan(_aggregator(spec)) else None
    arrivals = Arrivals(
        env, client, np.array([0, 3, 3, 5]), np.array([1, 2, 3, 2, 1]), np.full(5, 10), np.full(5, 1.0 / _N),
        np.full(5, 0.5), given, np.zeros(5, dtype=np.int64), delta, _N, LocalTraining(),
        np.ones(5), np.ones(3),
    )  # fmt: skip
    kept, before = delta.copy(), params.copy()
    step = _stepped(spec, arrivals, params)
    expect(same(delta, kept) and same(params, before), f"{what}: changed what it was given, expected a copy")
    check_array(step, params, f"{what}: step")
    expect(not step[1].any(), f"{what}: step: not zero, expected zero where nothing arrived")
    turned = np.array([2, 1, 0, 4, 3])
    other = _stepped(spec, arrivals.select(turned), params)
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    expect(
        bool(np.allclose(step, other, rtol=tolerance, atol=tolerance)),
        f"{what}: step: depends on the order of the arrivals, expected the same",
    )


def _stepped(spec: Spec | Aggregator, arrivals: Arrivals, params: AnyArray) -> AnyArray:
    fresh = _aggregator(spec)
    fresh.bind(3, _N, params.shape[1], params.dtype)
    for e in range(3):
        fresh.reset(e, params[e], e)
    fresh.prepare(arrivals.env, arrivals.client, params)
    return fresh.step(arrivals, params)
