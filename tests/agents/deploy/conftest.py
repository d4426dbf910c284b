"""A transport without Flower: nodes that really train, in a time that the test moves."""

import heapq

import numpy as np
import pytest

from frugalfl.agents.deploy import DEFENCE
from frugalfl.agents.deploy.federation import LiveWorld, charge_actual
from frugalfl.agents.deploy.nodes import local_node
from frugalfl.agents.deploy.transport import Clock, Reply
from frugalfl.envs.scenario import load_scenario


class FakeTime:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self):
        self.now_s = 0.0
        self._due = []

    def __call__(self):
        return self.now_s

    def at(self, time_s, action):
        heapq.heappush(self._due, (time_s, len(self._due), action))

    def sleep(self, seconds):
        end = self.now_s + seconds
        while self._due and self._due[0][0] <= end:
            self.now_s, _, action = heapq.heappop(self._due)
            action()
        self.now_s = end


@pytest.fixture
def fake_time():
    """Seconds from 0."""
    return FakeTime()


class FakeNode:
    def __init__(self, node_id, client, name, step_s, profile, local):
        self.id, self.client, self.name, self.step_s = node_id, client, name, step_s
        self.profile, self.local = profile, local
        self.free_s, self.storage, self.alive, self.mark = 0.0, None, True, "1"


class FakeTransport:
    """Nodes answer one message at a time; a killed one stays listed until it is dropped."""

    def __init__(self, scenario, seed, split="test"):
        self.scenario, self.seed, self.split = scenario, seed, split
        self.time = FakeTime()
        self.listed, self._inbox, self._count, self._locals = {}, {}, 0, {}
        self.sent = []
        self.hello_s = 1.0

    def clock(self, scale=1.0):
        return Clock(0.0, scale, self.time, self.time.sleep)

    def join(self, client, step_s=0.1, name=None, node_id=None, **said):
        if client not in self._locals:
            self._locals[client] = local_node(self.scenario, self.split, self.seed, client)
        node_id = node_id or 2**63 + len(self.sent) + 17 * client + self._count
        profile = {"name": name or f"node-{client}", "client": client, **said}
        node = FakeNode(node_id, client, profile["name"], step_s, profile, self._locals[client])
        self.listed[node_id] = node
        self._count += 1
        return node

    def kill(self, node, listed_s=50.0):
        """The power cut: nothing more is heard, and it is listed for a while."""
        node.alive = False
        self.time.at(self.time.now_s + listed_s, lambda: self.drop(node))

    def drop(self, node):
        if self.listed.get(node.id) is node:
            del self.listed[node.id]

    def nodes(self):
        return {node_id: node.mark for node_id, node in self.listed.items()}

    def ask(self, node, ttl_s):
        target = self.listed[node]
        return self._work(target, self.hello_s, lambda ticket: Reply(ticket, profile=dict(target.profile)))

    def send(self, node, order, ttl_s):
        target = self.listed.get(node)
        self.sent.append((self.time.now_s, node, order))
        size = order.params.nbytes + order.sent_x.nbytes + order.sent_y.nbytes
        if target is None:
            return None, size
        took_s = max(order.local_steps, 1) * target.step_s

        def answer(ticket):
            update, target.storage = target.local.train(order, target.storage)
            update = type(update)(**{**vars(update), "compute_s": took_s})
            size = sum(array.nbytes for array in update.parcel or (update.delta,))
            return Reply(ticket, update, profile=dict(target.profile), up_bytes=size)

        return self._work(target, took_s, answer), size

    def poll(self, tickets):
        wanted = set(tickets)
        return [self._inbox.pop(ticket) for ticket in list(self._inbox) if ticket in wanted]

    def _work(self, node, took_s, answer):
        self._count += 1
        ticket = f"ticket-{self._count}"
        node.free_s = max(node.free_s, self.time.now_s) + took_s

        def finish():
            if node.alive:
                self._inbox[ticket] = answer(ticket)

        self.time.at(node.free_s, finish)
        return ticket


@pytest.fixture
def scenario():
    return charge_actual(
        load_scenario(
            "volunteers",
            name="lab",
            clients=4,
            max_rounds=50,
            workload={"deadline_s": 30.0, "overhead_s": 0.0, "step_s": 0.1},
            budgets={"hours": 48.0},
        )
    )


@pytest.fixture
def federation(scenario):
    """Builds a live world with so many nodes; `world.transport` moves its time."""

    def build(nodes=4, seed=3, scale=1.0, step_s=0.1, defence=DEFENCE, **changes):
        own = load_scenario(scenario, **changes) if changes else scenario
        transport = FakeTransport(own, seed)
        world = LiveWorld(
            own,
            transport,
            seed,
            clock=transport.clock(scale),
            poll_s=0.05,
            wall=transport.time,
            defence=defence,
        )
        world.transport = transport
        world.nodes = [transport.join(client, step_s) for client in range(nodes)]
        if nodes:
            world.gather(nodes, 60.0)
        return world

    return build


@pytest.fixture
def order_all():
    """A plan for everybody who is there."""
    from frugalfl.envs.contract import RoundPlan

    def plan(situation, steps=5, transfer=0, quorum=1.0, wait_s=0.0, only=None, probe=None):
        chosen = (
            situation.clients.available if only is None else situation.clients.available & np.array([only])
        )
        ordered = np.where(chosen, steps, 0).astype(np.int32)
        return RoundPlan(
            ordered * (probe is None),
            np.where(chosen, transfer, 0).astype(np.int32),
            np.array([quorum]),
            np.array([float(wait_s)]),
            None,
            None if probe is None else np.where(chosen, probe, 0).astype(np.int32),
        )

    return plan


@pytest.fixture
def twin(scenario):
    """The simulator's core at the beginning of the same federation."""

    def build(seed=3, **changes):
        from frugalfl.envs.episode import PopulationSource

        own = load_scenario(scenario, **changes) if changes else scenario
        source = PopulationSource(own, "test")
        draw = source.draw(seed)
        core = source.make_core(1)
        core.reset(0, draw.task, draw.model_seed)
        return core

    return build


@pytest.fixture
def transport_of():
    return FakeTransport
