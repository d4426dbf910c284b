"""Nodes that are really asked things, in a time that the test moves; the simulator's parts for the same."""

import numpy as np
import pytest

from frugalfl.agents.deploy import DEFENCE
from frugalfl.agents.deploy.federation import charge_actual
from frugalfl.agents.deploy.nodes import AskedNode
from frugalfl.agents.deploy.streams import StreamingLiveWorld
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.streaming import Now, Serving
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.traces.availability import SessionBatch

SEED, CLIENTS = 3, 4


class Asked:
    """A node's process: it keeps its stream and its storage between orders, each of which comes at once."""

    utc_s, file = 0.0, None

    def __init__(self, scenario, split, seed, client):
        self._said, self._node = (scenario, split, seed, client), None

    def train(self, order, kept):
        if self._node is None:
            self._node = AskedNode(*self._said, order.stream.day, utc=lambda: self.utc_s)
        restarted, (memory, storage) = kept is None, kept or (None, None)
        if restarted and self.file is not None:
            memory = self.file.load()
        update, memory, storage = self._node.carry_out(order, memory, storage, restarted)
        if self.file is not None:
            self.file.save(memory)
        return update, (memory, storage)


@pytest.fixture
def stream_of():
    """Builds a scenario of four nodes that are asked things for six hours."""

    def build(**changes):
        own = {
            "name": "lab",
            "clients": CLIENTS,
            "budgets": {"hours": 6},
            "drift": {"kind": "shift", "mean_h": 1.5},
            "workload": {"deadline_s": 300.0, "overhead_s": 0.0},
        }
        return charge_actual(load_scenario("streams", **(own | changes)))

    return build


@pytest.fixture
def asked_transport(transport_of):
    """A `FakeTransport` of nodes that are asked things."""

    class Transport(transport_of):
        def join(self, client, *arguments, **said):
            self._locals.setdefault(client, Asked(self.scenario, self.split, self.seed, client))
            return super().join(client, *arguments, **said)

    return Transport


@pytest.fixture
def streams(stream_of, asked_transport):
    """Builds a live world of nodes that are asked things; `world.transport` moves its time."""

    def build(nodes=CLIENTS, scale=1.0, **changes):
        scenario = stream_of(**changes)
        transport = asked_transport(scenario, SEED)
        clock = transport.clock(scale)
        world = StreamingLiveWorld(
            scenario, transport, SEED, clock=clock, poll_s=0.05, wall=transport.time, defence=DEFENCE
        )
        world.transport = transport
        world.nodes = [transport.join(client) for client in range(nodes)]
        if nodes:
            world.gather(nodes, 60.0)
        return world

    return build


def wait(seconds):
    """A plan that waits."""
    nobody = np.zeros((1, CLIENTS), dtype=np.int32)
    return RoundPlan(nobody, nobody, np.ones(1), np.array([float(seconds)]))


def train(clients, refresh=-1, steps=5, quorum=1.0, probe=0):
    """A plan that trains some clients, or asks them for their loss."""
    chosen = np.isin(np.arange(CLIENTS), clients)[None]
    orders = np.where(chosen, steps, 0).astype(np.int32)
    samples = np.where(chosen, probe, 0).astype(np.int32) if probe else None
    none = np.zeros_like(orders)
    return RoundPlan(
        none if probe else orders,
        none,
        np.array([quorum]),
        np.zeros(1),
        probe_samples=samples,
        refresh=np.array([refresh]),
    )


@pytest.fixture
def plans():
    """Waits and rounds of all kinds: some invited, some refreshed, probes."""
    everybody = range(CLIENTS)
    return [
        wait(3600),
        train(everybody, refresh=0),
        wait(1800),
        train([0, 2], refresh=1, steps=9),
        wait(2400),
        train([1], refresh=2, steps=20),
        train([0, 3], probe=7),
        wait(1800),
        train([0, 1, 2], refresh=0, steps=12),
        wait(3000),
        train(everybody),
    ]


class Twin:
    """The simulator's clients, told when somebody was sent which model, and who trained."""

    def __init__(self, scenario):
        source = PopulationSource(scenario, "test")
        draw = source.draw(SEED)
        self.core = source.make_core(1)
        self.serving = Serving(scenario, self.core, SessionBatch(1, CLIENTS))
        self.core.reset(0, draw.task, draw.model_seed)
        self.serving.set(0, draw.stream)
        self.serving.begin(np.ones(1, dtype=bool), *self.core.evaluate())
        self._time_s, self._got_s, self._moved = 0.0, np.full((1, CLIENTS), np.inf), False
        self.labels, self.labels_right = (np.zeros((1, CLIENTS), dtype=np.int64) for _ in range(2))

    def advance(self, time_s):
        """Answer what comes until then with the versions held."""
        now = Now(np.array([self._time_s]), np.array([time_s]), np.ones(1, dtype=bool))
        served = self.serving.play(now, self._got_s)
        self.labels += served.labels
        self.labels_right += served.labels_right
        if self._moved:
            self.serving.move(np.ones(1, dtype=bool), self.core.evaluate()[0])
        self._time_s, self._got_s, self._moved = time_s, np.full((1, CLIENTS), np.inf), False

    def give(self, orders):
        """Clients are sent orders now: models, and work."""
        steps = np.zeros((1, CLIENTS), dtype=np.int32)
        for order in orders:
            if order.params.size:
                self._got_s[0, order.client] = self._time_s
            steps[0, order.client] = order.local_steps
        if steps.any():
            index = np.array([orders[0].round_index])
            self.core.run_round(TrainingOrders(steps, None, index, np.ones((1, CLIENTS))))
            self._moved = True

    def follow(self, orders):
        """Take all orders that were sent, in their order."""
        for time_s in dict.fromkeys(order.stream.now_s for order in orders):
            self.advance(time_s)
            self.give([order for order in orders if order.stream.now_s == time_s])


@pytest.fixture
def twin():
    return Twin


@pytest.fixture
def waits():
    return wait


@pytest.fixture
def trains():
    return train
