"""Placed models answer on nodes; whoever fails costs time or an answer, and is counted."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from frugalfl.agents.deploy.run import ServingCoordinator, load_step
from frugalfl.agents.deploy.serving import LiveServing
from frugalfl.agents.schedulers.serving import POLICY_PARTS
from frugalfl.envs.serving import NOTHING, FleetSource, ServingPlan, ServingWorld, load_serving

LARGEST = 4


def plan_of(world, load=(0, 0, 0), threshold=0.0, release=1.0):
    tasks = world.scenario.tasks
    return ServingPlan(np.array([load]), np.full((1, tasks), threshold), np.array([release]))


@pytest.fixture
def live(nodes, settings):
    """A world of three nodes, and the nodes."""

    def build(scenario=None, scale=1.0, **said):
        made = [nodes.join(client) for client in range(3)]
        given = settings(**said) if scenario is None else settings(scenario, **said)
        world = LiveServing(given, nodes, nodes.clock(scale), nodes.time)
        world.gather(3, 60.0)
        return world, made

    return build


def step(world, **said):
    world.situation()
    return world.step(plan_of(world, **said)).outcome


def balance(world):
    book = world.book
    book.check()
    totals = world.totals()
    assert totals["requests"][0] == book.accepted
    assert totals["answered"][0] == book.answered and totals["dropped"][0] == book.dropped


def test_nodes_answer_what_the_simulators_models_answer(live, three):
    world, made = live(hub_free(three))
    loads = [1 + task * 5 + rung for task, rung in ((0, 4), (1, 2), (2, 0))]
    first = step(world, load=loads)
    assert first.begun[0] == first.loaded[0] == 3 and world.holding.tolist() == [4, 7, 10]
    second = step(world)
    assert [sorted(load.model for load in node.held.values()) for node in made] == [[4], [7], [10]]
    assert second.local.sum() == second.answered.sum() > 0 and second.hub[0] == 0
    asked, right = 0, 0
    answers, rows = world.source.ladder.asked["test"], world.source.ladder.rows["test"]
    for node, model in zip(made, (4, 7, 10), strict=True):
        for question in (question for order in node.orders for question in order.questions):
            assert question.model == model
            place = [int(np.flatnonzero((rows == x).all(axis=1))[0]) for x in question.rows]
            right += int(answers.right[model // 5, model % 5, place].sum())
            asked += len(place)
    totals = world.totals()
    assert (asked, right) == (totals["answered"][0], totals["right"][0])
    balance(world)


def hub_free(scenario):
    return load_serving(scenario, hub={"share": 0.0})


def test_requests_are_those_of_the_simulator(live, three):
    world, _ = live()
    twin = ServingWorld(world.scenario, 1, "test")
    twin.reset(np.ones(1, dtype=bool), np.array([5]))
    for _ in range(world.steps):
        mine, its = step(world), twin.step(plan_of(world)).outcome
        assert np.array_equal(mine.requests, its.requests)
    assert not world.running and world.book.open == 0
    balance(world)


POPULAR = [1 + 2 * 5 + LARGEST] * 3
"""Everybody loads the largest model of the task that most requests are of."""


def rows_in(order):
    return sum(len(question.rows) for question in order.questions)


def busiest(world, made):
    """Load on all nodes, and see who is sent most rows."""
    step(world, load=POPULAR)
    step(world)
    return max(made, key=lambda node: rows_in(node.orders[-1]))


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_no_request_is_lost_when_a_node_goes_with_its_rows(live, nodes, how, three):
    world, made = live(load_serving(three, hub={"share": 0.1}), patience_s=20.0)
    victim = busiest(world, made)
    victim.trip_s, asked = 10.0, len(victim.orders)
    before = world.book.open
    nodes.time.at(nodes.time.now_s + 5.0, lambda: getattr(nodes, how)(victim))
    hit = step(world)
    assert hit.retried[0] == rows_in(victim.orders[-1]) > 0
    assert hit.lost[0] == 1 and len(victim.orders) == asked + 1
    came = before + hit.requests.sum()
    assert came == hit.answered.sum() + hit.dropped.sum() + hit.waiting.sum()
    assert hit.dropped[0, 2] == 0, "the others have its model"
    step(world)
    assert len(victim.orders) == asked + 1, "it is not asked again"
    balance(world)


def test_rows_that_nobody_else_can_answer_are_dropped_and_counted(live, nodes, three):
    world, made = live(hub_free(three), patience_s=20.0)
    step(world, load=[POPULAR[0], 0, 0])
    step(world)
    nodes.leave(made[0])
    alone = step(world)
    urgent = alone.requests[0, :, 2].sum() - alone.waiting[0, 2]
    assert alone.dropped[0, 2] == urgent > 0 and alone.answered.sum() == 0
    balance(world)


def test_rows_of_a_silent_node_are_answered_by_one_that_has_the_model(live, three):
    world, made = live(hub_free(three), patience_s=15.0)
    silent = busiest(world, made)
    silent.trip_s = 1e5
    hit = step(world)
    assert hit.retried[0] == rows_in(silent.orders[-1]) > 0 and hit.dropped[0, 2] == 0
    assert world.record.measured_ms > 15e3, "somebody waited for the second answer"
    asked = len(silent.orders)
    step(world)
    assert len(silent.orders) == asked, "it is busy until it has answered"
    balance(world)


def test_late_answers_are_not_counted_twice(live, three):
    world, made = live(hub_free(three), patience_s=15.0)
    slow = busiest(world, made)
    slow.trip_s = 30.0
    hit = step(world)
    assert world.record.late >= hit.retried[0] > 0
    balance(world)


def test_a_node_that_lies_is_at_fault_and_its_rows_are_answered_elsewhere(live, three):
    world, made = live(hub_free(three))
    liar = busiest(world, made)
    liar.lies = lambda reply: replace(
        reply, answers=tuple(replace(each, confidence=each.confidence + 2) for each in reply.answers)
    )
    hit = step(world)
    assert world.roster.trust.faults[made.index(liar)] >= 1 and hit.retried[0] > 0
    assert hit.dropped[0, 2] == 0
    balance(world)


def test_a_node_that_forgot_its_model_is_told_again(live, three):
    world, made = live(hub_free(three))
    forgetful = busiest(world, made)
    forgetful.held = {}
    hit = step(world)
    place = made.index(forgetful)
    assert hit.lost[0] == 1 and world.holding[place] == NOTHING
    assert hit.dropped[0, 2] == 0
    assert step(world, load=POPULAR).loaded[0] == 1
    balance(world)


def test_unsure_answers_are_asked_of_the_hub_while_it_has_room(live, three):
    world, _ = live(load_serving(three, hub={"share": 0.2}))
    step(world, load=[1, 1, 1])
    asked = step(world, threshold=1.0)
    room = int(world.situation().hub.capacity_per_step[0])
    assert 0 < asked.asked[0] + asked.hub[0] <= room
    bins = world.record.bins
    assert bins[0].sum() == asked.local.sum() and bins[1].sum() == asked.asked[0] >= bins[2].sum()


def test_what_can_wait_waits_until_it_is_released_or_due(live, three):
    world, _ = live(hub_free(three))
    step(world, load=[5, 5, 5], release=0.0)
    waiting = step(world, release=0.0).waiting.sum()
    assert waiting > 0
    queue = world.situation().tasks.queue
    assert queue.sum() == waiting and queue.shape[-1] == 3
    assert queue[..., 0].sum() > 0 < queue[..., 1].sum(), "half an hour is three steps, two are over"
    assert queue[..., 2].sum() == 0
    freed = step(world, release=1.0)
    assert freed.waiting[0, 0] == 0, "those of the task that is served"
    while world.running:
        step(world, release=0.0)
    assert world.book.open == 0
    balance(world)


def test_milliseconds_are_measured_beside_nominal_ones(live, three):
    world, made = live(hub_free(three))
    before = world.situation()
    for node in made:
        node.answer_s, node.trip_s = 0.5, 3.0
    busy = busiest(world, made)
    first = next(rows_in(order) for order in busy.orders if order.questions)
    record, after = world.record, world.situation()
    assert record.measured_ms / record.waited == pytest.approx(3000.0, abs=100.0)
    assert record.nominal_ms / record.waited >= before.slots.latency_ms[0, :, LARGEST].min()
    place, last = made.index(busy), rows_in(busy.orders[-1])
    known = after.slots.latency_ms[0, place]
    assert 500.0 / max(first, last) - 1e-6 <= known[LARGEST] <= 500.0 / min(first, last) + 1e-6
    assert known[3] == before.slots.latency_ms[0, place, 3], "never measured"
    assert after.hub.rtt_ms == pytest.approx(np.full((3, 3), 2500.0), abs=600.0)


def test_bytes_that_moved_are_charged(live, three):
    world, made = live(hub_free(three))
    done = step(world, load=[POPULAR[0], 1, 0])
    net = world.source.ladder.parameters[2][LARGEST].nbytes
    for node, moved in zip(made, done.bytes[0], strict=True):
        rows = sum(question.rows.nbytes for order in node.orders for question in order.questions)
        loads = sum(load.parameters.nbytes for order in node.orders for load in order.loads)
        answers = 8 * sum(rows_in(order) for order in node.orders)
        assert moved == pytest.approx(100 * len(node.orders) + rows + loads + answers)
    assert done.bytes[0, 0] > net > done.bytes[0, 2] == 0 and done.energy_j[0, 0] > 0


FEW = ("online-greedy", "hi-lcb", "infida-oma")
POLICIES = [name for name in POLICY_PARTS.names() if not POLICY_PARTS[name].clairvoyant]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in POLICIES]
)
def test_any_policy_decides(nodes, settings, name):
    for client in range(3):
        nodes.join(client)
    coordinator = ServingCoordinator(settings(scheduler=name, steps=3), nodes, clock=nodes.clock())
    coordinator.world.courier.wall = nodes.time
    summary = coordinator.run()
    assert summary.decisions == 3 and coordinator.world.book.open == 0
    balance(coordinator.world)


def test_nobody_can_see_the_future_of_real_nodes(nodes, settings):
    with pytest.raises(ValueError, match="future"):
        ServingCoordinator(settings(scheduler="clairvoyant"), nodes, clock=nodes.clock())


def test_a_run_that_was_stopped_goes_on(nodes, settings, tmp_path):
    for client in range(3):
        nodes.join(client)

    def start(**said):
        coordinator = ServingCoordinator(settings(steps=4, **said), nodes, clock=nodes.clock())
        coordinator.world.courier.wall = nodes.time
        return coordinator

    first = start()
    first.run(2)
    accepted = first.world.book.accepted
    for node in nodes.listed.values():
        node.held = {}
    second = start(resume=True)
    assert second.decisions == 2 and second.world.book.accepted == accepted
    assert (second.world.holding == NOTHING).all(), "a new run of Flower has nothing on its nodes"
    assert second.run().decisions == 4
    balance(second.world)
    known, plan, outcome = load_step(tmp_path / "run", 3)
    assert known.terms.step[0] == 3 and plan.load.shape == (1, 3)
    assert outcome.requests.sum() == outcome.answered.sum() + outcome.dropped.sum() - (
        load_step(tmp_path / "run", 2)[2].waiting.sum()
    )
    lines = (tmp_path / "run" / "steps.csv").read_text().splitlines()
    assert len(lines) == 5 and "retried" in lines[0]
    page = (tmp_path / "run" / "dashboard.txt").read_text()
    assert "node-0" in page and f"accepted {second.world.book.accepted} = answered" in page
    measured = yaml.safe_load((tmp_path / "run" / "measured.yaml").read_text())
    calibrated = FleetSource(load_serving(second.settings.world(), **measured))
    known = ~np.isnan(second.world.stopwatch.answer_ms)
    assert known.any()
    rung = int(np.flatnonzero(known.any(axis=0))[0])
    mean = np.nanmean(second.world.stopwatch.answer_ms[:, rung])
    assert calibrated.profile.hardware["cpu"].ms[rung] == pytest.approx(mean)
    with pytest.raises(ValueError, match="scheduler: not the stopped run's"):
        start(resume=True, scheduler="lru")
