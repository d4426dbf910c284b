"""Two nodes of one name: the older keeps it while it answers, and a successor has it when it does not."""

import pytest


def look(world, seconds):
    """Let time pass, looking every second."""
    for _ in range(int(seconds)):
        world.situation()
        world.transport.time.sleep(1.0)
    world.situation()


def test_two_living_nodes_of_one_name_do_not_evict_each_other(federation, order_all, caplog):
    world = federation()
    twin = world.transport.join(0, name="node-0", node_id=77)
    completed = []
    for _ in range(6):
        outcome = world.step(order_all(world.situation(), steps=50)).outcome
        completed.append(bool(outcome.completed[0, 0]))
    assert completed == [True] * 6
    assert world.roster.node[0] == world.nodes[0].id and world.roster.leavings[0] == 0
    assert sum("that node still answers" in line for line in caplog.messages) == 1
    world.transport.drop(world.nodes[0])
    look(world, 3)
    world.transport.drop(twin)
    world.transport.join(0, name="node-0", node_id=78)
    look(world, 3)
    assert world.roster.node[0] == 78, "a name is free again when its node has left"


def test_a_successor_takes_over_from_a_node_that_was_killed_and_is_still_listed(federation):
    world = federation()
    world.transport.kill(world.nodes[1], listed_s=1000.0)
    world.transport.join(1, node_id=99)
    look(world, 10)
    assert world.roster.node[1] == world.nodes[1].id, "it may still answer"
    look(world, 40)
    assert world.roster.node[1] == 99 and world.roster.returns[1] == 1


def test_a_successor_takes_over_at_once_where_an_order_is_overdue(federation, order_all):
    world = federation()
    time = world.transport.time
    time.at(time.now_s + 0.2, lambda: world.transport.kill(world.nodes[1], listed_s=1000.0))
    assert world.step(order_all(world.situation())).outcome.cancelled[0, 1]
    world.transport.join(1, node_id=99)
    look(world, 3)
    assert world.roster.node[1] == 99


def test_a_busy_node_keeps_its_name_until_it_has_answered(federation, order_all):
    world = federation()
    world.nodes[1].step_s = 5.0
    time = world.transport.time
    time.at(time.now_s + 0.3, lambda: world.transport.join(1, node_id=99))
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.completed.all() and outcome.duration_s[0] == pytest.approx(25.0, abs=0.5)
    look(world, 3)
    assert world.roster.node[1] == world.nodes[1].id and world.roster.leavings[1] == 0


def test_a_successor_takes_over_when_the_list_is_brought_up_to_date(federation):
    world = federation()
    world.transport.kill(world.nodes[1], listed_s=5.0)
    world.transport.join(1, node_id=99)
    look(world, 8)
    assert world.roster.node[1] == 99
