"""Flower's records of a hostile node: whatever is in them, they are that node's failure."""

import math

import numpy as np
import pytest

from frugalfl.fl_core.remote import TrainOrder

flower = pytest.importorskip("flwr.app")

from frugalfl.agents.deploy.transport import PatientGrid  # noqa: E402

SIZE = 10
ORDER = TrainOrder(
    client=1,
    round_index=0,
    local_steps=5,
    seed=0,
    base=20,
    params=np.zeros(SIZE, np.float32),
    sent_x=np.zeros((0, 3), np.float32),
    sent_y=np.zeros(0, np.int32),
)
GOOD = {
    **{"client": 1, "round_index": 0, "loss": 1.0, "held": 10, "compute_s": 1.0, "moment_steps": 0},
    **{"answered": 0, "right": 0},
}


class Metadata:
    def __init__(self, ticket):
        self.reply_to_message_id, self.message_type = ticket, "train"


class Message:
    def __init__(self, ticket, content):
        self.metadata, self.content = Metadata(ticket), content

    def has_error(self):
        return False


class Grid:
    """Flower's grid, with answers that the test puts in."""

    def __init__(self):
        self.answers, self.sent = {}, []

    def push_messages(self, messages):
        self.sent += list(messages)
        return [f"ticket-{len(self.sent)}"]

    def pull_messages(self, tickets):
        found = [(ticket, self.answers[ticket]) for ticket in tickets if ticket in self.answers]
        for _, content in found:
            if isinstance(content, Exception):
                raise content
        for ticket, _ in found:
            del self.answers[ticket]
        return [Message(*each) for each in found]


@pytest.fixture(autouse=True)
def _no_run(monkeypatch):
    """Flower makes messages in a run only."""
    monkeypatch.setattr(flower, "Message", lambda content, **said: content)


def array(data=b"", shape=(SIZE,), dtype="float32", stype="numpy.ndarray"):
    return flower.Array(dtype=dtype, shape=shape, stype=stype, data=data)


def record(delta=None, numbers=None, **parts):
    made = flower.RecordDict()
    packed = flower.Array(np.zeros(SIZE, np.float32)) if delta is None else delta
    made["arrays"] = parts.get("arrays", flower.ArrayRecord({"delta/0": packed}))
    said = flower.ConfigRecord({**GOOD, **(numbers or {})})
    made["numbers"] = parts.get("said", said)
    if "profile" in parts:
        made["profile"] = parts["profile"]
    return made


def config(**values):
    return flower.ConfigRecord(values)


ATTACKS = {
    "arrays as settings": lambda: record(arrays=config(delta=1.0)),
    "arrays as metrics": lambda: record(arrays=flower.MetricRecord({"delta/0": 1.0})),
    "numbers as arrays": lambda: record(
        said=flower.ArrayRecord({name: flower.Array(np.zeros(1)) for name in GOOD})
    ),
    "client infinite": lambda: record(numbers={"client": math.inf}),
    "held not a number": lambda: record(numbers={"held": math.nan}),
    "held infinite": lambda: record(numbers={"held": math.inf}),
    "client a list": lambda: record(numbers={"client": [1, 2]}),
    "loss enormous": lambda: record(numbers={"loss": 10**400}),
    "loss a text": lambda: record(numbers={"loss": "nan"}),
    "no bytes": lambda: record(array()),
    "broken zip": lambda: record(array(b"PK\x03\x04" + b"\x00" * 50)),
    "of torch": lambda: record(array(b"x", stype="torch.Tensor")),
    "two dimensions": lambda: record(flower.Array(np.zeros((5, 2), np.float32))),
    "texts": lambda: record(flower.Array(np.array(["a", "b"]))),
    "complex": lambda: record(flower.Array(np.zeros(SIZE, complex))),
    "declared terabytes": lambda: record(array(b"x" * 60, shape=(2**40,))),
    "nothing": flower.RecordDict,
    "no message that Flower could put together": lambda: ValueError("bad object\x1b[2J"),
}


def grid_with(ticket_of):
    grid = Grid()
    patient = PatientGrid(grid)
    tickets = [patient.send(node, ORDER, 10.0)[0] for node in (7, 8)]
    grid.answers = ticket_of(tickets)
    return patient, tickets


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_record_is_its_nodes_failure(name):
    patient, tickets = grid_with(lambda given: {given[0]: ATTACKS[name](), given[1]: record()})
    bad, good = sorted(patient.poll(tickets), key=lambda reply: tickets.index(reply.ticket))
    assert bad.unreadable and bad.update is None and bad.error.startswith("answer not understood")
    assert bad.error.isprintable()
    assert good.update is not None and not good.error and good.update.delta.shape == (SIZE,)
    assert patient.poll([]) == []


def test_profiles_of_a_wrong_kind_say_nothing():
    wrong = flower.ArrayRecord({"name": flower.Array(np.zeros(1))})
    patient, tickets = grid_with(lambda given: {given[0]: record(profile=wrong)})
    assert dict(patient.poll(tickets)[0].profile) == {}


def test_a_superlink_that_cannot_be_reached_is_nobodys_failure():
    patient, tickets = grid_with(lambda given: {given[0]: ConnectionError("gone")})
    with pytest.raises(ConnectionError):
        patient.poll(tickets)
