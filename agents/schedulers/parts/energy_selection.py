"""FedZero's selection problem: n clients whose domains' spare energy does the most useful work."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ....common.arrays import Bools, Floats, Ints

_TIME_LIMIT_S = 2.0
_SCALE = 1e-6


def select_by_milp(
    utility: Floats,
    batch_j: Floats,
    least: Floats,
    most: Floats,
    domain: Ints,
    energy_j: Floats,
    count: int,
) -> Floats | None:
    """The n clients and batches with the largest sum of sigma_c m_c within the domains' energy.

    Source: Wiesner et al., "FedZero: Leveraging Renewable Excess Energy in Federated Learning", e-Energy
    2024; b_c sigma_c m_c is linear because b_c = 0 forces m_c = 0. Solved by HiGHS.

    Args:
        utility: `[C]`, sigma.
        batch_j: `[C]`, joules per batch.
        least: `[C]`, batches that count at all.
        most: `[C]`, batches within reach (capacity, and the method's own limit), at least `least`.
        domain: int `[C]`, power domain of each client.
        energy_j: `[Z]`, joules to spare per domain.
        count: n.

    Returns:
        `[C]`, batches of each client, 0 = not selected; None if there is no solution.
    """
    num = utility.size
    if num < count:
        return None
    index = np.arange(num)
    # Columns: m_1 ... m_C, b_1 ... b_C. Rows: domains, m - most b <= 0, m - least b >= 0, sum b = n.
    domains, rows = np.unique(domain, return_inverse=True)
    size = domains.size
    row = np.concatenate([rows, size + index, size + index, size + num + index, size + num + index])
    row = np.concatenate([row, np.full(num, size + 2 * num)])
    column = np.concatenate([index, index, num + index, index, num + index, num + index])
    ones = np.ones(num)
    data = np.concatenate([batch_j, ones, -most, ones, -least, ones])
    matrix = coo_array((data, (row, column)), shape=(size + 2 * num + 1, 2 * num)).tocsr()
    low = np.concatenate([np.full(size + num, -np.inf), np.zeros(num), [count]])
    high = np.concatenate([energy_j[domains], np.zeros(num), np.full(num, np.inf), [count]])
    solved = milp(
        -np.concatenate([utility, np.zeros(num)]),
        integrality=np.concatenate([np.zeros(num), ones]),
        bounds=Bounds(0.0, np.concatenate([most, ones])),
        constraints=LinearConstraint(matrix, low, high),
        options={"time_limit": _TIME_LIMIT_S, "mip_rel_gap": 1e-4},
    )
    if solved.x is None:
        return None
    batches = np.where(solved.x[num:] > 0.5, np.maximum(solved.x[:num], 0.0), 0.0)
    return batches


def select_greedily(
    utility: Floats,
    batch_j: Floats,
    least: Floats,
    most: Floats,
    domain: Ints,
    energy_j: Floats,
    count: int,
) -> Floats | None:
    """The same without a solver: clients by sigma x reachable batches, least first, then what energy is left.

    Args and returns as `select_by_milp`; it may miss solutions that exist.
    """
    left_j = energy_j.astype(np.float64).copy()
    batches = np.zeros(utility.size)
    order = np.argsort(-utility * most, kind="stable")
    taken: list[int] = []
    for client in order.tolist():
        need_j = least[client] * batch_j[client]
        if len(taken) < count and need_j <= left_j[domain[client]] * (1 + _SCALE):
            left_j[domain[client]] -= need_j
            batches[client] = least[client]
            taken.append(client)
    if len(taken) < count:
        return None
    per_joule = utility / np.maximum(batch_j, 1e-300)
    for client in sorted(taken, key=lambda one: -float(per_joule[one])):
        more = min(most[client] - least[client], max(left_j[domain[client]], 0.0) / batch_j[client])
        batches[client] += more
        left_j[domain[client]] -= more * batch_j[client]
    return batches


def feasible(batch_j: Floats, least: Floats, reach: Floats, spare_j: Floats) -> Bools:
    """Bool `[C]`: clients that alone could make their least batches with capacity and domain energy."""
    return np.minimum(reach, spare_j / np.maximum(batch_j, 1e-300)) >= least * (1 - 1e-9)
