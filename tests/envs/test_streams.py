"""Worlds that serve while they learn: requests, memories, versions, and what the reward pays for."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.envs.contract import STOP_S, RoundPlan
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

HOURS = 6
SMALL = {"clients": 6, "budgets": {"hours": HOURS}, "arrivals": {"kind": "poisson", "per_hour": 20}}


def world_of(num_envs=2, split="train", **changes):
    return FederatedWorld(load_scenario("streams", **{**SMALL, **changes}), num_envs, split)


def begun(num_envs=2, seeds=None, **changes):
    world = world_of(num_envs, **changes)
    world.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs) if seeds is None else np.array(seeds))
    return world


def plan_of(world, steps=10, wait_s=0.0, refresh=None, quorum=1.0):
    e, n = world.num_envs, world.scenario.clients
    available = world.situation().clients.available
    return RoundPlan(
        np.where(available, steps, 0).astype(np.int32),
        np.zeros((e, n), dtype=np.int32),
        np.full(e, quorum),
        np.full(e, wait_s),
        refresh=None if refresh is None else np.full(e, refresh),
    )


def waited(world, seconds=3600.0):
    return world.step(plan_of(world, 0, seconds))


def played(world, decide, steps=1000):
    """Every step's result until all episodes have ended."""
    results = []
    for index in range(steps):
        results.append(world.step(decide(world, index)))
        if not world.running.any():
            return results
    raise AssertionError("the episodes do not end")


def served(results, name):
    return sum(getattr(result.outcome.served, name) for result in results)


def every_round(world, index):
    return plan_of(world, 10) if world.situation().clients.available.any() else plan_of(world, 0, 900.0)


def every_other_hour(world, index):
    return plan_of(world, 10) if index % 2 else plan_of(world, 0, 7200.0)


def stop(world, index):
    return plan_of(world, 0, STOP_S)


def test_every_request_is_answered_whatever_is_decided():
    totals = []
    for decide in (every_round, every_other_hour, stop):
        world = begun()
        results = played(world, decide)
        asked = served(results, "requests")
        assert np.array_equal(asked, world._streams.serving.arrivals.until(np.full(2, HOURS * 3600.0)))
        assert (served(results, "right") <= asked).all()
        labels = served(results, "labels")
        assert (labels <= asked).all() and (served(results, "labels_right") <= labels).all()
        totals.append(asked)
        assert all((result.terminated | result.truncated | world.running).size for result in results)
    assert np.array_equal(totals[0], totals[1]) and np.array_equal(totals[0], totals[2])


def test_the_rewards_of_an_episode_are_its_right_answers_less_costs():
    world = begun()
    results = played(world, every_round)
    points = 100.0 * served(results, "right").sum(axis=1) / results[0].outcome.served.expected
    terms = sum(result.terms for result in results)
    assert np.allclose(terms[:, 0], points)
    assert np.allclose(terms[:, 1], 0.0)
    assert np.allclose(terms[:, 2], -world.prices[:, 1] * world.totals()["gigabytes"])
    assert np.allclose(terms[:, 3], -world.prices[:, 2] * world.totals()["kilograms"])
    assert np.allclose(terms.sum(axis=1), world.totals()["net_points"])
    assert np.allclose(world.pooled_accuracy() * 100, points)
    shares = served(results, "right").sum(axis=1) / served(results, "requests").sum(axis=1)
    assert np.allclose(world.test_scores()[0], shares)


def test_a_stop_ends_training_and_serves_to_the_horizon():
    world = begun()
    for _ in range(3):
        waited(world)
    before = world.time_s
    result = world.step(plan_of(world, 0, STOP_S))
    assert result.terminated.all() and not result.truncated.any()
    assert np.allclose(before + result.outcome.duration_s, HOURS * 3600.0)
    assert np.allclose(world.totals()["hours"], HOURS)
    assert (result.outcome.served.requests.sum(axis=1) > 0).all()


def test_whoever_ends_by_another_limit_is_served_to_the_horizon_as_well():
    world = begun(max_rounds=2)
    results = played(world, every_round)
    assert results[-1].terminated.all() and not any(result.truncated.any() for result in results)
    assert np.allclose(world.time_s, HOURS * 3600.0)
    assert (world.totals()["rounds"] == 2).all()


def test_a_round_beyond_the_horizon_answers_nothing_there():
    world = begun()
    horizon = np.full(2, HOURS * 3600.0)
    asked = world._streams.serving.arrivals.until(horizon)
    played(world, lambda w, i: plan_of(w, 0, 5000.0))
    assert (world.time_s > horizon).all()
    assert np.array_equal(world._streams.serving.requests, asked)


def test_memories_hold_labelled_requests_only():
    world = begun(memory={"rows": 25, "label_delay_s": 1800.0, "labelled": 0.5})
    known = np.zeros((2, 6), dtype=int)
    for _ in range(10):
        result = waited(world, 1200.0)
        known += result.outcome.served.labels
        stream = world.situation().stream
        assert np.array_equal(stream.memory_rows, np.minimum(known, 25))
        arrived = world._streams.serving.arrivals.until(world.time_s - 1800.0)
        assert (known <= arrived).all()
        ages = stream.memory_age_s[stream.memory_rows > 0]
        assert (ages >= 1800.0).all()
    assert 0.3 < known.sum() / arrived.sum() < 0.7


def test_nobody_is_available_before_the_first_label():
    world = begun()
    assert not world.situation().clients.available.any()
    assert world.available.any()
    for _ in range(4):
        waited(world, 1800.0)
    assert world.situation().clients.available.any()


def test_mean_age_of_a_full_fifo_is_what_its_rate_says():
    world = begun(2, arrivals={"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0},
                  memory={"rows": 40, "label_delay_s": 0.0}, clients=24)  # fmt: skip
    for _ in range(4):
        waited(world)
    age_h = world.situation().stream.memory_age_s.mean() / 3600.0
    assert age_h == pytest.approx(40 / (2 * 60), rel=0.1)


def test_bytes_are_those_of_invitations_and_refreshes():
    world = begun()
    for _ in range(3):
        waited(world)
    seen = 0
    for _ in range(12):
        situation = world.situation()
        if not situation.clients.available.any():
            waited(world, 900.0)
            continue
        outcome = world.step(plan_of(world, 10, refresh=2)).outcome
        model, served_now = situation.terms.model_bytes[0], outcome.served
        sent = outcome.down_bytes / model
        whole = outcome.completed & ~served_now.refreshed
        assert np.allclose(sent[whole], 1.0)
        assert (sent <= outcome.invited.astype(int) + served_now.refreshed + 1e-9).all()
        assert np.allclose(sent[~outcome.invited & ~served_now.refreshed], 0.0)
        seen += served_now.refreshed.sum()
    assert seen > 10


def test_a_refresh_reaches_whom_the_plan_says():
    for rule in (0, 1, 2):
        world = begun(1, clients=20)
        for _ in range(2):
            waited(world)
        plan = plan_of(world, 10, refresh=rule)
        invited = np.flatnonzero(plan.local_steps[0])[:2]
        plan.local_steps[0, :] = 0
        plan.local_steps[0, invited] = 10
        outcome = world.step(plan).outcome
        assert outcome.completed.any()
        got = outcome.served.refreshed[0]
        if rule == 0:
            assert not got.any()
            lag = world.situation().stream.version_lag[0]
            assert (lag == 1).all()
            continue
        others = np.setdiff1d(np.flatnonzero(world.available[0]), invited)
        assert others.size and got[others].all() == (rule == 2)
        waited(world, 600.0)
        lag = world.situation().stream.version_lag[0]
        assert (lag[~got] == 1).all() and (lag[got] == 0).all()


def test_the_scenario_says_who_is_sent_a_model_where_a_plan_does_not():
    world = begun(1, serving={"refresh": ["none"]})
    for _ in range(2):
        waited(world)
    assert not world.step(plan_of(world, 10)).outcome.served.refreshed.any()
    with pytest.raises(ValueError, match="refresh"):
        world.step(plan_of(world, 10, refresh=2))


def test_an_answer_comes_from_the_version_that_is_held_then():
    """A client that is never invited nor refreshed answers as the untrained model does."""
    world = begun(1, clients=20, drift={"kind": "none"})
    quiet = begun(1, clients=20, drift={"kind": "none"})
    for _ in range(2):
        waited(world), waited(quiet)
    left_out = None
    for _ in range(6):
        plan = plan_of(world, 20, refresh=0)
        left_out = plan.local_steps[0] == 0 if left_out is None else left_out & (plan.local_steps[0] == 0)
        world.step(plan)
    target = float(world.time_s[0])
    quiet.step(plan_of(quiet, 0, target - float(quiet.time_s[0])))
    ours, theirs = world._streams.serving, quiet._streams.serving
    assert np.array_equal(ours.requests, theirs.requests)
    assert left_out.any() and np.array_equal(ours.right[0, left_out], theirs.right[0, left_out])
    assert (ours.right[0, ~left_out] > theirs.right[0, ~left_out]).mean() > 0.8


def test_global_serving_answers_with_the_newest_model_everywhere():
    world = begun(1, serving={"model": "global"})
    for _ in range(3):
        waited(world)
    for _ in range(4):
        world.step(every_round(world, 0))
        assert (world.situation().stream.version_lag == 0).all()


def test_batches_and_single_worlds_play_the_same_episodes():
    changes = {"drift": {"kind": "staggered", "mean_h": 2}}
    batch = begun(3, [5, 6, 7], **changes)
    together = played(batch, every_round)
    for row, seed in enumerate((5, 6, 7)):
        alone = begun(1, [seed], **changes)
        apart = played(alone, every_round)
        one = np.concatenate([result.reward for result in apart])
        other = np.array([result.reward[row] for result in together])
        assert np.array_equal(one, other[: one.size]) and not other[one.size :].any()
        assert np.array_equal(alone.parameters()[0], batch.parameters()[row])


def test_policies_see_the_same_requests_and_memories():
    one, other = begun(1), begun(1)
    for _ in range(3):
        waited(one)
        one.step(plan_of(one, 20))
    waited(other, float(one.time_s[0]))
    assert np.array_equal(one.time_s, other.time_s)
    memories = [world._core.memories.tables for world in (one, other)]
    assert all(np.array_equal(*pair) for pair in zip(*memories, strict=True))
    facts = [world.situation().stream for world in (one, other)]
    assert np.array_equal(facts[0].requests, facts[1].requests)
    assert not np.array_equal(one.parameters(), other.parameters())


def test_drift_is_counted_and_hits_the_answers():
    changes = {"drift": {"kind": "shift", "mean_h": 1.0}, "clients": 12}
    world = begun(4, **changes)
    events = served(played(world, every_round), "drift_events")
    truth = (np.isfinite(world._streams.serving._moments_s)).sum(axis=1)
    assert np.array_equal(events, truth) and events.sum() > 8
    still = begun(4, clients=12, drift={"kind": "none"})
    played(still, every_round)
    assert still.test_scores()[0].mean() > world.test_scores()[0].mean()


def test_only_clairvoyants_are_told_when_it_drifts():
    world = begun(2, drift={"kind": "shift", "mean_h": 1.0})
    assert world.situation().future is None
    ahead = world.situation(clairvoyant=True).future.drift_s
    waited(world)
    later = world.situation(clairvoyant=True).future.drift_s
    seen = np.isfinite(ahead)
    assert np.allclose(later[seen], ahead[seen] - 3600.0) and (later < 0).any()


def test_regret_is_what_the_frozen_optimum_would_have_earned_more():
    world = begun(4, clients=12)
    results = played(world, every_round)
    regret = sum(result.outcome.served.regret_points for result in results)
    frozen = sum(result.outcome.served.frozen_right for result in results)
    asked = served(results, "requests").sum(axis=1)
    assert (frozen / asked > 0.97).all()
    assert (regret > 0).all()
    assert np.allclose(
        regret, 100 * (frozen - served(results, "right").sum(axis=1)) / results[0].outcome.served.expected
    )


def test_known_answers_are_all_that_is_shown_of_accuracy():
    world = begun(1, clients=20)
    start = world.situation().run.accuracy
    waited(world, 1000.0)
    assert np.array_equal(world.situation().run.accuracy, start)
    for _ in range(20):
        world.step(every_round(world, 0))
        situation = world.situation()
        assert np.array_equal(situation.run.accuracy, situation.stream.right_fast)
        assert np.array_equal(situation.run.past_accuracy[:, -1], situation.run.accuracy)


def test_ephemeral_memories_go_with_the_session():
    kept, lost = begun(1, clients=20), begun(1, clients=20, memory={"ephemeral": True})
    for world in (kept, lost):
        for _ in range(4):
            waited(world)
    assert lost.situation().stream.memory_rows.sum() < kept.situation().stream.memory_rows.sum()


def test_memories_of_all_requests_train_the_model_of_the_partition_bit_for_bit():
    """Own rows, asked at once, labelled at once and all kept: the world is as without arrivals."""
    common = {"clients": 8, "availability": {"kind": "own_plugins:AlwaysOn"}, "max_rounds": 10}
    plain = FederatedWorld(load_scenario(_without_arrivals(), **common), 1)
    plain.reset(np.ones(1, dtype=bool), np.array([4]))
    counts = plain.situation().clients.samples_held[0].tolist()
    changes = {"memory": {"rows": max(counts), "label_delay_s": 0.0}, "drift": {"kind": "none"}}
    changes |= {"serving": {"rows": "own"}, "arrivals": {"kind": "own_plugins:AtOnce", "counts": counts}}
    world = FederatedWorld(load_scenario("streams", **common, **changes), 1)
    world.reset(np.ones(1, dtype=bool), np.array([4]))
    waited(world, 60.0)
    assert np.array_equal(world.situation().clients.samples_held, plain.situation().clients.samples_held)
    for index in range(3):
        losses = []
        for each in (plain, world):
            plan = plan_of(each, 10)
            plan.local_steps[0, index] = 0
            losses.append(each.step(plan).outcome.reported_loss)
        assert np.array_equal(losses[0], losses[1], equal_nan=True)
    assert np.array_equal(world.parameters(), plain.parameters())


def _without_arrivals():
    document = load_scenario("streams").model_dump()
    for name in ("arrivals", "memory", "drift", "serving"):
        document.pop(name)
    return document


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hub": {"share": 0.2, "rows_per_client": 10}}, "hub: share: 0.2"),
        ({"late": {"kind": "keep"}}, "late: kind: 'keep'"),
        ({"topology": "ring"}, "topology: 'ring'"),
        ({"evaluation": {"personal": "knn"}}, "evaluation: personal: 'knn'"),
        ({"fragments": {"count": 4}}, "fragments: count: 4"),
        ({"quadratic": {"dimension": 4}}, "quadratic"),
        ({"serving": {"refresh": ["available", "none"]}}, "refresh"),
        ({"memory": {"rule": "lifo"}}, "memory.rule"),
        ({"arrivals": {"kind": "poisson", "per_hour": -1}}, "arrivals.per_hour"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, field):
    with pytest.raises(ValueError, match=field):
        load_scenario("streams", **changes)


@pytest.mark.parametrize(
    "block", [{"memory": {"rows": 10}}, {"drift": {"kind": "shift"}}, {"serving": {"model": "global"}}]
)
def test_blocks_that_would_do_nothing_are_refused(block):
    with pytest.raises(ValueError, match="expected none without arrivals"):
        load_scenario("volunteers", **block)


def test_data_without_a_class_each_are_refused():
    language = {"dataset": {"kind": "markov", "symbols": 4, "context": 4}, "partition": "iid"}
    model = {"kind": "transformer", "layers": 1, "width": 8, "heads": 1}
    with pytest.raises(ValueError, match="rows have a class each"):
        world_of(**language, model=model, drift={"kind": "none"})


def test_liars_and_compressed_updates_take_part():
    plain, bad = (
        begun(1, clients=12),
        begun(1, clients=12, malicious={"share": 0.5, "attack": "label-flip"}, compression="8-bit"),
    )
    for world in (plain, bad):
        played(world, every_round)
    assert plain.test_scores()[0] > bad.test_scores()[0]
    assert bad.totals()["gigabytes"] < plain.totals()["gigabytes"]
