"""Worlds with early exits: clients answer from the first head, or ask the hub where they are not sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.adapters import FederatedEnv
from frugalfl.envs.agent_view import EXIT_CLIENT_TABLE, EXIT_SERVER_TABLE, AgentView
from frugalfl.envs.contract import STOP_S, rollout
from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.data import DATASETS, Dataset, DatasetSource, load_dataset
from frugalfl.fl_core.data.streams import Drift, Memory
from frugalfl.fl_core.federation import StreamCore
from frugalfl.fl_core.models import MODELS, Exit, ModelSource, ModelSpec, make_model

from .test_streams import begun, every_other_hour, plan_of, played, served, waited, world_of

LEVELS = [0.0, 0.6, 0.7, 0.8, 0.9, 1.0]
EXITS = {"model": "exits", "exits": {"price": 10}, "levels": {"ask_below": LEVELS}}
HUB_RIGHT = 0.9


def stop_at(world, below):
    return replace(plan_of(world, 0, STOP_S), ask_below=np.full(world.num_envs, below))


def asked_of(results):
    return sum(result.outcome.served.asked.count for result in results)


class Guesses(DatasetSource):
    """Two features: the log odds of the label, and the label itself, wrong for a tenth of the rows."""

    def load(self, rng_seed):
        rng = np.random.default_rng(3)
        odds = rng.uniform(-4, 4, 9000)
        label = (rng.random(9000) < 1 / (1 + np.exp(-odds))).astype(np.int32)
        told = np.where(rng.random(9000) < HUB_RIGHT, label, 1 - label)
        x = np.stack([odds, 2.0 * told - 1], axis=1).astype(np.float32)
        parts = [(x[at], label[at]) for at in (slice(8000), slice(8000, 8500), slice(8500, None))]
        return Dataset("guesses", *[each for part in parts for each in part], num_classes=2)


class KnowsTheOdds(ModelSpec):
    """The early head has the very odds; the last one believes what it is told."""

    def init(self, seed):
        flat = np.zeros(self.num_parameters, dtype=np.float32)
        (hidden, _), (last, _) = self.layers(flat)
        hidden[:] = [[1, 0], [-1, 0], [0, 1], [0, -1]]
        last[:] = [[0, 0, -5, 5], [0, 0, 5, -5]]
        self.heads(flat)[0][0][:] = [[-0.5, 0.5, 0, 0], [0.5, -0.5, 0, 0]]
        return flat


class Calibrated(ModelSource):
    has_exits = True

    def build(self, dataset):
        return KnowsTheOdds((2, 4, 2), "calibrated", (Exit(1, 0.5),))


@pytest.fixture
def calibrated():
    """A world in which confidence is the chance to be right, and bytes and emissions are free."""
    DATASETS.register("guesses")(Guesses)
    MODELS.register("calibrated")(Calibrated)
    yield {
        "dataset": "guesses",
        "model": "calibrated",
        "drift": {"kind": "none"},
        "partition": "iid",
        "arrivals": {"kind": "poisson", "per_hour": 500},
        "preferences": {"price_per_gb": 0, "price_per_kg": 0},
        "levels": {"ask_below": LEVELS},
    }
    DATASETS.remove("guesses")
    MODELS.remove("calibrated")


@pytest.mark.parametrize(("price", "best"), [(10, 0.8), (20, 0.7), (30, 0.6), (45, 0.0)])
def test_asking_pays_iff_the_hub_is_surer_than_the_client_by_more_than_the_price(calibrated, price, best):
    """The oracle: with calibrated heads no threshold earns more than the hub's share less the price.

    At 45 that is below one half, the least confidence of an answer among two: nobody should ever ask.
    """
    net, world = [], begun(2, exits={"price": price}, **calibrated)
    for below in LEVELS:
        world.reset(np.ones(2, dtype=bool), np.arange(2))
        world.step(stop_at(world, below))
        net.append(world.totals()["net_points"].sum())
    assert LEVELS[int(np.argmax(net))] == best


def test_the_coordinator_is_told_where_asking_pays(calibrated):
    world = begun(2, exits={"price": 20}, **calibrated)
    before = world.situation().stream.ask
    assert np.allclose(before.hub_right, world.ledger.accuracy_start) and (before.asked == 0).all()
    world.step(replace(plan_of(world, 0, 7200.0), ask_below=np.full(2, 0.7)))
    ask = world.situation().stream.ask
    assert np.allclose(ask.price, 0.2) and np.allclose(ask.hub_right, HUB_RIGHT, atol=0.03)
    assert np.allclose(ask.worth_asking_below, 0.7, atol=0.03)
    sure = ask.kept_right > 0.8  # of who kept its answer, the surest
    assert sure.all() and ask.levels.tolist() == LEVELS


def test_a_hub_that_was_bad_is_asked_again_when_it_has_learned():
    """It is wrong before the first rounds; whoever then stopped asking would not learn of the later ones."""
    world = world_of(2, **{**EXITS, "budgets": {"hours": 24}, "drift": {"kind": "none"}})
    asked = []
    for turn in rollout(world, make_scheduler("periodic", period_h=0.5, participants=6), np.arange(2)):
        asked.append(turn.result.outcome.served.asked.count.sum())
        assert (turn.plan.ask_below >= 0).all()
    assert sum(asked[-8:]) > 20


def test_the_reward_pays_for_every_question():
    prices = {"preferences": {"price_per_gb": 2.0, "price_per_kg": 30.0}}
    changes = {**EXITS, **prices, "exits": {"price": 25}}
    never, always = (begun(**changes) for _ in range(2))
    silent, loud = (world.step(stop_at(world, below)) for world, below in ((never, 0.0), (always, 1.0)))
    count = loud.outcome.served.asked.count
    assert silent.outcome.served.asked.count.sum() == 0 and (count.sum(axis=1) > 20).all()
    assert (silent.terms[:, 1] == 0).all()
    expected = always._streams.serving.arrivals.expected()
    assert np.allclose(loud.terms[:, 1], -25.0 * count.sum(axis=1) / expected)
    moved = always.source.scenario.workload.sample_bytes * count
    assert np.allclose(loud.outcome.up_bytes, moved)
    assert np.allclose(loud.outcome.down_bytes, 8 * count)
    gigabytes = (moved + 8 * count).sum(axis=1) / 1e9
    assert np.allclose(loud.terms[:, 2], -2.0 * gigabytes)
    assert np.allclose(always.totals()["gigabytes"], gigabytes)
    network_j = (moved + 8 * count) * always._population.network_j_per_byte
    assert np.allclose(loud.outcome.energy_j - silent.outcome.energy_j, network_j)
    assert (loud.terms[:, 3] < silent.terms[:, 3]).all()


def test_who_is_not_connected_cannot_ask():
    world = begun(**EXITS)
    sessions = world.sessions
    starts, ends = sessions.starts, sessions.ends
    result = world.step(stop_at(world, 1.0))
    asked, requests = result.outcome.served.asked.count, result.outcome.served.requests
    horizon_s = world.scenario.budgets.hours * 3600.0
    arrivals = world._streams.serving.arrivals
    for env, client in np.ndindex(asked.shape):
        own = np.stack([starts[env, client], ends[env, client]], axis=1)
        connected = 0
        for begin_s, end_s in own[np.isfinite(own[:, 0])]:
            edges = (np.full((2, 6), min(max(at, 0.0), horizon_s)) for at in (begin_s, end_s))
            first, last = (arrivals.until(at)[env, client] for at in edges)
            connected += last - first
        assert asked[env, client] == connected <= requests[env, client]


def test_the_hub_answers_from_the_newest_model_and_clients_from_their_own():
    changes = {**EXITS, "serving": {"refresh": ["none"]}, "drift": {"kind": "none"}}
    local, hub = begun(**changes), begun(**changes)
    for world, below in ((local, 0.0), (hub, 1.0)):
        for _ in range(4):  # nobody is sent the new model, and only participants hold one
            plan = (
                plan_of(world, 40) if world.situation().clients.available.any() else plan_of(world, 0, 900.0)
            )
            world.step(replace(plan, ask_below=np.full(2, 0.0)))
        world.step(stop_at(world, below))
    assert np.array_equal(local.parameters(), hub.parameters())
    assert (hub.test_scores()[0] >= local.test_scores()[0]).all()
    assert hub.test_scores()[0].sum() > local.test_scores()[0].sum()


def test_only_the_part_below_the_exit_is_sent_out_and_run():
    whole, part = begun(model="exits"), begun(**{**EXITS, "levels": {"ask_below": [0.0]}})
    share = part._streams.serving.hub.model_share
    assert 0 < share < 0.5
    for world in (whole, part):
        waited(world, 3600.0)
    spent = [waited(world, 3600.0).outcome.energy_j for world in (whole, part)]
    assert np.allclose(spent[1], share * spent[0])
    sent = []
    for world in (whole, part):
        result = world.step(plan_of(world, 10, refresh=2))
        alone = result.outcome.served.refreshed & ~result.outcome.invited
        sent.append(np.where(alone, result.outcome.down_bytes, 0.0))
    both = (sent[0] > 0) & (sent[1] > 0)
    assert both.any() and (sent[1][both] <= share * sent[0][both] * (1 + 1e-9)).any()


def test_a_plan_that_says_nothing_asks_as_the_last_level_says():
    changes = {**EXITS, "levels": {"ask_below": [0.2, 1.0]}}
    said, silent = begun(**changes), begun(**changes)
    results = [said.step(stop_at(said, 1.0)), silent.step(plan_of(silent, 0, STOP_S))]
    assert results[0].outcome.served.asked.count.sum() > 0
    assert np.array_equal(*(result.outcome.served.asked.count for result in results))
    fixed = begun(**{**EXITS, "levels": {"ask_below": [1.0]}})
    count = fixed.step(plan_of(fixed, 0, STOP_S)).outcome.served.asked.count
    assert np.array_equal(count, results[0].outcome.served.asked.count)
    for below in (0.1, 1.5):
        with pytest.raises(ValueError, match=r"RoundPlan\.ask_below"):
            begun(**changes).step(stop_at(begun(**changes), below))


def test_batches_and_single_worlds_play_the_same_episodes():
    batch, single = begun(2, [3, 4], **EXITS), begun(1, [4], **EXITS)

    def decide(world, index):
        return replace(every_other_hour(world, index), ask_below=np.full(world.num_envs, 0.8))

    one, two = played(batch, decide), played(single, decide)
    assert np.array_equal(asked_of(one)[1], asked_of(two)[0]) and asked_of(one).sum() > 0
    assert np.array_equal(served(one, "right")[1], served(two, "right")[0])
    assert np.array_equal(batch.parameters()[1], single.parameters()[0])
    assert batch.totals()["net_points"][1] == pytest.approx(single.totals()["net_points"][0], abs=1e-12)


def test_prices_are_drawn_for_each_episode_and_nothing_else_changes():
    drawn, fixed = begun(8, exits={"price": [5, 50]}, **rest()), begun(8, exits={"price": 10}, **rest())
    prices = drawn.situation().stream.ask.price
    assert np.unique(prices).size == 8 and prices.min() >= 0.05 and prices.max() <= 0.51
    for name in ("step_s", "zone"):
        assert np.array_equal(*(getattr(w.situation().clients, name) for w in (drawn, fixed)))


def rest():
    return {name: value for name, value in EXITS.items() if name != "exits"}


def test_every_face_has_a_head_for_the_threshold_and_sees_what_is_asked():
    small = {"clients": 6, "budgets": {"hours": 6}, "arrivals": {"kind": "poisson", "per_hour": 20}}
    plain = FederatedEnv("streams", **small)
    env = FederatedEnv("streams", **small, **EXITS)
    assert env.action_space.nvec.tolist() == [4, 3, 3, 6] + [5] * 6
    assert len(env.action_masks()) == len(plain.action_masks()) + 6
    observation, info = env.reset(seed=1)
    assert info["asked"] == 0
    more = (len(EXIT_CLIENT_TABLE), len(EXIT_SERVER_TABLE))
    before = plain.observation_space
    assert observation["clients"].shape[1] == before["clients"].shape[1] + more[0]
    assert observation["server"].shape[0] == before["server"].shape[0] + more[1]
    action = np.array([2, 0, 0, 5] + [0] * 6)  # wait two hours, ask always
    observation, _, _, _, info = env.step(action)
    assert 0 < info["asked"] <= info["requests"] and info["client_asked"].sum() == info["asked"]
    assert env.observation_space.contains(observation)
    asked = observation["clients"][:, -1]
    assert np.allclose(asked, info["client_asked"] / np.maximum(info["client_requests"], 1))
    for mode in ("levels", "scores", "discrete"):
        view = AgentView("streams", 2, "val", mode, **small, **EXITS)
        view.reset(np.ones(2, dtype=bool), np.arange(2))
        said = replace(plan_of(view.world, 10), ask_below=np.array([0.6, 0.9]))
        again = view.action_mode.plan(view.action_mode.encode(said, view.situation), view.situation)
        if mode != "discrete":
            assert again.ask_below.tolist() == [0.6, 0.9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "softmax"}, "model: 'softmax', expected one with an early exit"),
        ({"levels": {}}, "levels: ask_below: none, expected at least one level with exits"),
        ({"exits": None}, "levels: ask_below: .* expected none without exits"),
        ({"serving": {"model": "global"}}, "serving: model: global, expected held with exits"),
        ({"levels": {"ask_below": [0.9, 0.5]}}, "ask_below: .* expected increasing"),
        ({"levels": {"ask_below": [0.5, 1.5]}}, "ask_below"),
        ({"exits": {"price": -1}}, "exits.price"),
        ({"exits": {"price": [20, 10]}}, "price: .* expected a range from low to high"),
        ({"clients": 2}, "levels: .* several levels, expected one in a world of 2 clients"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        load_scenario("streams", **{**EXITS, **changes})


def test_worlds_in_which_nobody_is_asked_have_nobody_to_ask():
    with pytest.raises(ValueError, match=r"exits: .* expected none without arrivals"):
        load_scenario("volunteers", **EXITS)
    with pytest.raises(ValueError, match="exits: given, expected none in a world of quadratics"):
        load_scenario("quadraticstreams", **EXITS)


@pytest.mark.parametrize("model", ["softmax", "exits"])
def test_cores_know_whether_a_model_has_an_early_exit(model):
    data = load_dataset("digits")
    made, parts = make_model(model, data), (Memory(), Drift())
    assert StreamCore(data, made, 1, 2, *parts).early_share == 1.0
    if model == "exits":
        assert StreamCore(data, made, 1, 2, *parts, early=True).early_share == made.early_share < 1
        return
    with pytest.raises(ValueError, match="model: 'softmax', expected one with an early exit"):
        StreamCore(data, made, 1, 2, *parts, early=True)
