"""A round on real nodes keeps the rules of the simulator's round, whatever the nodes do."""

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.envs.contract import STOP_S
from frugalfl.fl_core.aggregation import Compression
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.worlds import FederatedWorld


def play(core, plan, index, held):
    """The simulator's training for a plan that everybody carries out."""
    held = np.minimum(held + np.where(plan.local_steps > 0, plan.transfer_samples, 0), core.capacity)
    core.hold(held)
    rates = np.full(plan.local_steps.shape, 1.0)
    core.run_round(TrainingOrders(plan.local_steps, plan.weights, np.array([index]), rates))
    return held


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": "mlp"},
        {"aggregator": "scaffold"},
        {"aggregator": "fednova"},
        {"aggregator": {"kind": "nnm", "f": 1, "then": "median"}},
        {"hub": {"share": 1.0}},
    ],
    ids=str,
)
def test_the_global_model_is_the_simulators(federation, twin, order_all, changes):
    world, core = federation(**changes), twin(**changes)
    held = core.own.astype(np.int64)
    for index in range(4):
        transfer = 20 if world.held.min() == 0 or index % 2 else 0
        plan = order_all(world.situation(), steps=3 + index, transfer=transfer)
        result = world.step(plan)
        assert result.outcome.completed.all()
        held = play(core, plan, index, held)
        assert np.array_equal(world.held, held)
        np.testing.assert_allclose(world.parameters(), core.parameters(), rtol=0, atol=1e-5)
    accuracy, loss = core.evaluate()
    np.testing.assert_allclose(world.ledger.accuracy, accuracy)
    np.testing.assert_allclose(world.ledger.loss, loss, rtol=1e-6)


def test_a_subset_trains_and_time_and_bytes_are_measured(federation, order_all):
    world = federation()
    outcome = world.step(order_all(world.situation(), steps=10, only=[True, False, True, False])).outcome
    assert outcome.completed.tolist() == [[True, False, True, False]]
    assert 1.0 <= outcome.duration_s[0] < 1.2
    assert (outcome.compute_s[0] == [1.0, 0, 1.0, 0]).all()
    model_bytes = world.source.model.bytes
    assert (outcome.down_bytes[0] == [model_bytes, 0, model_bytes, 0]).all()
    joules = outcome.compute_s * world.roster.watts + 2 * model_bytes * world.roster.network_j_per_byte
    np.testing.assert_allclose(outcome.energy_j, np.where(outcome.completed, joules, 0))
    assert (outcome.emissions_g > 0).sum() == 2
    assert outcome.wasted_j.sum() == 0


def test_the_round_closes_at_the_quorum_and_the_slow_node_stays_busy_until_it_answers(federation, order_all):
    world = federation()
    world.nodes[3].step_s = 2.0
    outcome = world.step(order_all(world.situation(), steps=5, quorum=0.75)).outcome
    assert outcome.completed.tolist() == [[True, True, True, False]]
    assert outcome.cancelled.tolist() == [[False, False, False, True]]
    assert outcome.duration_s[0] < 1.0
    situation = world.situation()
    assert situation.clients.available.tolist() == [[True, True, True, False]]
    before = world.parameters()
    world.transport.time.sleep(10.0)
    assert world.situation().clients.available.all(), "its late answer has made it idle again"
    assert np.array_equal(world.parameters(), before), "a late update is dropped"
    outcome = world.step(order_all(world.situation(), only=[True, False, False, False])).outcome
    assert outcome.wasted_j[0, 3] > 0, "what it computed after the close is charged as waste"
    assert not outcome.invited[0, 3]


def test_a_late_answer_tells_what_the_node_was_sent(federation, order_all):
    world = federation()
    world.nodes[3].step_s = 2.0
    world.step(order_all(world.situation(), quorum=0.75, transfer=20))
    own = world.core.own[0, 3]
    assert world.held[0, 3] == own
    world.transport.time.sleep(10.0)
    world.situation()
    world.step(order_all(world.situation(), only=[True, False, False, False]))
    assert world.held[0, 3] == own + 20


def test_the_deadline_closes_the_round(federation, order_all):
    world = federation()
    world.nodes[0].step_s = 100.0
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.cancelled[0, 0] and outcome.completed[0, 1:].all()
    assert 30.0 <= outcome.duration_s[0] < 30.2


def test_a_killed_node_costs_at_most_the_deadline_and_comes_back_as_itself(federation, order_all):
    world, durations = federation(), []
    victim = world.nodes[1]
    for index in range(8):
        if index == 2:
            world.transport.time.at(world.transport.time.now_s + 0.2, lambda: world.transport.kill(victim))
        if index == 6:
            world.transport.join(1, node_id=victim.id + 99)
            world.situation()
            world.transport.time.sleep(2.0)
        result = world.step(order_all(world.situation()))
        durations.append(float(result.outcome.duration_s[0]))
        expected = [True, not 2 <= index < 6, True, True]
        assert result.outcome.completed.tolist() == [expected]
        if index == 2:
            assert result.outcome.cancelled[0, 1] or result.outcome.lost[0, 1]
    assert max(durations) < 30.2
    assert world.roster.names[1] == "node-1" and world.roster.returns[1] == 1
    assert world.ledger.completions[0, 1] == 4


def test_a_node_that_takes_leave_is_lost_at_once(federation, order_all):
    world = federation()
    world.nodes[2].step_s = 5.0
    world.transport.time.at(world.transport.time.now_s + 1.0, lambda: world.transport.drop(world.nodes[2]))
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.lost.tolist() == [[False, False, True, False]]
    assert 1.0 <= outcome.duration_s[0] < 1.3
    assert outcome.wasted_j[0, 2] > 0


def test_a_restart_under_the_same_id_is_noticed(federation, order_all):
    world = federation()
    node = world.nodes[2]
    node.step_s = 5.0

    def restart():
        world.transport.drop(node)
        again = world.transport.join(2, 0.1, node_id=node.id)
        again.mark = "2"

    world.transport.time.at(world.transport.time.now_s + 1.0, restart)
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.lost[0, 2]
    world.transport.time.sleep(3.0)
    assert world.situation().clients.available.all()


def test_an_update_that_makes_no_sense_is_its_nodes_failure(federation, order_all):
    world = federation()
    train = world.nodes[0].local.train

    def broken(order, storage):
        update, kept = train(order, storage)
        return type(update)(**{**vars(update), "delta": update.delta * np.nan}), kept

    world.nodes[0].local = type("Broken", (), {"train": staticmethod(broken)})()
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.lost.tolist() == [[True, False, False, False]]
    assert not outcome.diverged.any() and np.isfinite(world.parameters()).all()


def test_nobody_answers_and_the_model_stands_still(federation, order_all):
    world = federation()
    before = world.parameters()
    for node in world.nodes:
        world.transport.kill(node, listed_s=1000.0)
    outcome = world.step(order_all(world.situation())).outcome
    assert outcome.cancelled.all() and np.array_equal(world.parameters(), before)
    assert world.running
    assert not world.situation().clients.available.any()


def test_waiting_passes_time_and_ends_early_only_when_nobody_was_there(federation, order_all):
    world = federation(nodes=2)
    result = world.step(order_all(world.situation(), wait_s=100.0))
    assert result.outcome.duration_s[0] == pytest.approx(100.0)
    empty = federation(nodes=0)
    empty.transport.time.at(5.0, lambda: empty.transport.join(0))
    result = empty.step(order_all(empty.situation(), wait_s=100.0))
    assert result.outcome.duration_s[0] < 10.0
    assert empty.situation().clients.available.tolist() == [[True, False, False, False]]


def test_a_simulations_clock_skips_waits(federation, order_all):
    world = federation(nodes=2)
    world.clock.skips = True
    real_s = world.transport.time()
    result = world.step(order_all(world.situation(), wait_s=100.0))
    assert result.outcome.duration_s[0] == pytest.approx(100.0)
    assert world.transport.time() - real_s < 1.0


def test_a_plan_may_end_the_run(federation, order_all):
    world = federation()
    result = world.step(order_all(world.situation(), wait_s=STOP_S))
    assert result.terminated[0] and not world.running
    with pytest.raises(ValueError, match="ended"):
        world.step(order_all(world.situation()))


def test_a_probe_asks_for_the_loss_that_the_simulator_would_tell(federation, twin, order_all):
    world, core = federation(), twin()
    plan = order_all(world.situation(), steps=5)
    world.step(plan)
    play(core, plan, 0, core.own.astype(np.int64))
    result = world.step(order_all(world.situation(), probe=12, only=[True, True, False, True]))
    asked = np.array([[True, True, False, True]])
    expected = core.client_losses(asked, np.full((1, 4), 12), np.array([1]))
    np.testing.assert_allclose(result.outcome.probed_loss, expected, rtol=1e-5)
    assert world.ledger.rounds[0] == 1 and world.ledger.decisions[0] == 2 and not result.outcome.invited.any()
    np.testing.assert_allclose(world.situation().clients.probed_loss, expected, rtol=1e-5)


def test_invitations_that_cannot_be_carried_out_are_repairs(federation, order_all):
    world = federation(nodes=2)
    plan = order_all(world.situation())
    everyone = np.full((1, 4), 5, dtype=np.int32)
    outcome = world.step(type(plan)(everyone, everyone * 0, plan.quorum, plan.wait_s)).outcome
    assert outcome.repairs[0] == 2 and outcome.completed.sum() == 2


def test_time_may_run_faster_than_the_clock_on_the_wall(federation, order_all):
    world = federation(scale=60.0, step_s=0.02)
    outcome = world.step(order_all(world.situation(), steps=10)).outcome
    assert 12.0 <= outcome.duration_s[0] < 20.0
    np.testing.assert_allclose(outcome.compute_s, 12.0)


def test_orders_for_nobody_take_the_servers_time(federation, order_all):
    world = federation(nodes=0, workload={"overhead_s": 7.0})
    everyone = np.full((1, 4), 5, dtype=np.int32)
    plan = order_all(world.situation())
    outcome = world.step(type(plan)(everyone, everyone * 0, plan.quorum, plan.wait_s)).outcome
    assert outcome.repairs[0] == 4 and 7.0 <= outcome.duration_s[0] < 7.2


def test_who_was_seen_is_counted_once_per_decision(federation, order_all):
    world = federation(nodes=3)
    for _ in range(3):
        world.situation()
    assert world.situation().clients.sightings.tolist() == [[1, 1, 1, 0]]
    world.step(order_all(world.situation(), probe=5))
    assert world.situation().clients.sightings.tolist() == [[1, 1, 1, 0]]
    world.step(order_all(world.situation()))
    assert world.situation().clients.sightings.tolist() == [[2, 2, 2, 0]]


def test_a_wait_is_no_round_and_nodes_need_no_set_up(federation, order_all):
    world = federation(nodes=3, workload={"setup_bytes": 1e9})
    plan = order_all(world.situation())
    world.step(type(plan)(plan.local_steps, plan.transfer_samples, plan.quorum, np.array([0.05])))
    situation = world.situation()
    assert world.ledger.decisions[0] == 1 and situation.run.looks[0] == 2
    assert situation.run.round_index[0] == 0 and situation.run.rounds_left[0] == world.scenario.max_rounds
    assert situation.clients.setup_bytes.tolist() == [[0.0] * 4]
    world.step(order_all(situation))
    assert world.situation().run.round_index[0] == 1


def test_the_overhead_of_a_round_is_measured(federation, order_all):
    world = federation(workload={"overhead_s": 7.0})
    assert world.situation().terms.overhead_s.tolist() == [7.0]
    world.step(order_all(world.situation(), steps=5))
    assert 0.0 <= world.situation().terms.overhead_s[0] < 0.2


def test_the_terms_of_a_live_federation_are_the_partitions_and_the_nodes(federation):
    world = federation(nodes=3)
    simulated = FederatedWorld(world.scenario, 1, "test")
    simulated.reset(np.ones(1, dtype=bool), np.array([3]))
    terms, drawn = world.situation().terms, simulated.situation().terms
    assert terms.label_skew[0] == drawn.label_skew[0] > 0
    assert terms.sample_bytes[0] == drawn.sample_bytes[0] and terms.deadline_s[0] == 30.0
    assert terms.announced_share[0] == 0.0
    world.roster.announced_end_s[[1, 3]] = 500.0  # client 3 is not connected
    assert world.situation().terms.announced_share[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "changes", [{"topology": "ring"}, {"late": {"kind": "staleness"}}, {"evaluation": {"personal": "knn"}}]
)
def test_what_no_live_federation_does_is_refused_in_one_line(federation, changes):
    with pytest.raises(ValueError, match="in a live federation") as error:
        federation(nodes=0, **changes)
    assert "\n" not in str(error.value)


ROUNDED = {"kind": "rounded", "bits": 16, "error_feedback": True}
LIVE_BITS = {"compression": ROUNDED, "levels": {"upload_bits": [4, 8, 16]}}


def test_the_bits_of_a_plan_are_those_in_which_nodes_send(federation, twin, order_all):
    world, core = federation(**LIVE_BITS), twin(**LIVE_BITS)
    compression, size = core.compression, core.parameters().size
    for index, bits in enumerate((4, 16, 0)):
        situation = world.situation()
        assert situation.terms.upload_bits[0] == 16
        assert situation.terms.upload_bytes[0] == compression.upload_bytes(size)
        plan = replace(order_all(situation), upload_bits=np.array([bits]))
        outcome = world.step(plan).outcome
        assert (outcome.up_bytes[outcome.completed] == compression.upload_bytes(size, bits)).all()
        rates = np.full(plan.local_steps.shape, 1.0)
        sent_in = np.full(plan.local_steps.shape, bits)
        core.run_round(TrainingOrders(plan.local_steps, None, np.array([index]), rates, upload_bits=sent_in))
        np.testing.assert_allclose(world.parameters(), core.parameters(), rtol=0, atol=1e-6)


def test_a_compression_that_cannot_travel_is_refused(federation):
    with pytest.raises(ValueError, match="compression: 'halved', expected one that says"):
        federation(nodes=0, compression=f"{__name__}:Halved")


class Halved(Compression):
    """Half of every coordinate, by somebody who did not think of a wire."""

    name = "halved"

    def upload_bytes(self, num_parameters, bits=0):
        return 2 * num_parameters

    def send(self, env, client, delta, bits=None):
        return delta / 2
