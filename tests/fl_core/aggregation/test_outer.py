"""Outer optimisers and uploads of few bits: DiLoCo's Nesterov, rounding with error feedback."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frugalfl.fl_core.aggregation import COMPRESSIONS, EightBit, bits_of
from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model

N = 3
DATA = load_dataset("digits")
MODEL = make_model("softmax", DATA)
ROWS = partition(DATA, N, np.zeros(N, int), 1, "iid", np.random.default_rng(0))


def core_of(aggregator, **more):
    core = FederatedCore(DATA, MODEL, 1, N, {"learning_rate": 0.5, "batch_size": 8}, aggregator, **more)
    core.reset(0, ROWS, 7)
    return core


def trained(core, rounds=4, steps=(3, 2, 1), **orders):
    for index in range(rounds):
        core.run_round(TrainingOrders(np.array([steps], dtype=np.int32), None, np.array([index]), **orders))
    return core.parameters()[0]


@pytest.mark.parametrize("weighting", ["by-samples", "uniform"])
def test_outer_rate_one_without_momentum_is_federated_averaging(weighting):
    outer = {"kind": "diloco", "weighting": weighting, "outer_lr": 1.0, "momentum": 0.0}
    assert np.array_equal(trained(core_of(outer)), trained(core_of(weighting)))


def test_one_worker_without_momentum_is_lookahead():
    alpha, index = 0.5, 0
    outer = core_of({"kind": "diloco", "outer_lr": alpha, "momentum": 0.0})
    fast, slow = core_of("by-samples"), core_of("by-samples")
    for index in range(3):
        start = outer.parameters()
        for core in (fast, slow):
            state = core.state()
            core.load_state(state | {"params": start})
        order = TrainingOrders(np.array([[0, 5, 0]], dtype=np.int32), None, np.array([index]))
        outer.run_round(order)
        fast.run_round(order)
        expected = start + np.float32(alpha) * (fast.parameters() - start)
        assert np.allclose(outer.parameters(), expected, rtol=0, atol=1e-6)
        assert not np.allclose(outer.parameters(), fast.parameters(), rtol=0, atol=1e-4)


def test_nesterov_is_pytorchs():
    outer_lr, momentum = 0.7, 0.9
    core = core_of({"kind": "diloco", "outer_lr": outer_lr, "momentum": momentum})
    mean = core_of("by-samples")
    weights = torch.nn.Parameter(torch.from_numpy(core.parameters()[0].copy()))
    outer = torch.optim.SGD([weights], lr=outer_lr, momentum=momentum, nesterov=True)
    for index in range(4):
        order = TrainingOrders(np.array([[4, 2, 3]], dtype=np.int32), None, np.array([index]))
        start = core.parameters()
        mean.load_state(mean.state() | {"params": start})
        mean.run_round(order)
        weights.grad = torch.from_numpy((start - mean.parameters())[0])  # the outer gradient
        outer.step()
        core.run_round(order)
        assert np.allclose(core.parameters()[0], weights.detach().numpy(), rtol=0, atol=2e-6)


def test_a_round_without_arrivals_leaves_model_and_velocity_alone():
    core = core_of("diloco")
    trained(core, 2)
    before, velocity = core.parameters(), core.aggregator.memory["velocity"].copy()
    core.run_round(TrainingOrders(np.zeros((1, N), dtype=np.int32), None, np.array([2])))
    assert np.array_equal(core.parameters(), before)
    assert np.array_equal(core.aggregator.memory["velocity"], velocity)


def test_a_factor_on_the_servers_step_scales_the_outer_step():
    plain = core_of({"kind": "diloco", "outer_lr": 0.35, "momentum": 0.6})
    scaled = core_of({"kind": "diloco", "outer_lr": 0.7, "momentum": 0.6})
    assert np.allclose(trained(plain, 1), trained(scaled, 1, server_step=np.array([0.5])), rtol=0, atol=1e-6)


def test_late_updates_are_asynchronous_diloco():
    fresh, late = (core_of("diloco", history=2) for _ in range(2))
    for core in (fresh, late):
        trained(core, 2)
    steps = np.array([[4, 0, 0]], dtype=np.int32)
    fresh.run_round(TrainingOrders(steps, None, np.array([2]), staleness=np.zeros((1, N), int)))
    late.run_round(TrainingOrders(steps, None, np.array([2]), staleness=np.array([[1, 0, 0]])))
    assert not np.array_equal(fresh.parameters(), late.parameters())


# Few bits ---------------------------------------------------------------------------------------------

SIZE = 300
NOTHING = np.zeros(1, dtype=np.int64)


def bound(spec, dtype=np.float32):
    made = COMPRESSIONS.make(spec)
    made.bind(1, 2, SIZE, np.dtype(dtype))
    return made


def test_eight_bits_are_what_they_were():
    delta = np.random.default_rng(0).normal(size=(4, SIZE)).astype(np.float32)
    scale = np.abs(delta).max(axis=1, keepdims=True) / np.float32(127)
    who = np.zeros(4, dtype=np.int64)
    expected = np.rint(delta / scale).astype(np.int8) * scale
    assert np.array_equal(bound("8-bit").send(who, who, delta), expected)
    assert EightBit().upload_bytes(SIZE) == SIZE + 4
    same = bound({"kind": "rounded", "bits": 8, "block": 0})
    assert np.array_equal(same.send(who, who, delta), expected)


def test_four_bits_have_fifteen_levels_in_each_block():
    four = bound({"kind": "4-bit", "block": 100})
    delta = np.random.default_rng(1).normal(size=(1, SIZE)).astype(np.float32)
    delta[0, 200:] *= 1000
    sent = four.send(NOTHING, NOTHING, delta)[0].reshape(3, 100)
    for block, original in zip(sent, delta[0].reshape(3, 100), strict=True):
        scale = np.abs(original).max() / np.float32(7)
        assert np.allclose(block / scale, np.rint(block / scale), atol=1e-5)
        assert np.abs(block - original).max() <= 0.5001 * scale
        assert len(np.unique(np.rint(block / scale))) > 7
    assert four.upload_bytes(SIZE) == SIZE // 2 + 3 * 4
    assert four.upload_bytes(301) == 151 + 4 * 4


@pytest.mark.parametrize("spec", ["4-bit", "8-bit", "rounded"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_error_feedback_loses_nothing(spec, dtype):
    made = bound({"kind": spec, "error_feedback": True}, dtype)
    rng = np.random.default_rng(2)
    left, total, arrived = np.zeros(SIZE, dtype), np.zeros(SIZE), np.zeros(SIZE)
    for _ in range(20):
        delta = rng.normal(size=(1, SIZE)).astype(dtype)
        wanted = delta[0] + left
        sent = made.send(NOTHING, NOTHING, delta)[0]
        left = made.memory["unsent"][0, 0].copy()
        assert np.array_equal(sent.astype(np.longdouble) + left, wanted.astype(np.longdouble))  # exactly
        total, arrived = total + delta[0], arrived + sent
    assert np.allclose(arrived + left, total, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)
    made.reset(0)
    assert not made.memory["unsent"].any()


def test_each_update_has_its_own_bits():
    made = bound({"kind": "rounded", "bits": 8})
    delta = np.random.default_rng(3).normal(size=(3, SIZE)).astype(np.float32)
    who = np.zeros(3, dtype=np.int64)
    mixed = made.send(who, who, delta, np.array([4, 0, 16]))
    for row, bits in enumerate((4, 8, 16)):
        alone = bound({"kind": "rounded", "bits": bits}).send(NOTHING, NOTHING, delta[row : row + 1])
        assert np.array_equal(mixed[row : row + 1], alone)
    assert [made.upload_bytes(SIZE, bits) for bits in (4, 0, 16)] == [162, 312, 612]
    errors = np.abs(mixed - delta).max(axis=1)
    assert errors[0] > errors[1] > errors[2] > 0


def test_a_core_charges_and_rounds_by_the_bits_of_the_orders():
    plain = core_of("by-samples", compression={"kind": "rounded", "bits": 8})
    fewer = core_of("by-samples", compression={"kind": "rounded", "bits": 4})
    told = core_of("by-samples", compression={"kind": "rounded", "bits": 8})
    assert told.upload_share_at(4) == fewer.upload_share < plain.upload_share == told.upload_share_at(0)
    bits = np.full((1, N), 4)
    assert np.array_equal(trained(told, upload_bits=bits), trained(fewer))
    assert not np.array_equal(trained(plain), fewer.parameters()[0])
    with pytest.raises(ValueError, match="upload_bits: "):
        trained(told, upload_bits=np.full((1, N), 4.0))
    assert [bits_of(spec) for spec in (None, "8-bit", "rounded", {"kind": "rounded", "bits": 5})] == [
        0,
        0,
        8,
        5,
    ]
