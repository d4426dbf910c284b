"""Small random changes of a kept sequence of orders, one lever of every decision each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ....common.arrays import Floats, Ints
from ....envs.contract import LEFT_OPEN, RoundPlan
from ....envs.scenario import Scenario

_STRETCH = 0.5
"""Standard deviation of the logarithm by which a number of steps or a wait changes."""
_SECOND = 0.4
"""Share of the mutants that get one more change, and of those again."""
_LONGER = 2
"""Orders that a mutant repeats at its end: the run may also be ended later."""


Orders: TypeAlias = Sequence[RoundPlan]
"""One episode's orders, plans of a single environment."""
Move: TypeAlias = Callable[[list[RoundPlan], int, "Menu", np.random.Generator], list[RoundPlan]]
"""Orders with one decision changed; as they were where the change does not apply."""


@dataclass(frozen=True)
class Menu:
    """What mutations choose from."""

    local_steps: Ints  # the largest bounds how far steps are stretched
    transfer_samples: Ints  # levels, 0 among them
    wait_s: Floats  # positive and finite; may be empty
    quorum: Floats  # shares
    server_step: Floats  # factors; a single one where the server's step is no decision
    upload_bits: Ints  # levels; empty where they are no decision
    refresh: Ints  # likewise
    ask_below: Floats  # likewise

    @classmethod
    def of(cls, scenario: Scenario) -> Menu:
        """The menu of a scenario's agents."""
        levels = scenario.levels
        waits = np.array(levels.wait_s, dtype=np.float64)
        return cls(
            np.array(levels.local_steps[1:], dtype=np.int64),
            np.array(levels.transfer_samples, dtype=np.int64),
            waits[(waits > 0) & np.isfinite(waits)],
            np.array(levels.quorum, dtype=np.float64),
            np.array(levels.server_step, dtype=np.float64),
            np.array(levels.upload_bits, dtype=np.int64),
            np.array(scenario.refresh_levels, dtype=np.int64),
            np.array(levels.ask_below, dtype=np.float64),
        )

    @property
    def moves(self) -> tuple[Move, ...]:
        """The changes that this menu leaves room for."""
        offered = [move for name, move in _CHANGES.items() if getattr(self, name).size > 1]
        return (*MOVES, *offered)


def mutate(orders: Orders, menu: Menu, rng: np.random.Generator) -> tuple[RoundPlan, ...]:
    """Orders with one or more random changes, their last training order repeated at the end.

    Args:
        orders: of one episode; none give none.
        menu: what to choose from.
        rng: source of all randomness.
    """
    changed, moves = list(orders), menu.moves
    while changed:
        move = moves[int(rng.integers(len(moves)))]
        changed = move(changed, int(rng.integers(len(changed))), menu, rng)
        if rng.random() >= _SECOND:
            break
    last = [plan for plan in changed if plan.invited.any()][-1:]
    return tuple(changed + last * _LONGER)


def _stretch_steps(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """One participant trains longer or shorter."""
    return _with_client(orders, at, rng, lambda plan, k: _steps(plan, k, _stretched(plan, k, menu, rng)))


def _drop_client(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """One of several participants stays away."""
    if orders[at].invited.sum() < 2:
        return orders
    return _with_client(orders, at, rng, lambda plan, k: _steps(plan, k, 0))


def _add_client(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """Another client gets a participant's orders, too."""
    other = int(rng.integers(orders[at].local_steps.shape[1]))
    return _with_client(orders, at, rng, lambda plan, k: _copied(plan, k, other))


def _swap_client(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """A participant and another client change places."""
    other = int(rng.integers(orders[at].local_steps.shape[1]))
    return _with_client(orders, at, rng, lambda plan, k: _exchanged(plan, k, other))


def _change_samples(
    orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator
) -> list[RoundPlan]:
    """A participant is sent more or fewer samples."""

    def changed(plan: RoundPlan, k: int) -> RoundPlan:
        samples = plan.transfer_samples.copy()
        samples[0, k] = rng.choice(menu.transfer_samples)
        return replace(plan, transfer_samples=samples)

    return _with_client(orders, at, rng, changed)


def _change_quorum(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """More or fewer answers are waited for."""
    return _set(orders, at, replace(orders[at], quorum=np.array([rng.choice(menu.quorum)])))


def _changing(name: str) -> Move:
    """The move that takes another level of one of the decisions `LEFT_OPEN`."""

    def changed(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
        chosen = np.array([rng.choice(getattr(menu, name))])
        return _set(orders, at, replace(orders[at], **{name: chosen}))  # type: ignore[arg-type]

    return changed


_CHANGES = {name: _changing(name) for name in LEFT_OPEN}


def _delete(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """A decision, a wait perhaps, is left out."""
    return orders[:at] + orders[at + 1 :]


def _repeat(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """A decision is taken twice."""
    return [*orders[: at + 1], *orders[at:]]


def _insert(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """A decision of another moment is taken here as well."""
    return [*orders[:at], orders[int(rng.integers(len(orders)))], *orders[at:]]


def _wait_before(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """Time passes before a decision."""
    if not menu.wait_s.size:
        return orders
    wait = replace(orders[at], wait_s=np.array([rng.choice(menu.wait_s)]))
    return [*orders[:at], wait, *orders[at:]]


def _stretch_wait(orders: list[RoundPlan], at: int, menu: Menu, rng: np.random.Generator) -> list[RoundPlan]:
    """A wait lasts longer or shorter."""
    waits = [step for step, plan in enumerate(orders) if 0 < plan.wait_s[0] < np.inf]
    if not waits:
        return orders
    at = waits[at % len(waits)]
    factor = np.exp(rng.normal(0.0, _STRETCH))
    return _set(orders, at, replace(orders[at], wait_s=np.round(orders[at].wait_s * factor)))


MOVES: tuple[Move, ...] = (
    _stretch_steps,
    _drop_client,
    _add_client,
    _swap_client,
    _change_samples,
    _change_quorum,
    _delete,
    _repeat,
    _insert,
    _wait_before,
    _stretch_wait,
)
"""The lever of every decision: who, how long, on what, how many answers, when, how often, until when.

Where the server's step or the bits of updates are decisions, there are more, see `Menu.moves`."""


def _with_client(
    orders: list[RoundPlan], at: int, rng: np.random.Generator, change: Callable[[RoundPlan, int], RoundPlan]
) -> list[RoundPlan]:
    """The orders with one decision changed at a random participant; as they are where nobody trains."""
    invited = np.flatnonzero(orders[at].invited[0])
    if not invited.size:
        return orders
    return _set(orders, at, change(orders[at], int(rng.choice(invited))))


def _set(orders: list[RoundPlan], at: int, plan: RoundPlan) -> list[RoundPlan]:
    return [*orders[:at], plan, *orders[at + 1 :]]


def _stretched(plan: RoundPlan, client: int, menu: Menu, rng: np.random.Generator) -> int:
    steps = int(plan.local_steps[0, client])
    longest = max(steps, int(menu.local_steps.max()))
    return int(np.clip(round(steps * np.exp(rng.normal(0.0, _STRETCH))), 1, longest))


def _steps(plan: RoundPlan, client: int, steps: int) -> RoundPlan:
    local_steps = plan.local_steps.copy()
    local_steps[0, client] = steps
    return replace(plan, local_steps=local_steps)


def _copied(plan: RoundPlan, client: int, other: int) -> RoundPlan:
    """The other client gets the client's orders."""
    return _rearranged(plan, [other], [client])


def _exchanged(plan: RoundPlan, client: int, other: int) -> RoundPlan:
    """The two clients have each other's orders."""
    return _rearranged(plan, [client, other], [other, client])


def _rearranged(plan: RoundPlan, to: list[int], source: list[int]) -> RoundPlan:
    """Clients `to` get the orders of clients `source`, weights included."""
    steps, samples = plan.local_steps.copy(), plan.transfer_samples.copy()
    weights = None if plan.weights is None else plan.weights.copy()
    for table in (steps, samples, weights):
        if table is not None:
            table[0, to] = table[0, source]
    return replace(plan, local_steps=steps, transfer_samples=samples, weights=weights)
