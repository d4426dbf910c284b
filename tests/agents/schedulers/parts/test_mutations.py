"""Mutations of kept orders: valid, of one decision, never of what they began with."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_worlds import plain

from frugalfl.agents.schedulers.parts import Menu, mutate
from frugalfl.agents.schedulers.parts.mutations import MOVES
from frugalfl.envs.contract import RoundPlan

N = 6
MENU = Menu.of(plain("volunteers"))
WITH_STEP = Menu.of(plain("volunteers", levels={"server_step": (0.5, 1.0, 2.0)}))


def tape_of(seed: int, decisions: int, weighted: bool = False):
    """Orders drawn from a seed; a third of them wait."""
    rng = np.random.default_rng(seed)
    plans = []
    for _ in range(decisions):
        steps = np.where(rng.random((1, N)) < 0.5, rng.integers(1, 40, (1, N)), 0).astype(np.int32)
        samples = rng.integers(0, 40, (1, N)).astype(np.int32)
        wait_s = np.array([rng.choice([0.0, 0.0, 1800.0])])
        weights = rng.random((1, N)) if weighted else None
        plans.append(RoundPlan(steps, samples, np.array([0.8]), wait_s, weights))
    return plans


def frozen(plans):
    """The bytes of all arrays."""
    return [
        None if getattr(plan, item.name) is None else np.array(getattr(plan, item.name)).tobytes()
        for plan in plans
        for item in fields(plan)
    ]


@given(seed=st.integers(0, 10_000), decisions=st.integers(0, 6), weighted=st.booleans())
def test_a_mutant_is_valid_and_leaves_its_parent_alone(seed, decisions, weighted):
    parent = tape_of(seed, decisions, weighted)
    before = frozen(parent)
    mutant = mutate(parent, MENU, np.random.default_rng(seed))
    assert frozen(parent) == before
    assert frozen(mutate(parent, MENU, np.random.default_rng(seed))) == frozen(mutant)
    assert bool(mutant) <= bool(parent)
    for plan in mutant:
        plan.validate(1, N)
        assert np.isfinite(plan.wait_s).all()


@pytest.mark.parametrize("move", WITH_STEP.moves)
def test_every_move_changes_one_decision_at_most(move):
    changed = 0
    for seed in range(60):
        parent = tape_of(seed, 4, weighted=True)
        before = frozen(parent)
        child = move(list(parent), seed % 4, WITH_STEP, np.random.default_rng(seed))
        assert frozen(parent) == before
        assert abs(len(child) - len(parent)) <= 1
        kept = sum(any(one is other for other in parent) for one in child)
        assert kept >= len(child) - 1
        changed += frozen(child) != before
    assert changed > 20


@pytest.mark.parametrize("weighted", [False, True])
def test_clients_change_places_with_all_their_orders(weighted):
    swap = next(move for move in MOVES if move.__name__ == "_swap_client")
    for seed in range(30):
        (plan,) = parent = tape_of(seed, 1, weighted)
        (child,) = swap(parent, 0, MENU, np.random.default_rng(seed))
        tables = [plan.local_steps, plan.transfer_samples, *([plan.weights] if weighted else [])]
        after = [child.local_steps, child.transfer_samples, *([child.weights] if weighted else [])]
        assert sorted(np.stack(tables)[:, 0].T.tolist()) == sorted(np.stack(after)[:, 0].T.tolist())


def test_every_lever_is_reached():
    parent = tape_of(3, 5)
    mutants = [mutate(parent, MENU, np.random.default_rng(seed)) for seed in range(400)]
    invited = parent[0].invited.sum()
    first = [mutant[0] for mutant in mutants if mutant]
    assert {len(mutant) for mutant in mutants} > {5, 6, 7, 8}
    assert {int(plan.invited.sum()) for plan in first} > {0, int(invited) - 1, int(invited) + 1}
    assert {float(plan.quorum[0]) for plan in first} >= {0.5, 0.8, 1.0}
    waits = {float(plan.wait_s[0]) for mutant in mutants for plan in mutant}
    assert waits > {0.0, 1800.0, 7200.0}


def test_the_servers_step_is_a_lever_where_it_is_a_decision():
    parent = tape_of(3, 5)
    assert set(WITH_STEP.moves) - set(MENU.moves) == set(WITH_STEP.moves) - set(MOVES) != set()
    for menu, expected in ((MENU, {None}), (WITH_STEP, {None, 0.5, 1.0, 2.0})):
        mutants = [mutate(parent, menu, np.random.default_rng(seed)) for seed in range(300)]
        steps = {
            None if plan.server_step is None else float(plan.server_step[0])
            for mutant in mutants
            for plan in mutant
        }
        assert steps == expected
