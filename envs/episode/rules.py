"""Rules of an episode, the same for simulated and live worlds: budgets, endings, transfers, participation."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ..contract import STOP_S, RoundOutcome, RoundPlan
from ..scenario import Scenario
from .ledger import Ledger, round_gigabytes, round_kilograms

MOST_DECISIONS_PER_ROUND = 10
"""Waits and probes are no rounds; so many decisions per round of the limit end the episode all the same."""

_PRIOR_ROUNDS = 3.0


def most_decisions(scenario: Scenario) -> int:
    """Decisions of any kind after which an episode of a scenario is truncated at the latest."""
    return MOST_DECISIONS_PER_ROUND * scenario.max_rounds


def spent(ledger: Ledger) -> Floats:
    """`[E, 3]`, hours, GB and kg so far."""
    return np.stack([ledger.hours, ledger.gigabytes, ledger.kilograms], axis=1)


def overrun(ledger: Ledger, outcome: RoundOutcome, budgets: Floats) -> Floats:
    """`[E]`, how far the last step went beyond the budgets, as the sum of shares of each.

    Args:
        ledger: the books after the step.
        outcome: of the step.
        budgets: `[E, 3]`, of hours, GB and kg; inf = none.
    """
    now = spent(ledger)
    if not (now > budgets).any():  # nearly every step
        return np.zeros(len(now))
    step = [outcome.duration_s / SECONDS_PER_HOUR, round_gigabytes(outcome), round_kilograms(outcome)]
    before = now - np.stack(step, axis=1)
    over = np.maximum(now - budgets, 0.0) - np.maximum(before - budgets, 0.0)
    shares: Floats = np.where(np.isfinite(budgets), over / budgets, 0.0).sum(axis=1)
    return shares


def ended(
    scenario: Scenario, budgets: Floats, ledger: Ledger, plan: RoundPlan, outcome: RoundOutcome, active: Bools
) -> tuple[Bools, Bools]:
    """Whose episode terminated with the last step, and whose was truncated, each `[E]`.

    Args:
        scenario: target accuracy and round limit.
        budgets: `[E, 3]`, of hours, GB and kg.
        ledger: the books after the step.
        plan: its orders.
        outcome: what it did.
        active: bool `[E]`, whose episode was running.
    """
    target, limit = scenario.target_accuracy, scenario.max_rounds
    reached = outcome.accuracy >= target if target is not None else np.zeros_like(active)
    exhausted = (spent(ledger) >= budgets).any(axis=1)
    stopped = plan.wait_s == STOP_S
    terminated = active & (reached | exhausted | stopped | outcome.diverged)
    over = (ledger.rounds >= limit) | (ledger.decisions >= most_decisions(scenario))
    return terminated, active & ~terminated & over


def transfers(
    plan: RoundPlan, invited: Bools, held: Ints, capacity: AnyArray, batch_size: int
) -> tuple[Ints, Ints]:
    """Samples really sent `[E, N]`, and orders that had to be cut or made `[E]`.

    A client with nothing to train on is sent one batch, whatever the plan says.

    Args:
        plan: the orders.
        invited: bool `[E, N]`, who trains.
        held: `[E, N]`, samples each client holds.
        capacity: `[E, N]`, most it can hold.
        batch_size: of local training.
    """
    wanted = plan.transfer_samples.astype(np.int64)
    empty = invited & (held == 0) & (wanted == 0)
    wanted = np.where(empty, batch_size, wanted)
    sent = np.where(invited, np.minimum(wanted, capacity - held), 0)
    repaired = empty | (invited & (sent < wanted))
    return sent, repaired.sum(axis=1)


def participation_rates(completions: Ints, rounds_done: Ints, arrived: Bools) -> Floats:
    """`[E, N]`, share of the rounds in which each client's update arrives, as far as it is known.

    Of the rounds before, drawn towards the mean of all clients, the present round included, as if that had
    been seen for `_PRIOR_ROUNDS`: in the first round everybody has the same rate, that of an average client.
    (A client's own arrival in the present round must not count, or whoever arrives would look frequent.)

    Args:
        completions: `[E, N]`, updates that arrived before the present round.
        rounds_done: `[E]`, rounds before it.
        arrived: bool `[E, N]`, whose updates arrive in it.
    """
    rounds = rounds_done[:, None]
    total = (completions + arrived).sum(axis=1, keepdims=True)
    mean = total / (arrived.shape[1] * (rounds + 1.0))
    rates: Floats = (completions + _PRIOR_ROUNDS * mean) / (rounds + _PRIOR_ROUNDS)
    return np.minimum(rates, 1.0)
