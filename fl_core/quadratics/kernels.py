"""Compiled algebra of heterogeneous quadratics: random Hessians, optimum, local gradient descent.

Plain loops in a fixed order: no library of linear algebra is asked, so that an episode is the same on every
machine, and drawing one takes microseconds at the small dimensions that theory is checked in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats, Ints, Seeds
from ...common.compiled import inner, kernel
from ..numerics import normal_pair


@kernel(nogil=True, error_model="numpy")
def hessians(normal, spectrum):  # type: ignore[no-untyped-def]
    """Symmetric matrices `[N, d, d]` with the eigenvalues `spectrum` `[N, d]` and random eigenvectors.

    The columns of the normal draws `[N, d, d]` are made orthonormal by Gram and Schmidt's procedure, done
    twice (Giraud et al. 2005: twice is enough); the basis is then uniform over the rotations (Stewart 1980).
    """
    n, d = spectrum.shape
    out = np.zeros((n, d, d))
    for k in range(n):
        basis = normal[k].T.copy()
        for i in range(d):
            for _ in range(2):
                for j in range(i):
                    along = 0.0
                    for m in range(d):
                        along += basis[j, m] * basis[i, m]
                    for m in range(d):
                        basis[i, m] -= along * basis[j, m]
            length = 0.0
            for m in range(d):
                length += basis[i, m] * basis[i, m]
            basis[i] /= np.sqrt(length)
            for row in range(d):
                scaled = spectrum[k, i] * basis[i, row]
                for m in range(row + 1):
                    out[k, row, m] += scaled * basis[i, m]
        for row in range(d):
            for m in range(row):
                out[k, m, row] = out[k, row, m]
    return out


@inner(cache=True, nogil=True, error_model="numpy")
def multiply(columns, x, out):  # type: ignore[no-untyped-def]
    """`A x` into `out`, of a matrix given by its columns; the sums of four rows grow side by side."""
    d = x.size
    fours = d - d % 4
    for i in range(0, fours, 4):
        one, two, three, four = 0.0, 0.0, 0.0, 0.0
        for m in range(d):
            one += columns[m, i] * x[m]
            two += columns[m, i + 1] * x[m]
            three += columns[m, i + 2] * x[m]
            four += columns[m, i + 3] * x[m]
        out[i], out[i + 1], out[i + 2], out[i + 3] = one, two, three, four
    for i in range(fours, d):
        rest = 0.0
        for m in range(d):
            rest += columns[m, i] * x[m]
        out[i] = rest


@inner(cache=True, nogil=True, error_model="numpy")
def value_at(w, hessian, linear, constant):  # type: ignore[no-untyped-def]
    """`1/2 w^T A w - b^T w + c`."""
    total = constant
    for i in range(w.size):
        product = 0.0
        for m in range(w.size):
            product += hessian[i, m] * w[m]
        total += w[i] * (0.5 * product - linear[i])
    return total


@kernel(nogil=True, error_model="numpy")
def value(w, hessian, linear, constant):  # type: ignore[no-untyped-def]
    """`1/2 w^T A w - b^T w + c`."""
    return value_at(w, hessian, linear, constant)


@kernel(nogil=True, error_model="numpy")
def expand(problem, centre, weight, hessian, linear, constant):  # type: ignore[no-untyped-def]
    """Fill the tables of `1/2 w^T A w - b^T w + c`, of N clients and, in the last row, of their weighted sum.

    `problem` `[N, d, d]` are the clients' Hessians; the tables are `[N + 1, d, d]`, `[N + 1, d]`, `[N + 1]`.
    """
    n, d = centre.shape
    hessian[n], linear[n], constant[n] = 0.0, 0.0, 0.0
    for k in range(n):
        constant[k] = 0.0
        for i in range(d):
            linear[k, i] = 0.0
            for m in range(d):
                hessian[k, i, m] = problem[k, i, m]
                hessian[n, i, m] += weight[k] * problem[k, i, m]
                linear[k, i] += problem[k, i, m] * centre[k, m]
            linear[n, i] += weight[k] * linear[k, i]
            constant[k] += 0.5 * linear[k, i] * centre[k, i]
        constant[n] += weight[k] * constant[k]


@inner(cache=True, nogil=True, error_model="numpy")
def solved(hessian, linear):  # type: ignore[no-untyped-def]
    """`A^-1 b` by Cholesky's factors; not a number where A is not positive definite."""
    d = linear.size
    factor, x = np.zeros((d, d)), linear.copy()
    for i in range(d):
        for j in range(i + 1):
            rest = hessian[i, j]
            for m in range(j):
                rest -= factor[i, m] * factor[j, m]
            factor[i, j] = np.sqrt(rest) if i == j else rest / factor[j, j]
        for m in range(i):
            x[i] -= factor[i, m] * x[m]
        x[i] /= factor[i, i]
    for i in range(d - 1, -1, -1):
        for m in range(i + 1, d):
            x[i] -= factor[m, i] * x[m]
        x[i] /= factor[i, i]
    return x


@kernel(nogil=True, error_model="numpy")
def minimiser(hessian, linear):  # type: ignore[no-untyped-def]
    """`A^-1 b`."""
    return solved(hessian, linear)


class DescentJobs(NamedTuple):
    """Local trainings, one row per job."""

    env: Ints
    client: Ints
    steps: Ints
    seed: Seeds
    round_index: Ints
    rate: Floats
    theta: Floats  # share of hub rows
    origin: Ints  # row of `pool` to start from
    pool: Floats  # [M, d] starting points
    correction: Floats  # [J, d] added to each gradient, or [0, d]


class Tables(NamedTuple):
    """`1/2 w^T A w - b^T w + c` of N clients and, last, of the federation."""

    hessian: Floats  # [E, N + 1, d, d]
    linear: Floats  # [E, N + 1, d]
    constant: Floats  # [E, N + 1]


class Descent(NamedTuple):
    """Settings of local gradient descent."""

    decay: float
    mu: float
    noise: float


@kernel(nogil=True, error_model="numpy")
def descend_range(begin, end, jobs, tables, descent, delta, losses, norms):  # type: ignore[no-untyped-def]
    """Local gradient descent of the jobs `begin:end`; fills their rows of the last three."""
    env, client, steps, seed, round_index, rate, theta, origin, pool, correction = jobs
    hessian, linear, constant = tables
    decay, mu, noise = descent
    d, last = pool.shape[1], hessian.shape[1] - 1  # the last "client" is the federation's mean
    a, b = np.empty((d, d)), np.empty(d)  # a: column by column
    x, gradient, product = np.empty(d), np.empty(d), np.empty(d)
    for j in range(begin, end):
        e, k, t = env[j], client[j], theta[j]
        for i in range(d):
            b[i] = (1 - t) * linear[e, k, i] + t * linear[e, last, i]
            x[i] = pool[origin[j], i]
            for m in range(d):
                a[m, i] = (1 - t) * hessian[e, k, i, m] + t * hessian[e, last, i, m]
        offset = (1 - t) * constant[e, k] + t * constant[e, last]
        loss = 0.0
        for s in range(steps[j]):
            at_x = 0.0
            multiply(a, x, product)
            for i in range(d):
                at_x += x[i] * (0.5 * product[i] - b[i])
                gradient[i] = product[i] - b[i] + decay * x[i] + mu * (x[i] - pool[origin[j], i])
                if correction.shape[0] > 0:
                    gradient[i] += correction[j, i]
            loss += at_x + offset
            if noise > 0:
                for i in range(0, d, 2):
                    one, two = normal_pair(seed[j], round_index[j], k, s, i)
                    gradient[i] += noise * one
                    if i + 1 < d:
                        gradient[i + 1] += noise * two
            for i in range(d):
                x[i] -= rate[j] * gradient[i]
        square = 0.0
        for i in range(d):
            delta[j, i] = x[i] - pool[origin[j], i]
            square += delta[j, i] * delta[j, i]
        losses[j] = loss / max(1, steps[j])
        norms[j] = np.sqrt(square)


@kernel(nogil=True)
def values(env, client, params, tables):  # type: ignore[no-untyped-def]
    """F_k of the jobs' clients (client N = the federation) at their server's model."""
    hessian, linear, constant = tables
    out = np.empty(env.size)
    for j in range(env.size):
        e, k = env[j], client[j]
        out[j] = value_at(params[e], hessian[e, k], linear[e, k], constant[e, k])
    return out
