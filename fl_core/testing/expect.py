"""Complaints of one line."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray


def check_array(found: AnyArray, like: AnyArray, what: str) -> None:
    """Complain unless an array is finite and has the shape and precision of another."""
    expect(found.shape == like.shape, f"{what}: shape {found.shape}, expected {like.shape}")
    expect(found.dtype == like.dtype, f"{what}: {found.dtype}, expected {like.dtype}")
    expect(bool(np.isfinite(found).all()), f"{what}: not finite, expected numbers")


def same(one: AnyArray, two: AnyArray) -> bool:
    """Whether two arrays are the same, bit for bit."""
    return np.array_equal(one, two)


def expect(holds: bool, otherwise: str) -> None:
    """Complain unless something holds."""
    if not holds:
        raise AssertionError(otherwise)


def described(spec: object) -> str:
    """A specification as it was written, an object by its class."""
    return repr(spec) if isinstance(spec, str | dict) else type(spec).__name__
