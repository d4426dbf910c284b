"""Federations of quadratics: the same interface with an exact optimum."""

from __future__ import annotations

from .core import QuadraticCore
from .kernels import expand, hessians, minimiser, value
from .problem import QuadraticProblem, QuadraticSettings, quadratic_problem

__all__ = [
    "QuadraticCore",
    "QuadraticProblem",
    "QuadraticSettings",
    "expand",
    "hessians",
    "minimiser",
    "quadratic_problem",
    "value",
]
