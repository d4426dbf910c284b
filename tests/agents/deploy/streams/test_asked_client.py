"""What Flower keeps of a node that is asked things ends with its process; a folder of its machine stays."""

import types

import pytest

from frugalfl.agents.deploy import DeploySettings
from frugalfl.agents.deploy.nodes import carrier

flwr = pytest.importorskip("flwr.app")


@pytest.fixture
def process(stream_of, tmp_path):
    """Starts the process of node 0; a call of it carries one order out."""
    said = DeploySettings(scenario=stream_of().model_dump(), seed=3, out=str(tmp_path / "out")).text()

    def start(**config):
        context = types.SimpleNamespace(node_config=config, state=flwr.RecordDict())
        return lambda order: carrier(order, said, context)()

    return start


def test_what_a_node_keeps_in_a_folder_outlives_its_process(streams, waits, process, tmp_path):
    world = streams()
    for _ in range(3):
        world.step(waits(1800))
    first, second, third = (order for _, _, order in world.transport.sent if order.client == 0)
    kept = {"keep": str(tmp_path / "kept")}
    one = process(**kept)
    told = one(first), one(second)
    assert told[1].held == told[1].answered > 0 and len(list((tmp_path / "kept").iterdir())) == 1
    assert process(**kept)(third).held >= told[1].held
    empty = process()(third)
    assert empty.held == empty.answered
    reports = (*told, one(third))
    assert sum(each.answered for each in reports) == world.books.answered[0, 0]
    assert sum(each.right for each in reports) == world.books.right[0, 0]
