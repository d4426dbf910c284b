"""Nodes that really answer, in a time that the test moves."""

import pytest

from frugalfl.agents.deploy import ServeSettings
from frugalfl.agents.deploy.transport import Clock, Reply
from frugalfl.envs.serving import load_serving
from frugalfl.fl_core.remote import answer_order


class Node:
    """Answers one order at a time, each after `trip_s` and its own seconds per row."""

    def __init__(self, number, name, trip_s, answer_s):
        self.id, self.name, self.trip_s, self.answer_s = number, name, trip_s, answer_s
        self.held, self.alive, self.mark, self.orders, self.lies = {}, True, "1", [], None


class Nodes:
    """A transport whose nodes can be killed, which stay listed for a while, or take leave."""

    def __init__(self, time):
        self.time, self.listed, self._inbox, self._count = time, {}, {}, 0

    def clock(self, scale=1.0, skips=False):
        return Clock(0.0, scale, self.time, self.time.sleep, skips)

    def join(self, client, trip_s=2.0, answer_s=0.01, name=None):
        self._count += 1
        node = Node(100 + self._count, name or f"node-{client}", trip_s, answer_s)
        node.client = client
        self.listed[node.id] = node
        return node

    def kill(self, node, listed_s=50.0):
        node.alive = False
        self.time.at(self.time.now_s + listed_s, lambda: self.listed.pop(node.id, None))

    def leave(self, node):
        node.alive = False
        self.listed.pop(node.id, None)

    def nodes(self):
        return {number: node.mark for number, node in self.listed.items()}

    def ask(self, node, ttl_s):
        target = self.listed[node]
        said = {"name": target.name, "client": target.client}
        return self._later(target, 0.5, lambda ticket: Reply(ticket, profile=said))

    def send(self, node, order, ttl_s):
        target = self.listed.get(node)
        if target is None:
            return None, 0
        target.orders.append(order)
        size = 100 + sum(each.rows.nbytes for each in order.questions)
        size += sum(load.parameters.nbytes for load in order.loads)

        def answer(ticket):
            clock = iter([0.0, 0.0, target.answer_s] * len(order.questions)).__next__
            reply, target.held = answer_order(order, target.held, 0.0, clock, lambda s: None)
            if target.lies:
                reply = target.lies(reply)
            return Reply(ticket, served=reply, up_bytes=8 * order.rows)

        return self._later(target, target.trip_s, answer), size

    def poll(self, tickets):
        wanted = set(tickets)
        return [self._inbox.pop(ticket) for ticket in list(self._inbox) if ticket in wanted]

    def _later(self, node, seconds, answer):
        self._count += 1
        ticket = f"ticket-{self._count}"

        def finish():
            if node.alive:
                self._inbox[ticket] = answer(ticket)

        self.time.at(self.time.now_s + seconds, finish)
        return ticket


@pytest.fixture
def nodes(fake_time):
    return Nodes(fake_time)


@pytest.fixture(scope="session")
def three():
    """Three desktops, one in each zone; a few hundred requests in a step of ten minutes."""
    return load_serving(
        "serving",
        name="three",
        machines=[{"hardware": "cpu", "machines": 3, "devices": {"kind": "volunteers", "gpu": 0}}],
        zones=3,
        carbon=["GB", "JP-TK", "BR-CS"],
        arrivals={"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0, "zipf": 1.2},
        models={"steps": 60, "copies": 1},
        hours=1.0,
        deadline_h=0.5,
    )


@pytest.fixture
def settings(three, tmp_path):
    """Settings of a run of three nodes in a folder."""

    def build(scenario=three, **said):
        base = {"out": str(tmp_path / "run"), "min_nodes": 3, "poll_s": 1.0, "seed": 5}
        return ServeSettings(scenario=scenario.model_dump(), **(base | said))

    return build
