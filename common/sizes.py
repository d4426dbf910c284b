"""Sizes before arrays: what numbers of a file or a scenario multiply to is checked before it is allocated."""

from __future__ import annotations

import math

MOST_VALUES = 2**25
"""Values of one array that numbers of a file or a scenario may ask for; 256 MiB of float64."""


def check_values(what: str, *factors: float, do: str, most: float = MOST_VALUES) -> None:
    """Refuse an array that would be too large.

    Args:
        what: the field, or the file, and the quantity, such as "availability: slot_s: 0.01 s".
        *factors: what its size is a product of.
        do: what to do about it.
        most: the largest size.

    Raises:
        ValueError: one line.
    """
    wanted = math.prod(float(factor) for factor in factors)
    if not wanted <= most:
        raise ValueError(f"{what} would need {wanted:.3g} values, expected at most {most:.3g}; {do}")
