"""A node that lies costs its own update, never the run, the books, the model or the others' turns."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frugalfl.agents.deploy import Defence
from frugalfl.agents.deploy.transport import Reply

LIAR = 3
SUMS = ("hours", "gigabytes", "kilowatt_hours", "kilograms", "wasted_kilowatt_hours", "net_points")


def spoil(world, change):
    """Let a change into every answer of the liar to an order; a change takes a reply and returns one."""
    transport, work = world.transport, world.transport._work

    def spoilt(node, took_s, answer):
        if node is not world.nodes[LIAR]:
            return work(node, took_s, answer)
        return work(node, took_s, lambda ticket: changed(answer(ticket)))

    def changed(reply):
        return change(reply) if reply.update is not None else reply

    transport._work = spoilt


def lie(**said):
    """A change of the update's fields; a function gets the honest value."""

    def change(reply):
        honest = reply.update
        fields = {k: v(getattr(honest, k)) if callable(v) else v for k, v in said.items()}
        return replace(reply, update=replace(honest, **fields))

    return change


def say(**profile):
    return lambda reply: replace(reply, profile={**reply.profile, **profile})


def sound(world):
    """The books, the model and what schedulers see are finite, and costs not negative."""
    assert np.isfinite(world.parameters()).all()
    for name in SUMS:
        assert np.isfinite(getattr(world.ledger, name)).all(), name
        assert name == "net_points" or (getattr(world.ledger, name) >= 0).all(), name
    situation = world.situation()
    for name in ("step_s", "down_bytes_per_s", "up_bytes_per_s", "compute_watts"):
        values = getattr(situation.clients, name)
        assert np.isfinite(values).all() and (values >= 0).all(), name
    assert np.isfinite(situation.terms.overhead_s).all() and (situation.terms.overhead_s >= 0).all()
    assert not np.isinf(situation.clients.last_loss).any()


FAILURES = {
    "update not a number": lie(delta=lambda d: np.full_like(d, np.nan)),
    "update infinite": lie(delta=lambda d: np.full_like(d, np.inf)),
    "update of 3e38": lie(delta=lambda d: np.full_like(d, 3e38)),
    "update of 1e20": lie(delta=lambda d: np.full_like(d, 1e20)),
    "update a thousandfold": lie(delta=lambda d: d * np.float32(1000)),
    "another shape": lie(delta=lambda d: d[:-1]),
    "another type": lie(delta=lambda d: d.astype(np.float64)),
    "no array": lie(delta=None),
    "another round": lie(round_index=lambda r: r + 1),
    "another client": lie(client=0),
    "held negative": lie(held=-5),
    "held enormous": lie(held=10**400),
    "held infinite": lie(held=math.inf),
    "loss enormous": lie(loss=10**400),
    "loss a text": lie(loss="1"),
    "profile of lists": say(watts=[1]),
    "profile with another key": say(__class__="x"),
    "name a number": say(name=7),
    "no answer in it": lambda reply: replace(reply, update=None),
    "unreadable": lambda reply: Reply(reply.ticket, error="answer not understood", unreadable=True),
}

DOUBTS = {
    "compute not a number": lie(compute_s=math.nan),
    "compute infinite": lie(compute_s=math.inf),
    "compute negative": lie(compute_s=-1e9),
    "compute enormous": lie(compute_s=1e300),
    "loss infinite": lie(loss=math.inf),
    "loss negative": lie(loss=-1e30),
    "watts enormous": say(watts=1e300),
    "bandwidth tiny": say(down_bytes_per_s=1e-300),
    "session enormous": say(session_left_s=1e308),
}

BELIEVED = {
    "honest": lambda reply: reply,
    "compute tiny": lie(compute_s=1e-300),
    "loss not a number": lie(loss=math.nan),
    "loss large": lie(loss=1e308),
    "held too much": lie(held=10**9),
    "session ends now": say(session_left_s=0.0),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_answer_that_does_not_fit_is_its_nodes_failure(federation, order_all, caplog, name):
    world = federation()
    spoil(world, FAILURES[name])
    with caplog.at_level(logging.WARNING):
        outcomes = [world.step(order_all(world.situation())).outcome for _ in range(5)]
    failed = [bool(outcome.lost[0, LIAR]) for outcome in outcomes]
    assert failed == [True, True, True, False, False], "after three it is not asked any more"
    assert all(outcome.completed[0, :LIAR].all() for outcome in outcomes)
    assert not any(outcome.diverged.any() for outcome in outcomes) and world.running
    assert [outcome.invited[0, LIAR] for outcome in outcomes] == [True] * 3 + [False] * 2
    assert sum("failed" in line for line in caplog.messages) == 3
    assert sum("is not asked any more" in line for line in caplog.messages) == 1
    sound(world)


@pytest.mark.parametrize("name", DOUBTS)
def test_a_number_out_of_its_range_is_unknown_and_said_once(federation, order_all, caplog, name):
    world, honest = federation(), federation()
    spoil(world, DOUBTS[name])
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert world.step(order_all(world.situation())).outcome.completed.all()
            honest.step(order_all(honest.situation()))
    assert np.array_equal(world.parameters(), honest.parameters())
    assert sum("taken for unknown" in line for line in caplog.messages) == 1
    sound(world)
    np.testing.assert_allclose(world.ledger.kilowatt_hours, honest.ledger.kilowatt_hours, rtol=0.5)


@pytest.mark.parametrize("name", BELIEVED)
def test_what_may_be_true_is_taken_and_does_no_harm(federation, order_all, name):
    world = federation()
    spoil(world, BELIEVED[name])
    for _ in range(3):
        assert world.step(order_all(world.situation())).outcome.completed.all()
    sound(world)


def test_a_bound_of_length_compares_with_the_same_round_at_first_and_with_earlier_ones_later(
    federation, order_all
):
    world = federation()
    spoil(world, lie(delta=lambda d: d * np.float32(200)))
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.lost.tolist() == [[False, False, False, True]]
    assert outcome.wasted_j[0, LIAR] > 0 and outcome.up_bytes[0, LIAR] > 0
    alone = [False, False, False, True]
    assert world.step(order_all(world.situation(), only=alone)).outcome.lost[0, LIAR]


def test_without_a_bound_a_finite_update_is_taken(federation, order_all):
    world = federation(defence=Defence(norm_bound=0, most_faults=0))
    spoil(world, lie(delta=lambda d: d * np.float32(200)))
    assert world.step(order_all(world.situation())).outcome.completed.all()
    world = federation(defence=Defence(norm_bound=0, most_faults=0))
    spoil(world, lie(delta=lambda d: np.full_like(d, 3e38)))
    for _ in range(5):
        outcome = world.step(order_all(world.situation())).outcome
        assert outcome.lost[0, LIAR] and not outcome.diverged.any()


def test_a_resumed_run_knows_the_lengths_and_asks_everybody_again(federation, order_all):
    world = federation()
    spoil(world, FAILURES["unreadable"])
    for _ in range(3):
        world.step(order_all(world.situation()))
    again = federation()
    again.load_state(world.state())
    assert again.runner.bound.lengths == world.runner.bound.lengths != []
    assert world.roster.trust.given_up.tolist() == [False, False, False, True]
    assert not again.roster.trust.given_up.any()


def test_an_introduction_that_makes_no_sense_is_refused(federation):
    world = federation(nodes=3)
    transport = world.transport
    for name in ("a\x1b[2Jb", "two\nlines", "left\u202eright"):
        node = transport.join(3, name=name)
        world.situation()
        transport.time.sleep(3.0)
        world.situation()
        assert world.roster.names[3] == "" and not world.roster.connected[3]
        transport.drop(node)
    node = transport.join(3, name="late")
    node.profile["watts"] = 1e300
    world.situation()
    transport.time.sleep(3.0)
    world.situation()
    assert world.roster.names[3] == "late" and world.roster.watts[3] == world.draw.devices["compute_watts"][3]


ODD = st.sampled_from(
    [math.nan, math.inf, -math.inf, 1e308, -1e9, 0, -1, 10**400, "x", b"x", None, [1.0], True, {}]
)


@st.composite
def lies(draw):
    """Some fields of an answer, each with a value that it should not have."""
    update = draw(st.dictionaries(st.sampled_from(["loss", "held", "compute_s", "client", "delta"]), ODD))
    fields = st.sampled_from(["name", "watts", "zone", "step_s", "session_left_s", "client", "samples", "?"])
    return lie(**update), say(**draw(st.dictionaries(fields, ODD)))


def survives(federation, order_all, told):
    world = federation()
    first, second = told
    spoil(world, lambda reply: second(first(reply)))
    for _ in range(3):
        outcome = world.step(order_all(world.situation())).outcome
        assert outcome.completed[0, :LIAR].all() and not outcome.diverged.any()
    assert world.running
    sound(world)


FEW = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=15, **FEW)
@given(lies())
def test_lies_cost_their_node_only(federation, order_all, told):
    survives(federation, order_all, told)


@pytest.mark.slow
@pytest.mark.exhaustive
@settings(max_examples=500, **FEW)
@given(lies())
def test_many_lies_cost_their_node_only(federation, order_all, told):
    survives(federation, order_all, told)
