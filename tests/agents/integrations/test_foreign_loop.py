"""Schedulers in a loop that knows nothing of worlds."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.integrations import ForeignLoop, LoopFacts
from frugalfl.agents.schedulers import TUNABLE, make_scheduler

N = 6


def foreign_rounds(loop, rounds=4, away=(5,)):
    """A loop of one's own: whoever is ordered trains, and losses fall with the rounds."""
    orders = []
    for index in range(rounds):
        orders.append(loop.ask(available=[client not in away for client in range(N)], utc_hour=9.0))
        if orders[-1].local_steps:
            losses = {client: 2.0 / (1 + index + client) for client in orders[-1].local_steps}
            loop.tell(losses, accuracy=0.1 * index, loss=2.0 / (1 + index), hours=0.2)
        else:
            loop.wait(min(orders[-1].wait_s, 3600.0) / 3600.0)
    return orders


def loop_of(name, **settings):
    return ForeignLoop(make_scheduler(name, **settings), samples=[50] * N, seed=1)


WAIT = ("drift-plus-penalty", "semi-cyclic", "greenfl-online", "fedzero")
"""With their declared settings these find the one grid of this loop, or its hour, never good enough."""
ASK = ("ca-fed", "ca-fed-quantitative", "cpow-d", "pow-d")
"""These want to be told losses before a round; those that are given no choice do not."""
FORESEE = ("greenfl-offline", "drift-oracle")
"""These need the future."""


@pytest.mark.parametrize("name", [name for name in TUNABLE if name not in (*ASK, *FORESEE)])
def test_every_rule_plays_in_it(name):
    orders = foreign_rounds(loop_of(name))
    for each in orders:
        assert 5 not in each.local_steps and all(steps > 0 for steps in each.local_steps.values())
        assert each.answers <= len(each.local_steps) and (each.local_steps or each.wait_s > 0)
    assert any(each.local_steps for each in orders) != (name in WAIT)


@pytest.mark.parametrize("name", FORESEE)
def test_a_rule_that_needs_the_future_is_refused(name):
    with pytest.raises(ValueError, match="needs the future, which a loop cannot show it"):
        loop_of(name)


@pytest.mark.parametrize("name", ASK)
def test_a_rule_that_asks_for_losses_is_refused(name):
    with pytest.raises(ValueError, match="asks clients for their losses before a round"):
        foreign_rounds(loop_of(name, participants=1))


def test_what_it_is_told_is_what_a_scheduler_sees():
    class Looks:
        name, kind, clairvoyant = "looks", "handcrafted", False

        def reset(self, envs, seeds, num_clients):
            self.seen = []

        def plan(self, situation):
            self.seen.append(situation)
            return make_scheduler_plan(situation)

    from frugalfl.schedulers import plan_for

    def make_scheduler_plan(situation):
        return plan_for(situation, situation.clients.available, local_steps=3)

    scheduler = Looks()
    facts = LoopFacts(step_s=tuple(range(1, N + 1)), price_per_hour=2.0)
    loop = ForeignLoop(scheduler, samples=[10, 20, 30, 40, 50, 50], facts=facts, accuracy=0.1, loss=2.3)
    foreign_rounds(loop, rounds=3)
    s = scheduler.seen[-1]
    assert s.run.round_index.tolist() == [2] and s.run.hours == pytest.approx([0.4])
    assert s.clients.completions.tolist() == [[2, 2, 2, 2, 2, 0]]
    assert s.clients.rounds_since.tolist() == [[1, 1, 1, 1, 1, 3]]
    assert s.clients.last_loss[0, :2] == pytest.approx([1.0, 2 / 3]) and np.isnan(s.clients.last_loss[0, 5])
    assert s.clients.sightings.tolist() == [[3, 3, 3, 3, 3, 0]]
    assert s.clients.target_weight[0, 1] == pytest.approx(0.1) and s.clients.step_s[0, 3] == 4.0
    assert s.run.past_accuracy[0, -3:] == pytest.approx([0.1, 0.0, 0.1])
    assert s.run.gigabytes == pytest.approx([2 * 10 * 1e-3])
    assert s.terms.price_per_hour == [2.0]


def test_losses_decide_for_a_scheduler_that_looks_at_them():
    loop = loop_of("power-of-choice", participants=2)
    loop.ask()
    loop.tell({client: float(client) for client in range(N)}, 0.5, 1.0, 0.1)
    assert set(loop.ask().local_steps) <= set(range(N)) and len(loop.ask().local_steps) == 2


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (
            lambda: ForeignLoop(make_scheduler("random-m"), samples=[]),
            "samples: .*expected a positive",
        ),
        (lambda: loop_of("random-m").ask([True]), "available: 1 values, expected one for each of 6"),
        (lambda: LoopFacts(step_s=-1.0), "step_s"),
        (
            lambda: ForeignLoop(make_scheduler("random-m"), [1, 2], LoopFacts(step_s=(1.0, 2.0, 3.0))),
            "step_s: 3 values, expected one for each of 2 clients",
        ),
    ],
)
def test_what_does_not_fit_is_refused(do, message):
    with pytest.raises(ValueError, match=message):
        do()
