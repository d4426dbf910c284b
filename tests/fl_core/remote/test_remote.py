"""The two halves of a remote round: orders and updates, and what a node may be wrong about."""

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.deploy.federation import charge_actual
from frugalfl.agents.deploy.nodes import local_node
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.remote import RemoteCore, Storage

SEED = 5


@pytest.fixture
def core():
    scenario = load_scenario("volunteers", clients=3)
    source = PopulationSource(scenario, "test")
    draw = source.draw(SEED)
    core = RemoteCore(source.dataset, source.model, 3, training=source.training)
    core.reset(0, draw.task, draw.model_seed)
    return core


@pytest.fixture
def node():
    return local_node(load_scenario("volunteers", clients=3), "test", SEED, 1)


def order_for(core, steps=2, sent=0, index=0):
    return core.orders(np.array([0, steps, 0]), np.array([0, sent, 0]), index)[1]


def test_orders_go_to_those_with_steps_only(core):
    orders = core.orders(np.array([3, 0, 1]), np.array([4, 9, 0]), 7)
    assert sorted(orders) == [0, 2]
    assert orders[0].local_steps == 3 and orders[0].sent_y.size == 4 and orders[2].sent_y.size == 0
    assert orders[0].round_index == 7 and orders[0].base == core.own[0, 0]


def test_a_node_keeps_what_it_is_sent(core, node):
    update, kept = node.train(order_for(core, sent=5))
    assert update.held == node.own + 5 and kept.y.size == 5
    again = replace(order_for(core, sent=3, index=1), base=update.held)
    update, kept = node.train(again, kept)
    assert update.held == node.own + 8 and kept.y.size == 8


def test_a_node_that_has_lost_its_memory_says_so(core, node):
    forgotten = replace(order_for(core, sent=3), base=node.own + 10)
    update, kept = node.train(forgotten, None)
    assert update.held == node.own and kept.y.size == 0
    assert np.isfinite(update.delta).all() and update.loss > 0


def test_a_node_forgets_what_the_coordinator_does_not_know_of(core, node):
    _, kept = node.train(order_for(core, sent=9))
    update, kept = node.train(replace(order_for(core, sent=2), base=node.own + 4), kept)
    assert update.held == node.own + 6 and kept.y.size == 6


def test_a_node_without_samples_sends_nothing_to_learn(core, node):
    empty = type(node)(node._dataset, node._model, node._training, "auto", np.zeros(0, dtype=np.int64))
    update, _ = empty.train(replace(order_for(core), base=0))
    assert update.held == 0 and np.isnan(update.loss) and not update.delta.any()


@pytest.mark.parametrize("wrong", [{"round_index": 3}, {"delta": np.zeros(7, np.float32)}])
def test_an_update_that_does_not_fit_is_refused(core, node, wrong):
    update, _ = node.train(order_for(core))
    with pytest.raises(ValueError, match="update of client 1"):
        core.apply({1: replace(update, **wrong)}, np.array([0, 2, 0]), 0)


def test_the_clock_of_a_node_measures_its_training(core, node):
    ticks = iter([1.0, 3.5])
    node._clock = lambda: next(ticks)
    assert node.train(order_for(core))[0].compute_s == 2.5


def test_orders_and_updates_survive_flowers_records(core, node):
    pytest.importorskip("flwr")
    from frugalfl.fl_core.remote import flower_messages as flower

    for order in (
        order_for(core, sent=4),
        core.probes(np.array([0, 6, 0]), 2)[1],
        replace(order_for(core), seed=2**62 - 1, correction=np.ones(core.parameters().size, np.float32)),
    ):
        record = flower.pack_order(order)
        again = flower.read_order(record)
        for name, value in vars(order).items():
            assert np.array_equal(getattr(again, name), value), name
        assert flower.record_bytes(record) > order.params.nbytes
        update, kept = node.train(again)
        answer = flower.pack_update(update, {"name": "desk", "watts": 3.0})
        back = flower.read_update(answer, again)
        assert np.array_equal(back.delta, update.delta) and back.held == update.held
        assert flower.read_profile(answer) == {"name": "desk", "watts": 3.0}
        state = flower.pack_profile({})
        assert flower.kept_storage(state) is None
        flower.keep_storage(state, kept)
        assert np.array_equal(flower.kept_storage(state).x, kept.x)


def test_records_that_lack_something_are_refused_in_one_line(core):
    pytest.importorskip("flwr")
    from frugalfl.fl_core.remote import flower_messages as flower

    record = flower.pack_order(order_for(core))
    del record["numbers"]["seed"]
    with pytest.raises(ValueError, match="order: 'seed' is missing"):
        flower.read_order(record)
    with pytest.raises(ValueError, match="update: 'client' is missing"):
        flower.read_update(flower.pack_profile({"name": "x"}), order_for(core))


def test_samples_stay_in_the_order_in_which_they_came():
    storage = Storage.empty(2).plus(np.ones((2, 2), np.float32), np.array([1, 2], np.int32))
    assert storage.plus(np.zeros((1, 2), np.float32), np.array([3], np.int32)).y.tolist() == [1, 2, 3]


def test_a_silent_round_of_nodes_is_as_noisy_as_any_other():
    scenario = load_scenario("volunteers", clients=3)
    source = PopulationSource(scenario, "test")
    draw = source.draw(SEED)
    for aggregator in ("by-samples", {"kind": "gaussian", "noise_multiplier": 0.5}):
        core = RemoteCore(source.dataset, source.model, 3, training=source.training, aggregator=aggregator)
        core.reset(0, draw.task, draw.model_seed)
        before = core.parameters()
        core.apply({}, np.array([2, 2, 2]), 0)
        assert (core.parameters() != before).any() == (aggregator != "by-samples")


def test_a_node_that_trains_factors_does_what_the_simulator_does():
    """It makes the base itself, from the scenario."""
    base = {"steps": 40, "learning_rate": 0.1, "optimiser": "sgd"}
    lora = {"kind": "lora", "rank": 2, "whole": ["bias"]}
    scenario = load_scenario("volunteers", clients=3, pretrained=base, trainable=lora)
    source = PopulationSource(charge_actual(scenario), "test")
    assert (source.setup_bytes, source.model_bytes) == (0.0, 4 * (2 * (64 + 10) + 10))
    draw = source.draw(SEED)
    remote = RemoteCore(source.dataset, source.model, 3, training=source.training)
    simulated = FederatedCore(source.dataset, source.model, 1, 3, source.training)
    for core in (remote, simulated):
        core.reset(0, draw.task, draw.model_seed)
    steps, nodes = np.array([3, 0, 2]), {k: local_node(scenario, "test", SEED, k) for k in (0, 2)}
    for index in range(2):
        orders = remote.orders(steps, np.zeros(3, dtype=int), index)
        updates = {client: nodes[client].train(order)[0] for client, order in orders.items()}
        assert updates[0].delta.size == source.model.num_parameters
        remote.apply(updates, steps, index)
        simulated.run_round(TrainingOrders(steps[None], round_index=np.array([index])))
    assert np.array_equal(remote.parameters(), simulated.parameters())
    assert not np.array_equal(simulated.parameters()[0], source.model.init(draw.model_seed))


class TestMoments:
    """AdamW on nodes: the moments stay there, and are those of the simulator."""

    @pytest.fixture
    def halves(self):
        """The simulator, the coordinator and its nodes, of the same federation."""
        training = {"optimiser": "adamw", "learning_rate": 0.01}
        scenario = load_scenario("volunteers", clients=3, training=training)
        source = PopulationSource(scenario, "test")
        draw = source.draw(SEED)
        whole = FederatedCore(source.dataset, source.model, 1, 3, source.training)
        core = RemoteCore(source.dataset, source.model, 3, training=source.training)
        for each in (whole, core):
            each.reset(0, draw.task, draw.model_seed)
        return whole, core, [local_node(scenario, "test", SEED, client) for client in range(3)]

    @staticmethod
    def play(halves, storages, index, steps, arrive=(True, True, True)):
        """One round of both; every node trains, but not every update arrives in time."""
        whole, core, nodes = halves
        updates = {}
        for client, order in core.orders(np.array(steps), np.zeros(3, dtype=int), index).items():
            update, storages[client] = nodes[client].train(order, storages.get(client))
            if arrive[client]:
                updates[client] = update
        core.apply(updates, np.array(steps), index)
        counted = np.where(arrive, steps, 0).astype(np.int32)[None]
        whole.run_round(TrainingOrders(counted, round_index=np.array([index])))
        return {client: update.moment_steps for client, update in updates.items()}

    def test_the_same_model_though_an_update_comes_too_late_to_count(self, halves):
        storages, (whole, core, _) = {}, halves
        self.play(halves, storages, 0, [3, 2, 4])
        self.play(halves, storages, 1, [5, 2, 4], arrive=(False, True, True))
        seen = self.play(halves, storages, 2, [2, 0, 4])
        assert seen == {0: 5, 2: 12}
        np.testing.assert_array_equal(core.parameters(), whole.parameters())
        assert (
            core.state()["workers.steps"].tolist() == whole.state()["workers.steps"].tolist() == [[5, 4, 12]]
        )

    def test_a_killed_node_begins_anew_and_says_so(self, halves):
        storages, (whole, core, _) = {}, halves
        self.play(halves, storages, 0, [3, 2, 4])
        del storages[2]
        whole.end_sessions(np.array([[False, False, True]]))
        assert self.play(halves, storages, 1, [3, 2, 4]) == {0: 6, 1: 4, 2: 4}
        assert self.play(halves, storages, 2, [3, 2, 4]) == {0: 9, 1: 6, 2: 8}
        np.testing.assert_array_equal(core.parameters(), whole.parameters())

    def test_the_end_of_a_session_ends_them_though_the_node_has_them_still(self, halves):
        storages, (whole, core, _) = {}, halves
        self.play(halves, storages, 0, [3, 2, 4])
        for each in (whole, core):
            each.end_sessions(np.array([[False, True, False]]))
        assert self.play(halves, storages, 1, [3, 2, 4])[1] == 2
        np.testing.assert_array_equal(core.parameters(), whole.parameters())

    def test_they_survive_flowers_records(self, halves):
        pytest.importorskip("flwr")
        from frugalfl.fl_core.remote import flower_messages as flower

        _, core, nodes = halves
        order = core.orders(np.array([3, 0, 0]), np.zeros(3, dtype=int), 0)[0]
        assert flower.read_order(flower.pack_order(replace(order, moment_steps=7))).moment_steps == 7
        update, kept = nodes[0].train(order)
        assert flower.read_update(flower.pack_update(update, {}), order).moment_steps == 3
        state = flower.pack_profile({})
        flower.keep_storage(state, kept)
        back = flower.kept_storage(state)
        assert [int(each.steps[0]) for each in back.moments] == [0, 3]
        assert np.array_equal(back.moments[1].second, kept.moments[1].second)


ROUNDED = {"kind": "rounded", "bits": 8, "block": 32, "error_feedback": True}


class TestCompression:
    """Nodes that compress what they send: the server's model is the simulator's, though updates get lost."""

    @pytest.fixture(
        params=[ROUNDED, {"kind": "top-k", "share": 0.2, "error_feedback": True}, "8-bit"], ids=str
    )
    def halves(self, request):
        """The simulator, the coordinator and its nodes, of the same federation."""
        scenario = load_scenario("volunteers", clients=3, compression=request.param)
        source = PopulationSource(scenario, "test")
        draw = source.draw(SEED)
        how = {"training": source.training, "compression": request.param}
        whole = FederatedCore(source.dataset, source.model, 1, 3, **how)
        core = RemoteCore(source.dataset, source.model, 3, **how)
        for each in (whole, core):
            each.reset(0, draw.task, draw.model_seed)
        return whole, core, [local_node(scenario, "test", SEED, client) for client in range(3)]

    @staticmethod
    def play(halves, storages, index, arrive=(True, True, True), bits=0):
        whole, core, nodes = halves
        steps, updates = np.array([3, 2, 4]), {}
        for client, order in core.orders(steps, np.zeros(3, dtype=int), index, bits).items():
            update, storages[client] = nodes[client].train(order, storages.get(client))
            if arrive[client]:
                updates[client] = update
        core.apply(updates, steps, index)
        counted = np.where(arrive, steps, 0).astype(np.int32)[None]
        whole.run_round(
            TrainingOrders(counted, round_index=np.array([index]), upload_bits=np.full((1, 3), bits))
        )
        return updates

    def test_the_same_model_though_updates_come_too_late_to_count(self, halves):
        storages, (whole, core, _) = {}, halves
        for index, arrive in enumerate([(1, 1, 1), (0, 1, 1), (0, 1, 0), (1, 1, 1), (1, 0, 1)]):
            self.play(halves, storages, index, arrive, bits=4)
        np.testing.assert_array_equal(core.parameters(), whole.parameters())

    def test_the_end_of_a_session_ends_the_rest(self, halves):
        storages, (whole, core, _) = {}, halves
        self.play(halves, storages, 0)
        del storages[2]  # killed
        for each in (whole, core):
            each.end_sessions(np.array([[False, True, True]]))
        self.play(halves, storages, 1)
        np.testing.assert_array_equal(core.parameters(), whole.parameters())

    def test_a_coordinator_that_goes_on_knows_which_updates_counted(self, halves):
        storages, (_, core, _) = {}, halves
        self.play(halves, storages, 0, (True, False, True))
        state = core.state()
        self.play(halves, storages, 1, (True, True, False))
        after = core.parameters()
        core.load_state(state)
        orders = core.orders(np.ones(3, dtype=int), np.zeros(3, dtype=int), 1)
        assert [order.unsent_round for order in orders.values()] == [0, -1, 0]
        assert not np.array_equal(core.parameters(), after)

    def test_fewer_bytes_travel(self, halves):
        flower = pytest.importorskip("frugalfl.fl_core.remote.flower_messages")
        pytest.importorskip("flwr")
        storages, (_, core, _) = {}, halves
        for index, bits in enumerate((4, 16)):
            order = core.orders(np.array([3, 2, 4]), np.zeros(3, dtype=int), index, bits)[1]
            asked = bits if core.compression.takes_bits else 0
            assert flower.read_order(flower.pack_order(order)).upload_bits == order.upload_bits == asked
            update = self.play(halves, storages, index, bits=bits)[1]
            record = flower.pack_update(update, {})
            size = core.compression.inner.upload_bytes(core.parameters().size, asked)
            assert size < flower.record_bytes(record) < size + 600
            back = flower.read_update(record, order)
            assert np.array_equal(back.delta, update.delta)
            state = flower.pack_profile({})
            flower.keep_storage(state, storages[1])
            kept, mine = flower.kept_storage(state).unsent, storages[1].unsent
            assert [each.round_index for each in kept] == [each.round_index for each in mine]
            assert all(np.array_equal(one.rest, two.rest) for one, two in zip(kept, mine, strict=True))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_node_knows_its_pace_before_it_was_asked_for_anything(share):
    scenario = load_scenario("volunteers", clients=4, hub={"share": share})
    node = local_node(scenario, "test", 3, 0)
    ticks = iter(range(100))
    node._clock = lambda: 2.0 * next(ticks)
    assert (node.own == 0) == (share == 1.0)
    assert node.pace_s(steps=4) == 0.5
