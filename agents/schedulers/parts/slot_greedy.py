"""Which client trains in which time slot under a carbon budget: the alpha-fair objective, solved greedily."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools, Floats
from .slot_greedy_kernels import fill_cells

_EPS_G = 1e-12
"""Rounding that a budget forgives, relative to the budget."""


@dataclass(frozen=True)
class SlotSchedule:
    """Who trains when.

    Attributes:
        chosen: bool `[K, S]`, client k trains in slot t.
        value: the objective, sum over clients of (sum of the grams spared)^alpha.
        grams: what the schedule emits.
        slack: slots beyond the rounds that the budget would pay for, where it was chosen; else 0.
    """

    chosen: Bools
    value: float
    grams: float
    slack: int = 0


def fill_slots(
    grams: Floats,
    budget_g: float,
    alpha: float,
    forced: Bools | None = None,
    usable: Bools | None = None,
    credit: Floats | None = None,
    worst_g: float | None = None,
) -> SlotSchedule | None:
    """Greedy by gain per gram on max sum_k (sum_t (g_max - g_kt) a_kt)^alpha, sum g a within the budget.

    Source: Arputharaj, Rodio & Neglia, "Green Federated Learning via Carbon-Aware Client and Time Slot
    Scheduling", 2025, problem (8) and its greedy. Within a client the gain per gram falls with g, and a pick
    changes the ratios of its own client only; so each client's slots are taken cheapest first, and only
    K heads are compared per pick: the lazy greedy without its heap.

    Args:
        grams: `[K, S]`, what client k emits in slot t, positive.
        budget_g: sum of grams allowed.
        alpha: 1 = the cheapest slots whoever they belong to; towards 0 = an equal split.
        forced: bool `[S]`, slots in which all usable clients must train (fine-tuning).
        usable: bool `[K, S]`, cells that may be chosen; None: all.
        credit: `[K]`, grams spared in slots that are past; None: zero.
        worst_g: g_max; None: the largest of `grams`.

    Returns:
        The schedule; None if the forced slots alone exceed the budget.
    """
    num_clients, num_slots = grams.shape
    cells = np.ones(grams.shape, dtype=bool) if usable is None else usable
    must = np.zeros(num_slots, dtype=bool) if forced is None else forced
    top_g = float(grams.max()) if worst_g is None else worst_g
    chosen = cells & must[None, :]
    left_g = budget_g - float(grams[chosen].sum())
    if left_g < -_EPS_G * max(abs(budget_g), 1e-300):
        return None
    spared = np.zeros(num_clients) if credit is None else credit.astype(np.float64)
    spared = spared + (np.maximum(top_g - grams, 0.0) * chosen).sum(axis=1)
    order = np.argsort(np.where(cells & ~must[None, :], grams, np.inf), axis=1, kind="stable")
    free = (cells & ~must[None, :]).sum(axis=1)
    slack_g = _EPS_G * max(abs(budget_g), 1e-300)
    fill_cells(grams, order, free, chosen, spared, top_g, left_g + slack_g, alpha)
    return SlotSchedule(chosen, float((spared**alpha).sum()), float(grams[chosen].sum()))


def green_schedule(
    grams: Floats,
    budget_g: float,
    alpha: float,
    full_rounds: int,
    slacks: Iterable[int],
    fine_tuning: int = 1,
) -> SlotSchedule | None:
    """The best schedule over several slacks: T + s slots, the last of them with everybody.

    Args:
        grams: `[K, H]` over the whole horizon.
        budget_g: carbon budget.
        alpha: fairness.
        full_rounds: T, rounds of full participation that the budget would pay for.
        slacks: values of s to try; those beyond the horizon are passed over.
        fine_tuning: t_ft, length of the window at the end in which everybody trains.

    Returns:
        Of all feasible ones the schedule with the largest value, nothing after slot T + s; None if none is.
    """
    best: SlotSchedule | None = None
    worst_g = float(grams.max())
    for slack in slacks:
        end = full_rounds + slack
        if not fine_tuning <= end <= grams.shape[1]:
            continue
        forced = np.arange(end) >= end - fine_tuning
        found = fill_slots(grams[:, :end], budget_g, alpha, forced, worst_g=worst_g)
        if found is not None and (best is None or found.value > best.value):
            chosen = np.zeros(grams.shape, dtype=bool)
            chosen[:, :end] = found.chosen
            best = SlotSchedule(chosen, found.value, found.grams, slack)
    return best


def full_rounds(grams: Floats, budget_g: float) -> int:
    """T: how many slots from the start the budget pays for with everybody in `grams` `[K, H]`."""
    return int((np.cumsum(grams.sum(axis=0)) <= budget_g * (1 + _EPS_G)).sum())
