"""Nodes that are asked things while they train: what they answer, remember and learn is the simulator's."""

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.deploy import DeploySettings
from frugalfl.agents.deploy.nodes import AskedNode, StreamFile
from frugalfl.envs.contract import STOP_S, RoundPlan
from frugalfl.traces.availability import Sessions
from frugalfl.worlds import FederatedWorld


def orders_of(world):
    """All orders that nodes were sent."""
    return [order for _, _, order in world.transport.sent]


def memories_of(world):
    """What every node keeps of its stream."""
    return [node.storage[0] for node in world.nodes]


def adds_up(world):
    """Every request that came is answered, lost, or waits."""
    books, now_s = world.books, world.clock.now()
    came = books.came(now_s)
    assert np.array_equal(came, books.answered + books.lost + books.waiting(now_s))
    assert (books.lost >= 0).all() and (books.waiting(now_s) >= 0).all()
    assert (books.right <= books.answered).all()
    return came


KINDS = [
    {},
    {"memory": {"rule": "reservoir", "rows": 15, "label_delay_s": 600}},
    {"memory": {"rule": "balanced", "rows": 12, "label_delay_s": 0}},
    {"memory": {"rule": "static", "rows": 20}, "drift": {"kind": "mix", "mean_h": 1.0}},
    {"drift": {"kind": "staggered", "mean_h": 1.0}, "model": "mlp"},
    {"drift": {"kind": "swap", "mean_h": 1.0, "scope": "client"}, "serving": {"rows": "own"}},
    {"training": {"optimiser": "adamw", "learning_rate": 0.01}, "aggregator": "fedavgm"},
]


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_answers_memories_and_model_are_the_simulators(streams, plans, twin, changes):
    world = streams(**changes)
    for plan in plans:
        world.situation()
        world.step(plan)
        adds_up(world)
    same = twin(world.scenario)
    same.follow(orders_of(world))
    assert np.array_equal(world.books.answered, same.labels)
    assert np.array_equal(world.books.right, same.labels_right)
    assert world.books.lost.sum() == 0 and world.books.right.sum() > 0
    for client, kept in enumerate(memories_of(world)):
        for mine, its in zip(kept.tables, same.core.memories.of(0, client), strict=True):
            assert np.array_equal(mine, its)
    assert np.array_equal(world.held, same.core.held)
    np.testing.assert_allclose(world.parameters(), same.core.parameters(), rtol=0, atol=1e-5)


def test_the_whole_run_counts_the_right_answers_of_the_simulator(streams, plans, twin, waits):
    world = streams()
    points = sum(world.step(plan).terms[0, 0] for plan in plans)
    same = twin(world.scenario)
    same.follow(orders_of(world))
    sent = len(orders_of(world))
    result = world.step(waits(STOP_S))
    points += result.terms[0, 0]
    assert result.terminated[0] and not world.running
    assert world.clock.now() >= world.books.end_s, "it serves until the last label is known"
    same.follow(orders_of(world)[sent:])
    assert np.array_equal(world.books.right, same.serving.right)
    assert np.array_equal(world.books.answered, same.serving.requests)
    assert points == pytest.approx(100 * same.serving.right.sum() / world.books.expected[0])
    assert world.ledger.hours[0] == pytest.approx(world.clock.now() / 3600, abs=0.01)
    assert world.test_scores()[0][0] == same.serving.prequential[0][0]


def test_a_killed_node_loses_its_memory_and_its_requests_are_counted(streams, plans, trains, waits):
    world = streams()
    victim = world.nodes[2]
    for plan in plans[:4]:
        world.step(plan)
    remembered = world.held[0, 2]
    assert remembered > 0 and world.books.lost.sum() == 0
    world.transport.time.at(world.transport.time.now_s + 0.2, lambda: world.transport.kill(victim))
    outcome = world.step(trains([1, 2])).outcome
    assert outcome.completed[0, 1] and not outcome.completed[0, 2]
    killed_s, before = world.clock.now(), int(world.books.settled[0, 2])
    world.step(waits(1800))
    assert world.held[0, 2] == 0 and not world.situation().clients.available[0, 2]
    assert world.books.settled[0, 2] == before, "nobody knows yet what became of its requests"
    world.transport._locals.pop(2)
    world.nodes[2] = world.transport.join(2)
    world.step(waits(1200))
    back_s = world.roster.session_start_s[2]
    assert back_s > killed_s and world.held[0, 2] == 0, "no label is known of what it was asked since"
    world.step(waits(2400))
    came = adds_up(world)
    first = world.books.came(back_s)[0, 2]
    assert world.books.lost.tolist() == [[0, 0, first - before, 0]]
    assert first - before > 0
    assert world.books.answered[0, 2] == world.books.settled[0, 2] - (first - before)
    assert 0 < world.held[0, 2] <= came[0, 2] - first
    assert world.situation().clients.available[0, 2]
    assert world.step(trains(range(4))).outcome.completed.all()


def test_what_a_run_did_not_hear_of_is_lost_in_the_end(streams, waits):
    world = streams()
    world.step(waits(3600))
    world.transport.drop(world.nodes[1])
    heard = world.books.settled[0, 1]
    world.step(waits(STOP_S))
    came = adds_up(world)
    assert world.books.waiting(world.clock.now()).sum() == 0
    assert world.books.lost.tolist() == [[0, came[0, 1] - heard, 0, 0]]


def test_a_node_that_was_only_cut_off_has_answered_all_the_time(streams, waits, twin):
    world = streams()
    node = world.nodes[3]
    for pause in (3600, 1800):
        world.step(waits(pause))
    world.transport.drop(node)
    world.step(waits(1800))
    assert world.held[0, 3] == 0, "what it holds is not known while it is away"
    node.mark = "2"
    world.transport.listed[node.id] = node
    world.step(waits(1800))
    world.step(waits(600))
    assert world.books.lost.sum() == 0
    same = twin(world.scenario)
    same.follow(orders_of(world))
    assert np.array_equal(world.books.right, same.labels_right)
    assert np.array_equal(world.held, same.core.held)


def test_an_ephemeral_memory_ends_with_the_session_whatever_the_node_keeps(streams, waits):
    world = streams(memory={"ephemeral": True, "rows": 400, "label_delay_s": 0})
    node = world.nodes[3]
    world.step(waits(3600))
    assert world.held[0, 3] == world.books.answered[0, 3]
    world.transport.drop(node)
    world.step(waits(60))
    node.mark = "2"
    world.transport.listed[node.id] = node
    world.step(waits(600))
    world.step(waits(600))
    assert world.books.lost.sum() == 0
    assert world.held[0, 3] < world.books.answered[0, 3], "only what came in this session"
    assert world.held[0, 2] == world.books.answered[0, 2]


def test_a_late_update_is_dropped_but_its_report_counts(streams, plans, trains, twin):
    world = streams()
    world.step(plans[0])
    world.nodes[3].step_s = 5.0
    outcome = world.step(trains(range(4), quorum=0.75, refresh=2)).outcome
    assert outcome.cancelled[0, 3] and not outcome.served.refreshed[0, 3]
    world.nodes[3].step_s = 0.1
    before = world.parameters()
    world.step(plans[2])
    assert np.array_equal(world.parameters(), before)
    world.step(plans[0])
    same = twin(world.scenario)
    for order in orders_of(world):
        if order.client == 3 and order.local_steps:
            orders = [each for each in orders_of(world) if each is not order]
    same.follow(orders)
    assert np.array_equal(world.books.answered, same.labels)
    adds_up(world)
    assert world.books.lost.sum() == 0


def test_a_report_that_cannot_be_true_is_its_nodes_failure(streams, plans, trains):
    world = streams()
    world.step(plans[0])
    honest = world.nodes[0].local

    class Liar:
        def train(self, order, kept):
            update, kept = honest.train(order, kept)
            return type(update)(**{**vars(update), "answered": 10_000, "right": 10_000}), kept

    world.nodes[0].local = Liar()
    outcome = world.step(trains(range(4))).outcome
    assert outcome.lost.tolist() == [[True, False, False, False]]
    assert world.roster.trust.faults[0] > 0
    adds_up(world)
    assert world.books.lost[0, 0] == 0
    world.nodes[0].local = honest
    world.step(plans[0])
    assert world.books.answered[0, 0] == world.books.settled[0, 0], "what was not believed is told again"


def test_a_report_that_did_not_arrive_is_told_again(streams, plans, waits):
    world = streams()
    world.step(plans[0])
    node = world.nodes[0]
    work = world.transport._work

    def deaf(target, took_s, answer):
        ticket = work(target, took_s, answer)
        if target is node:
            world.transport.time.at(target.free_s, lambda: world.transport._inbox.pop(ticket))
        return ticket

    world.transport._work = deaf
    world.step(waits(1800))
    assert world.roster.order[0] is not None, "it counts as busy"
    world.transport._work = work
    world.roster.order[0] = None
    world.step(waits(1800))
    assert world.books.lost.sum() == 0 and world.books.answered[0, 0] == world.books.settled[0, 0]


def test_only_what_nodes_reported_is_known(streams, plans, waits):
    world = streams()
    stream = world.situation().stream
    assert stream.requests.sum() == stream.labels.sum() == stream.memory_rows.sum() == 0
    assert np.isnan(stream.right_share).all()
    assert stream.right_fast[0] == world.ledger.accuracy_start[0]
    for plan in plans[:4]:
        world.step(plan)
    stream, books = world.situation().stream, world.books
    assert np.array_equal(stream.requests, books.answered) and np.array_equal(stream.memory_rows, world.held)
    assert stream.version_lag.tolist() == [[0, 2, 0, 2]], "participants were sent the second version"
    assert 0 <= stream.right_fast[0] <= 1 and (stream.right <= stream.labels).all()
    assert stream.points_per_request[0] == pytest.approx(100 / books.expected[0])
    world.step(waits(1800))
    assert world.situation().stream.arrived.sum() > 0
    assert not np.array_equal(world.situation().stream.right_share, stream.right_share)


@pytest.mark.parametrize("rule", ["fifo", "static", "reservoir"])
def test_the_age_of_memories_is_near_what_it_is(streams, waits, rule):
    world = streams(memory={"rule": rule, "rows": 40, "label_delay_s": 1800}, budgets={"hours": 12})
    for pause in (3600, 7200, 7200):
        world.step(waits(pause))
    now_s = world.clock.now()
    since_s = np.stack([kept.tables.since_s for kept in memories_of(world)])
    known = world.situation().stream.memory_age_s
    np.testing.assert_allclose(known[0].mean(), now_s - since_s.mean(), rtol=0.2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"serving": {"model": "global"}}, "serving.model: 'global', expected 'held'"),
        ({"memory": {"labelled": 0.5}}, "memory.labelled: 0.5, expected 1.0"),
        ({"exits": {}, "model": "exits", "levels": {"ask_below": [0.0, 0.5]}}, "exits: "),
        ({"malicious": {"share": 0.5}}, "malicious: "),
        ({"mixture": [{"name": "deep", "model": "mlp"}]}, "mixture: "),
    ],
    ids=str,
)
def test_what_no_live_stream_does_is_refused_in_one_line(streams, changes, field):
    with pytest.raises(ValueError, match=field) as error:
        streams(nodes=0, **changes)
    assert "\n" not in str(error.value) and "live federation" in str(error.value)


def test_a_version_counts_from_when_it_is_there_and_not_from_when_it_was_sent(streams, plans, trains, waits):
    """To node 0 the second order of a model takes longer than the run, by the clocks of both machines."""
    quick, slow = (streams(drift={"kind": "none"}) for _ in range(2))
    for world in (quick, slow):
        world.step(plans[0])
        if world is slow:
            world.nodes[0].local.utc_s = 1e12
        world.step(trains(range(4), refresh=2, steps=20))
        world.step(waits(3600))
        world.step(waits(3600))
        adds_up(world)
    assert np.array_equal(quick.parameters(), slow.parameters()), "memories are as of when it was sent"
    assert np.array_equal(quick.held, slow.held)
    assert np.array_equal(quick.books.answered, slow.books.answered)
    assert slow.books.right[0, 0] < quick.books.right[0, 0], "it answered with the untrained model"
    others = [1, 2, 3]
    assert np.array_equal(slow.books.right[0, others], quick.books.right[0, others])


@pytest.fixture
def kept(streams, plans, waits, tmp_path):
    """Plays a run in which node 2, which keeps its stream in a file, is started again after half an hour."""

    def play(damage=None, **changes):
        world = streams(**changes)
        settings = DeploySettings(scenario=world.scenario.model_dump(), out=str(tmp_path))
        world.nodes[2].local.file = StreamFile(tmp_path / "kept", settings, 2)
        for plan in plans[:4]:
            world.step(plan)
        before = world.nodes[2].storage[0]
        world.transport.drop(world.nodes[2])
        world.step(waits(1800))
        if damage is not None:
            (path,) = (tmp_path / "kept").iterdir()
            path.write_bytes(damage)
        world.nodes[2] = world.transport.join(2)
        world.step(waits(600))
        return world, before

    return play


def test_a_node_that_keeps_its_stream_comes_back_with_it(kept, waits):
    world, before = kept()
    after, back_s = world.nodes[2].storage[0], world.roster.session_start_s[2]
    assert np.array_equal(after.params, before.params), "it goes on with the version it had"
    assert int(after.tables.seen) >= int(before.tables.seen) > 0 and world.held[0, 2] > 0
    world.step(waits(3600))
    came = world.books.came
    missed = came(back_s)[0, 2] - came(before.last_s)[0, 2]
    assert missed > 0 and world.books.lost.tolist() == [[0, 0, missed, 0]]
    adds_up(world)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing of use"])
def test_a_kept_stream_that_cannot_be_read_is_none(kept, caplog, damage):
    world, _ = kept(damage)
    assert world.held[0, 2] == 0 and "begins with nothing" in caplog.text


def test_an_ephemeral_memory_is_gone_though_the_node_keeps_the_rest(kept):
    world, before = kept(memory={"ephemeral": True, "rows": 40, "label_delay_s": 1800})
    after = world.nodes[2].storage[0]
    assert int(before.tables.held) > int(after.tables.held)
    assert np.array_equal(after.params, before.params)


def test_what_was_kept_of_a_later_time_is_of_another_run(streams, waits, tmp_path):
    first = streams()
    settings = DeploySettings(scenario=first.scenario.model_dump(), out=str(tmp_path))
    first.nodes[2].local.file = file = StreamFile(tmp_path, settings, 2)
    first.step(waits(7200))
    assert int(file.load().tables.held) > 0
    again = streams()
    again.nodes[2].local.file = file
    again.step(waits(60))
    assert again.held[0, 2] == 0 and again.books.lost.sum() == 0


def test_the_simulated_world_pays_for_the_same_right_answers(streams, plans, waits):
    """`FederatedWorld` plays the plans itself: nobody leaves, links are nearly free, steps take as long."""
    live = streams()
    simulated = FederatedWorld(live.scenario, 1, "test")
    draw = simulated.source.draw(3)
    for name, value in (("step_s", 0.1), ("down_bytes_per_s", 1e15), ("up_bytes_per_s", 1e15)):
        draw.devices[name][:] = value
    always = Sessions.from_lists([([-1e6], [1e6])] * 4)
    known = replace(draw.availability, sessions=always, announced_end_s=None)
    simulated.source.draw = lambda seed: replace(draw, availability=known)
    simulated.reset(np.ones(1, dtype=bool), np.array([3]))
    points = np.zeros(2)
    for plan in [*plans, waits(STOP_S)]:
        results = [world.step(plan) for world in (live, simulated)]
        points += [float(result.terms[0, 0]) for result in results]
        apart_s = live.clock.now() - float(simulated.time_s[0])
        assert results[0].terminated[0] or 0 < apart_s < 5.0, "what is said to nodes takes a moment"
        assert np.array_equal(results[0].outcome.completed, results[1].outcome.completed)
    assert points[0] == pytest.approx(points[1]) and points[0] > 10
    np.testing.assert_allclose(live.parameters(), simulated.parameters(), rtol=0, atol=1e-5)


def test_a_recorded_stream_is_asked_in_its_order_where_the_node_has_the_file(streams, plans, twin, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a:.4f},{b:.4f},{'up' if a > b else 'down'}" for a, b in rng.random((900, 2))]
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(["price,demand,class", *rows, ""]), encoding="utf-8")
    recorded = {
        "dataset": {"kind": "stream", "path": str(path)},
        "partition": "iid",
        "serving": {"rows": "order"},
        "drift": {"kind": "none"},
    }
    world = streams(**recorded)
    for plan in plans:
        world.step(plan)
    same = twin(world.scenario)
    same.follow(orders_of(world))
    assert np.array_equal(world.books.right, same.labels_right) and world.books.right.sum() > 0
    assert np.array_equal(world.held, same.core.held)


def test_a_node_without_the_file_says_which_one_it_lacks(streams, stream_of, tmp_path):
    order = _an_order(streams())
    own = {"dataset": {"kind": "stream", "path": str(tmp_path / "prices.csv")}, "drift": {"kind": "none"}}
    with pytest.raises(ValueError, match=r"prices\.csv"):
        AskedNode(stream_of().model_copy(update=own), "test", 3, 0, order.stream.day)


def _an_order(world):
    nobody = np.zeros((1, 4), dtype=np.int32)
    world.step(RoundPlan(nobody, nobody, np.ones(1), np.array([60.0])))
    return orders_of(world)[-1]


def test_training_ends_when_requests_do_however_long_nodes_were_waited_for(streams, waits):
    world = streams()
    world.transport.time.sleep(3600.0)
    left_h = world.situation().terms.budget_left[0, 0]
    assert left_h == pytest.approx((world.books.horizon_s - world.clock.now()) / 3600)
    result = world.step(waits(3600 * left_h - 60))
    assert world.running and not result.terminated[0]
    assert world.step(waits(120)).terminated[0] and not world.running
    assert world.ledger.hours[0] < 6, "the hour before the first decision is in nobody's books"
