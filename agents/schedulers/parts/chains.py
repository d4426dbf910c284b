"""Availability and memory of clients, estimated from who was seen at which decision."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Bools, Floats
from ..base import State

_LEAST = 1e-3
"""No client is believed to be available less often than this, or its coefficient would have no bound."""
_MOST_MEMORY = 0.99


def fresh_chains(num_envs: int, num_clients: int) -> State:
    """State of the estimators: counts per client, and who was available last.

    `seen` and `missed` count decisions at which a client was available and was not; `stays` and `returns`
    how often it was so at the next decision, out of the `from_available` and `from_away` transitions.
    """
    names = ("seen", "missed", "stays", "returns", "from_available", "from_away")
    counts = {f"chain_{name}": np.zeros((num_envs, num_clients)) for name in names}
    return counts | {
        "chain_before": np.zeros((num_envs, num_clients), dtype=bool),
        "chain_begun": np.zeros(num_envs, dtype=bool),
    }


def observe_chains(state: State, available: Bools, rows: Bools) -> None:
    """Count who is available at a decision of the environments `rows`, bool `[E]`."""
    seen, counted = available & rows[:, None], rows[:, None] & np.ones_like(available)
    before = state["chain_before"]
    linked = counted & state["chain_begun"][:, None]
    for name, event in (
        ("seen", seen),
        ("missed", counted & ~available),
        ("stays", linked & before & available),
        ("returns", linked & ~before & available),
        ("from_available", linked & before),
        ("from_away", linked & ~before),
    ):
        state[f"chain_{name}"] = state[f"chain_{name}"] + event
    state["chain_before"] = np.where(rows[:, None], available, before)
    state["chain_begun"] = state["chain_begun"] | rows


def estimated_availability(state: State, prior_rounds: float) -> Floats:
    """Availability pi `[E, N]`: the share of decisions a client was seen at.

    Shrunk towards the share of all clients of the environment by `prior_rounds` pseudo-rounds; the reference
    code of CA-Fed centres its prior on the true values, which nobody knows here.
    """
    seen, total = state["chain_seen"], state["chain_seen"] + state["chain_missed"]
    common = _ratio(seen.sum(axis=1, keepdims=True), total.sum(axis=1, keepdims=True), 1.0)
    estimate = _ratio(seen + prior_rounds * common, total + prior_rounds, common)
    return np.clip(estimate, _LEAST, 1.0)


def estimated_memory(state: State, prior_rounds: float) -> Floats:
    """Memory lambda `[E, N]`: P(available | available before) - P(available | away before), a correlation.

    Each client's two rates are shrunk towards those of all clients by `prior_rounds` pseudo-transitions;
    before anything is known lambda is 0.
    """
    pi = estimated_availability(state, prior_rounds).mean(axis=1, keepdims=True)
    rates = []
    for hits, trials in (("stays", "from_available"), ("returns", "from_away")):
        hit, trial = state[f"chain_{hits}"], state[f"chain_{trials}"]
        common = (hit.sum(axis=1, keepdims=True) + pi) / (trial.sum(axis=1, keepdims=True) + 1.0)
        rates.append((hit + prior_rounds * common) / (trial + prior_rounds))
    found: Floats = np.clip(rates[0] - rates[1], -_MOST_MEMORY, _MOST_MEMORY)
    return found


def _ratio(over: Floats, under: Floats, otherwise: float | Floats) -> Floats:
    return np.where(under > 0, over / np.where(under > 0, under, 1.0), otherwise)
