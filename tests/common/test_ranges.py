"""Ranges: what lies in them, what is refused, and what is no range."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from frugalfl.common.ranges import Drawn, between, drawn, largest

POSITIVE = st.floats(1e-6, 1e6)


class Example(Drawn):
    """A number or a range, and things that look like one."""

    speed: Annotated[float, Field(gt=0)] | tuple[float, float] | None = None
    beta: tuple[float, float] | None = None
    sizes: float | tuple[float, ...] = 1.0


@given(low=POSITIVE, factor=st.floats(1.0, 1e6), share=st.floats(0, 1))
def test_a_draw_lies_in_its_range_on_a_log_scale(low, factor, share):
    value = between((low, low * factor), share)
    assert low * (1 - 1e-9) <= value <= low * factor * (1 + 1e-9)
    assert np.log(value / low) == pytest.approx(share * np.log(factor), abs=1e-9)


@given(high=POSITIVE, share=st.floats(0, 1))
def test_a_range_from_zero_is_uniform(high, share):
    assert between((0.0, high), share) == high * share


def test_a_number_costs_no_random_number():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert drawn(3.5, rng) == 3.5 == largest(3.5)
    assert rng.random() == other.random()
    assert 1.0 <= drawn((1.0, 2.0), rng) <= 2.0 == largest((1.0, 2.0))


def test_reversed_ranges_are_refused_and_other_pairs_are_not():
    with pytest.raises(ValidationError, match=r"speed: .*, expected a range from low to high"):
        Example(speed=(2.0, 1.0))
    assert Example(speed=(1.0, 2.0), beta=(2.3, 1.3), sizes=(3.0, 1.0)).beta == (2.3, 1.3)
