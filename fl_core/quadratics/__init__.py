"""Federations of quadratics: the same interface with an exact optimum."""

from __future__ import annotations

from .core import QuadraticCore
from .kernels import expand, hessians, minimiser, value
from .moving import MovingQuadraticCore
from .path import WALK_EVERY_S, OptimumPath, drawn_path, jumps, square_per_h, walk
from .problem import QuadraticProblem, QuadraticSettings, quadratic_problem

__all__ = [
    "WALK_EVERY_S",
    "MovingQuadraticCore",
    "OptimumPath",
    "QuadraticCore",
    "QuadraticProblem",
    "QuadraticSettings",
    "drawn_path",
    "expand",
    "hessians",
    "jumps",
    "minimiser",
    "quadratic_problem",
    "square_per_h",
    "value",
    "walk",
]
