"""Fragments: a part of the model in turn, workers' own models in between, and what that costs."""

import numpy as np
import pytest

from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.federation import FederatedCore, FragmentedCore, Fragments, TrainingOrders
from frugalfl.fl_core.training import LocalUpdates
from frugalfl.worlds import FederatedWorld

CLIENTS, SEEDS = 3, (5, 6)
DILOCO = {"kind": "diloco", "outer_lr": 0.7, "momentum": 0.5}


def cores(count, mix=0.0, aggregator="by-samples", kinds=(FragmentedCore,), **changes):
    scenario = load_scenario("volunteers", clients=CLIENTS, **changes)
    source = PopulationSource(scenario, "test")
    made = []
    for kind in kinds:
        core = kind(source.dataset, source.model, 2, CLIENTS, source.training, aggregator)
        if kind is FragmentedCore:
            core.fragment(Fragments(count=count, mix=mix))
        for env, seed in enumerate(SEEDS):
            draw = source.draw(seed)
            core.reset(env, draw.task, draw.model_seed)
        made.append(core)
    return made


def play(core, index, steps=((3, 2, 4), (1, 5, 2))):
    core.run_round(TrainingOrders(np.array(steps, np.int32), round_index=np.array(index)))


@pytest.mark.parametrize("aggregator", ["by-samples", DILOCO, "fedadam"], ids=str)
def test_one_fragment_is_the_whole_model(aggregator):
    one, plain = cores(1, aggregator=aggregator, kinds=(FragmentedCore, FederatedCore))
    for index in range(4):
        steps = ((3, 2 * (index % 2), 4), (1, 5, 0))
        play(one, [index, index], steps)
        play(plain, [index, index], steps)
        np.testing.assert_array_equal(one.parameters(), plain.parameters())
    assert one.exchange_share == 1 and not one.joining_share.any()


def test_a_round_moves_its_fragment_only_and_all_take_turns():
    (core,) = cores(3, aggregator=DILOCO)
    part = np.arange(core.parameters().shape[1]) * 3 // core.parameters().shape[1]
    for index in ([0, 1], [1, 2], [2, 3], [3, 4]):
        before = core.parameters()
        velocity = core.aggregator.memory["velocity"].copy()
        play(core, index)
        for env, number in enumerate(index):
            elsewhere = part != number % 3
            for old, new in ((before, core.parameters()), (velocity, core.aggregator.memory["velocity"])):
                assert np.array_equal(old[env, elsewhere], new[env, elsewhere])
                assert (old[env, ~elsewhere] != new[env, ~elsewhere]).any()


class Slowly:
    """The same, one worker after the other, as the paper tells it."""

    def __init__(self, core, count, mix):
        self.trainer = core  # trains one worker's steps from a model of our choice
        self.mix, self.params = mix, core.parameters()[0].astype(np.float64)
        self.part = np.arange(self.params.size) * count // self.params.size
        self.count, self.own, self.anchor, self.last = count, {}, {}, {}

    def round(self, index, steps, moved_by):
        deltas = []
        for client in np.flatnonzero(steps):
            if client not in self.last:
                self.own[client], self.anchor[client] = self.params.copy(), self.params.copy()
            else:
                its = self.part == self.last[client]
                self.own[client][its] = self.mix * self.own[client][its] + (1 - self.mix) * self.params[its]
                self.anchor[client][its] = self.params[its]
            self.own[client] = self.own[client] + moved_by(client, self.own[client])
            self.last[client] = index % self.count
            deltas.append(self.own[client] - self.anchor[client])
        its = self.part == index % self.count
        if deltas:
            self.params[its] += np.mean(deltas, axis=0)[its]


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_workers_go_on_from_their_own_models(mix):
    """Against a slow statement of the rule; local steps pull each worker towards a point of its own."""
    (core,) = cores(2, mix=mix, aggregator="uniform")
    points = np.random.default_rng(0).normal(size=(CLIENTS, core.parameters().shape[1])).astype(np.float32)

    class Pulled:
        name = "pulled"

        def run(self, jobs, settings):
            start = jobs.start[jobs.origin]
            delta = (0.25 * (points[Pulled.clients] - start)).astype(np.float32)
            length = np.sqrt((delta.astype(np.float64) ** 2).sum(axis=1)).astype(np.float32)
            return LocalUpdates(delta, length, length)

    core.trainer = Pulled()
    slow = Slowly(core, 2, mix)
    rounds = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0, 0, 1), (1, 1, 1)]
    for index, steps in enumerate(rounds):
        if index == 4:
            gone = np.array([[False, True, False], [False, False, False]])
            core.end_sessions(gone)
            slow.last.pop(1)
        Pulled.clients = np.flatnonzero(steps)
        play(core, [index, index], (steps, (0, 0, 0)))
        slow.round(index, np.array(steps), lambda client, own: 0.25 * (points[client] - own))
        np.testing.assert_allclose(core.parameters()[0], slow.params, rtol=0, atol=2e-6)
    assert (core.joining_share[0] == np.where([True, True, True], 0, 0.5)).all()
    assert (core.joining_share[1] == 0.5).all()


def test_batches_are_their_environments():
    both, (alone,) = cores(4)[0], cores(4)
    for index in range(5):
        play(both, [index, index + 1])
        play(alone, [index, 0], ((3, 2, 4), (0, 0, 0)))
    np.testing.assert_array_equal(both.parameters()[0], alone.parameters()[0])


def test_it_goes_on_from_a_snapshot():
    (core,) = cores(3, mix=0.25)
    play(core, [0, 0])
    state = core.state()
    play(core, [1, 1])
    after = core.parameters()
    core.load_state(state)
    play(core, [1, 1])
    np.testing.assert_array_equal(core.parameters(), after)


WORLD = {"workload": {"setup_bytes": 5e6, "overhead_s": 0.0}, "hub": {"share": 0.0}}


def test_who_joins_fetches_the_model_and_then_a_part_of_it():
    world = FederatedWorld(load_scenario("volunteers", fragments={"count": 4}, **WORLD), 1, "val")
    world.reset(np.ones(1, dtype=bool), np.array([3]))
    size, joined = world.source.model_bytes, np.zeros((1, 24), dtype=bool)
    seen = set()
    for _ in range(6):
        situation = world.situation()
        assert situation.terms.model_bytes[0] == situation.terms.upload_bytes[0] == size / 4
        available = situation.clients.available
        plan = RoundPlan(
            np.where(available, 5, 0).astype(np.int32),
            np.zeros(available.shape, np.int32),
            np.ones(1),
            np.zeros(1),
        )
        before, cold = world._core.joining_share > 0, situation.clients.setup_bytes
        outcome = world.step(plan).outcome
        done = outcome.completed
        expected = size / 4 + np.where(before, size * 3 / 4, 0) + np.where(cold >= 5e6, 5e6, 0)
        np.testing.assert_allclose(outcome.down_bytes[done], expected[done])
        np.testing.assert_allclose(outcome.up_bytes[done], size / 4)
        seen |= {(bool(new), bool(was)) for new, was in zip(before[done], joined[done], strict=True)}
        joined |= done
    assert (False, True) in seen and (True, False) in seen


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"late": {"kind": "keep"}, "aggregator": "stale"}, "late.kind"),
        ({"topology": "ring"}, "topology"),
        ({"evaluation": {"personal": "knn"}}, "evaluation.personal"),
        ({"malicious": {"share": 0.2, "attack": "sign-flip"}}, "malicious"),
    ],
)
def test_what_does_not_go_with_fragments_is_refused(changes, named):
    with pytest.raises(ValueError, match=f"fragments: count: 2, expected 1 with {named}"):
        load_scenario("volunteers", fragments={"count": 2}, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregator": "scaffold"},
        {"aggregator": "fedvarp"},
        {"aggregator": {"kind": "gaussian", "noise_multiplier": 0.5}},
        {"compression": {"kind": "8-bit", "error_feedback": True}},
    ],
    ids=str,
)
def test_memories_that_cannot_be_cut_are_refused(changes):
    scenario = load_scenario("volunteers", fragments={"count": 2}, **changes)
    with pytest.raises(ValueError, match="fragments: count: 2, expected 1 with"):
        FederatedWorld(scenario, 1, "val")
