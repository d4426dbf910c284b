"""Any of Flower's strategies aggregates whom a scheduler of ours invites."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("flwr.serverapp")

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian

from frugalfl.agents.integrations import LoopFacts
from frugalfl.agents.integrations.flower import STEPS_KEY, ScheduledStrategy
from frugalfl.schedulers import make_scheduler, plan_for


@pytest.fixture(autouse=True)
def inside_a_run(monkeypatch):
    """Flower makes messages inside a run only."""
    from flwr.supercore.task_identity import TaskIdentity

    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


NODES = [2**63 + 7, 11, 12, 13, 14]


class Grid:
    """Nodes that add their place to the model, and say so; some are away or fail."""

    def __init__(self, away=(), failing=()):
        self.away, self.failing, self.rounds = away, failing, []

    def get_node_ids(self):
        return [node for place, node in enumerate(NODES) if place not in self.away]

    def send_and_receive(self, messages, timeout):
        messages = list(messages)
        if messages and messages[0].metadata.message_type == "train":
            self.rounds.append(messages)
        return [self._reply(message) for message in messages]

    def _reply(self, message):
        place = NODES.index(message.metadata.dst_node_id)
        weights = message.content["arrays"].to_numpy_ndarrays()[0] + place
        metrics = {"num-examples": 10 * (place + 1), "train_loss": 2.0 / (1 + place), "eval_loss": 1.0}
        content = RecordDict(
            {"arrays": ArrayRecord([weights]), "metrics": MetricRecord(metrics | {"eval_acc": 0.5})}
        )
        return Message(content, reply_to=message)

    @property
    def steps(self):
        """Local steps by place, of every round."""
        return [
            {NODES.index(each.metadata.dst_node_id): each.content["config"][STEPS_KEY] for each in round_}
            for round_ in self.rounds
        ]


class First:
    """Invites the first two who are there, the second for fewer steps."""

    name, kind, clairvoyant = "first", "handcrafted", False

    def reset(self, envs, seeds, num_clients):
        self.seen = []

    def plan(self, situation):
        self.seen.append(situation)
        here = np.flatnonzero(situation.clients.available[0])[:2]
        steps = np.zeros(situation.clients.available.shape, dtype=np.int32)
        steps[0, here] = [4, 3][: here.size]
        return plan_for(situation, steps > 0, local_steps=steps)


def play(strategy, scheduler, grid, rounds=3, **options):
    held = ScheduledStrategy(strategy, scheduler, clients=len(NODES), **options)
    return held.start(
        grid, ArrayRecord([np.zeros(3)]), num_rounds=rounds, train_config=ConfigRecord({"a": 1})
    )


@pytest.mark.parametrize("kind", [FedAvg, FedAdam, FedMedian])
def test_who_is_invited_trains_for_so_many_steps(kind):
    grid = Grid(away=(1,))
    result = play(kind(), First(), grid)
    assert grid.steps == [{0: 4, 2: 3}] * 3
    assert all(message.content["config"]["a"] == 1 for message in grid.rounds[0])
    assert (result.arrays.to_numpy_ndarrays()[0] != 0).all() and set(result.evaluate_metrics_clientapp) == {
        1,
        2,
        3,
    }


def test_the_model_is_the_strategys_own_over_those_who_were_invited():
    (weights,) = play(FedAvg(), First(), Grid(away=(0, 2)), rounds=1).arrays.to_numpy_ndarrays()
    assert np.allclose(weights, (20 * 1 + 40 * 3) / 60)


def test_the_scheduler_is_told_what_came_of_it():
    scheduler = First()
    play(FedAvg(), scheduler, Grid(), clock=iter(np.arange(100) * 1800.0).__next__)
    known = scheduler.seen[1]
    assert known.clients.samples_held[0, :3].tolist() == [10, 20, 1]
    assert np.allclose(known.clients.last_loss[0, :2], [2.0, 1.0])
    assert known.run.accuracy[0] == 0.5 and known.run.loss[0] == 1.0 and known.run.hours[0] == 0.5


def test_what_the_server_finds_counts_as_well():
    scheduler = First()
    held = ScheduledStrategy(FedAvg(fraction_evaluate=0.0), scheduler, clients=5)
    held.start(
        Grid(),
        ArrayRecord([np.zeros(3)]),
        num_rounds=2,
        evaluate_fn=lambda number, arrays: MetricRecord({"accuracy": 0.2 + 0.1 * number, "loss": 2.0}),
    )
    assert [round(float(each.run.accuracy[0]), 3) for each in scheduler.seen] == [0.0, 0.3]


def test_a_wait_is_waited_for_and_an_end_ends_the_training():
    class Patient(First):
        def plan(self, situation):
            plan = super().plan(situation)
            decision = len(self.seen)
            if decision == 2:
                return plan
            return plan_for(
                situation, np.zeros_like(plan.invited), 1, wait_s=600.0 if decision == 1 else np.inf
            )

    slept, grid = [], Grid()
    scheduler = Patient()
    result = play(FedAvg(), scheduler, grid, sleep=slept.append)
    assert slept == [600.0] and len(grid.rounds) == 1 and len(scheduler.seen) == 3
    assert scheduler.seen[1].run.hours[0] == pytest.approx(1 / 6)
    assert np.allclose(result.arrays.to_numpy_ndarrays()[0], (10 * 0 + 20 * 1) / 30)


@pytest.mark.parametrize("name", ["oort", "tifl", "round-robin", "cs-ucb-q"])
def test_schedulers_of_the_package_play_in_it(name):
    grid = Grid()
    play(FedAvg(), make_scheduler(name, participants=2), grid, rounds=4, facts=LoopFacts(price_per_hour=1.0))
    assert len(grid.rounds) == 4 and all(1 <= len(each) <= 3 for each in grid.steps)


def test_a_strategy_that_samples_others_is_told_so():
    class Nobody(FedAvg):
        def configure_train(self, server_round, arrays, config, grid):
            return []

    with pytest.raises(ValueError, match=r"fraction_train=1\.0"):
        play(Nobody(), First(), Grid())


def test_more_nodes_than_clients_are_not_asked():
    grid = Grid()
    held = ScheduledStrategy(FedAvg(), make_scheduler("all-available"), clients=3)
    held.start(grid, ArrayRecord([np.zeros(3)]), num_rounds=1)
    assert set(grid.steps[0]) == {0, 1, 2}
    with pytest.raises(ValueError, match="clients: 0, expected at least 1"):
        ScheduledStrategy(FedAvg(), First(), clients=0)


def test_flower_is_needed_only_where_it_is_asked_for():
    import frugalfl.agents.integrations as door

    assert "ScheduledStrategy" not in door.__all__ and "frugalfl.agents.integrations.flower" in sys.modules
