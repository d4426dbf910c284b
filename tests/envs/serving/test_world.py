"""The world of serving: seeds, conservation, loads, charges, ends."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_serving import STAYING, small

from frugalfl.common.units import BYTES_PER_GB, GRAMS_PER_KG
from frugalfl.envs.serving import NOTHING, ServingPlan, ServingWorld

HERE = Path(__file__).parent
SEEDS = np.array([5, 11, 923])


def busy_plan(situation, rng):
    """Loads, thresholds and releases at random, legal or not."""
    e, s, i, m = situation.num_envs, situation.num_slots, situation.num_tasks, situation.num_rungs
    load = np.where(rng.random((e, s)) < 0.4, rng.integers(0, 1 + i * m, (e, s)), 0)
    return ServingPlan(load, rng.choice([0.0, 0.5, 0.9], (e, i)), rng.choice([0.0, 1 / 3, 1.0], e))


def begin(scenario, seeds=SEEDS, split="train"):
    """A world in which episodes have begun."""
    world = ServingWorld(scenario, len(seeds), split)
    world.reset(np.ones(len(seeds), dtype=bool), np.asarray(seeds))
    return world


def arrays(record):
    """Arrays of a record by name, its parts' too."""
    found = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            found |= {f"{field.name}.{name}": each for name, each in arrays(value).items()}
        elif isinstance(value, np.ndarray):
            found[field.name] = value
    return found


def play(world, plans):
    """Results of so many plans, each one made by a function of situation and step."""
    return [world.step(plans(world.situation(), step)) for step in range(world.scenario.steps)]


@pytest.fixture(scope="module")
def played():
    """A whole day of random orders: world, situations, results."""
    world, rng = begin(small()), np.random.default_rng(0)
    situations, results = [world.situation(clairvoyant=True)], []
    while world.running.any():
        results.append(world.step(busy_plan(situations[-1], rng)))
        situations.append(world.situation(clairvoyant=True))
    return world, situations, results


def of_row(plan, row):
    """The orders of one environment."""
    return ServingPlan(plan.load[row : row + 1], plan.threshold[row : row + 1], plan.release[row : row + 1])


def test_a_row_of_a_batch_is_what_it_is_alone():
    world, rng = begin(small()), np.random.default_rng(3)
    plans = [busy_plan(world.situation(), rng) for _ in range(world.scenario.steps)]
    together = [world.step(plan) for plan in plans]
    for row, seed in enumerate(SEEDS):
        alone = begin(small(), [seed])
        for plan, both in zip(plans, together, strict=True):
            one = alone.step(of_row(plan, row))
            for name, values in arrays(one.outcome).items():
                np.testing.assert_array_equal(values[0], getattr(both.outcome, name)[row], err_msg=name)
            np.testing.assert_array_equal(one.terms[0], both.terms[row])


def test_a_reset_begins_the_rows_it_names_and_no_other():
    world, rng = begin(small()), np.random.default_rng(1)
    world.step(busy_plan(world.situation(), rng))
    before = arrays(world.situation())
    world.reset(np.array([False, True, False]), SEEDS)
    fresh, after = arrays(begin(small()).situation()), arrays(world.situation())
    for name, values in after.items():
        if values.shape[:1] == (3,) and name not in ("tasks.accuracy_known",):
            np.testing.assert_array_equal(values[[0, 2]], before[name][[0, 2]], err_msg=name)
            np.testing.assert_array_equal(values[1], fresh[name][1], err_msg=name)


def test_what_arrives_and_who_is_there_depends_on_no_action(played):
    _, situations, results = played
    idle = begin(small())
    for before, result in zip(situations, results, strict=False):
        now = idle.situation()
        np.testing.assert_array_equal(now.slots.available, before.slots.available)
        np.testing.assert_array_equal(now.zones.carbon_g_per_kwh, before.zones.carbon_g_per_kwh)
        mine = idle.step(ServingPlan.idle(3, now.num_slots, now.num_tasks))
        np.testing.assert_array_equal(mine.outcome.requests, result.outcome.requests)


def test_every_request_is_answered_dropped_or_waits(played):
    _, _, results = played
    open_before = np.zeros(3)
    for result in results:
        o = result.outcome
        came = o.requests.sum(axis=(1, 2)) + open_before
        open_before = o.waiting.sum(axis=1)
        np.testing.assert_allclose(came, o.answered.sum(axis=1) + o.dropped.sum(axis=1) + open_before)
        assert (o.right <= o.answered + 1e-9).all() and (o.right >= 0).all() and (o.dropped >= 0).all()
    np.testing.assert_allclose(open_before, 0.0, atol=1e-9)
    assert sum(result.outcome.dropped.sum() for result in results) > 0


def test_nobody_answers_more_than_it_has_time_for(played):
    _, situations, results = played
    for before, result in zip(situations, results, strict=False):
        o = result.outcome
        assert (o.local <= before.slots.capacity_per_step.max(axis=2) + 1e-9).all()
        assert (o.hub + o.asked <= before.hub.capacity_per_step + 1e-6).all()
        assert (o.local[~before.slots.available] == 0).all()


def test_the_terms_are_the_charges(played):
    world, situations, results = played
    prices = situations[0].terms
    expected = prices.expected_requests
    for result in results:
        o = result.outcome
        np.testing.assert_allclose(result.reward, result.terms.sum(axis=1))
        np.testing.assert_allclose(result.terms[:, 0], 100 * o.right.sum(axis=1) / expected)
        np.testing.assert_allclose(result.terms[:, 1], -prices.points_per_ms * o.latency_ms / expected)
        np.testing.assert_allclose(
            result.terms[:, 2], -prices.price_per_gb * o.bytes.sum(axis=1) / BYTES_PER_GB
        )
        grams = o.emissions_g.sum(axis=1) + o.hub_g
        np.testing.assert_allclose(result.terms[:, 3], -prices.price_per_kg * grams / GRAMS_PER_KG)
    totals = world.totals()
    np.testing.assert_allclose(totals["net_points"], sum(result.reward for result in results))
    np.testing.assert_allclose(totals["right"], sum(r.outcome.right.sum(axis=1) for r in results))
    np.testing.assert_allclose(
        totals["gigabytes"], sum(r.outcome.bytes.sum(axis=1) for r in results) / BYTES_PER_GB
    )


def test_what_a_slot_holds_goes_with_its_session(played):
    _, situations, results = played
    lost = 0
    for before, result, after in zip(situations, results, situations[1:], strict=False):
        ends = before.future.session_left_s <= before.terms.step_s
        assert (after.slots.model[ends] == NOTHING).all() and (after.slots.loading[ends] == NOTHING).all()
        assert (after.slots.model[~after.slots.available] == NOTHING).all()
        lost += int(result.outcome.lost.sum())
    assert lost > 0


def test_the_future_is_what_comes(played):
    _, situations, results = played
    for step, result in enumerate(results):
        for ahead in range(min(3, step + 1)):
            seen = situations[step - ahead].future.requests[..., ahead]
            np.testing.assert_array_equal(seen, result.outcome.requests)
    share = situations[0].future.available_share[..., 0]
    whole = situations[0].future.session_left_s >= situations[0].terms.step_s
    np.testing.assert_allclose(share[whole], 1.0)


def test_an_ended_episode_is_frozen():
    world, rng = begin(small(hours=1)), np.random.default_rng(0)
    results = play(world, lambda situation, step: busy_plan(situation, rng))
    assert results[-1].terminated.all() and not any(result.terminated.any() for result in results[:-1])
    before, totals = arrays(world.situation()), world.totals()
    after = world.step(busy_plan(world.situation(), rng))
    assert not after.active.any() and not after.terms.any()
    for name, values in arrays(world.situation()).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)
    for name, values in world.totals().items():
        np.testing.assert_array_equal(values, totals[name], err_msg=name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"load": np.full((3, 6), 99)}, "load: 99 to 99, expected 0 to 20"),
        ({"load": np.zeros((3, 5), dtype=np.int64)}, r"load: shape \(3, 5\)"),
        ({"load": np.zeros((3, 6))}, "load: dtype float64"),
        ({"threshold": np.full((3, 4), 1.5)}, "threshold: .* expected shares"),
        ({"release": np.full(3, np.nan)}, "release: .* expected shares"),
    ],
)
def test_a_bad_plan_is_refused_and_changes_nothing(changes, said):
    world = begin(small())
    before = arrays(world.situation())
    with pytest.raises(ValueError, match=said):
        world.step(dataclasses.replace(ServingPlan.idle(3, 6, 4), **changes))
    for name, values in arrays(world.situation()).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_what_is_returned_is_fresh():
    world, same = begin(small()), begin(small())
    for values in arrays(world.situation(clairvoyant=True)).values():
        values[...] = 0
    rng = np.random.default_rng(2)
    plan = busy_plan(same.situation(), rng)
    mine, theirs = world.step(plan), same.step(plan)
    np.testing.assert_array_equal(mine.terms, theirs.terms)
    for name, values in arrays(world.situation()).items():
        np.testing.assert_array_equal(values, arrays(same.situation())[name], err_msg=name)


def test_a_load_takes_its_time_and_its_bytes():
    world = begin(small(**STAYING), [7])
    first = world.situation()
    model = 1 * 5 + 3  # the second task's fourth rung
    slot = int(np.flatnonzero(first.slots.available[0] & (first.slots.load_s[0, :, 3] > 700))[0])
    load = np.zeros((1, first.num_slots), dtype=np.int64)
    load[0, slot] = 1 + model
    moved, answered, steps = 0.0, [], int(first.slots.load_s[0, slot, 3] // first.terms.step_s)
    for _ in range(steps + 2):
        result = world.step(ServingPlan(load, np.zeros((1, 4)), np.ones(1)))
        moved += result.outcome.bytes[0, slot]
        answered.append(result.outcome.local[0, slot])
        load = np.zeros_like(load)
    assert moved == pytest.approx(first.terms.model_bytes[3])
    assert answered[:steps] == [0.0] * steps and answered[-1] > 0
    assert world.situation().slots.model[0, slot] == model
    np.testing.assert_array_equal(world.totals()["loads"], 1)


def test_orders_that_cannot_be_begun_are_repairs():
    world = begin(small())
    s = world.situation()
    away = ~s.slots.available
    result = world.step(dataclasses.replace(ServingPlan.idle(3, 6, 4), load=np.ones((3, 6), dtype=np.int64)))
    np.testing.assert_array_equal(result.outcome.repairs, away.sum(axis=1))
    np.testing.assert_array_equal(result.outcome.begun, (~away).sum(axis=1))


def test_a_slot_that_overlaps_goes_on_with_its_old_model():
    scenario = small(overlap=True, **STAYING)
    world = begin(scenario, [7])
    s = world.situation()
    load = np.where(s.slots.available, 1 + 0, 0)
    world.step(ServingPlan(load, np.zeros((1, 4)), np.ones(1)))
    world.step(ServingPlan.idle(1, 6, 4))
    there = world.situation().serving
    result = world.step(ServingPlan(np.where(there, 1 + 4, 0), np.zeros((1, 4)), np.ones(1)))
    assert result.outcome.local.sum() > 0
    assert (world.situation().slots.loading[there] >= 0).any()


def test_hub_and_rtt_are_told():
    s = begin(small()).situation()
    np.testing.assert_array_equal(np.diag(s.hub.rtt_ms), 10.0)
    assert s.hub.rtt_ms[0, 1] == 60.0
    np.testing.assert_allclose(s.hub.capacity_per_step, 0.4 * s.terms.expected_requests / s.terms.steps)


@pytest.mark.slow
def test_another_process_plays_the_same_episode():
    code = (
        "import numpy as np\n"
        f"import sys; sys.path[:0] = {[str(HERE), str(HERE.parents[1])]}\n"
        "from test_world import begin, busy_plan, small\n"
        "world, rng = begin(small()), np.random.default_rng(0)\n"
        "while world.running.any(): world.step(busy_plan(world.situation(), rng))\n"
        "print(world.totals()['net_points'].tolist())"
    )
    world, rng = begin(small()), np.random.default_rng(0)
    while world.running.any():
        world.step(busy_plan(world.situation(), rng))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(world.totals()["net_points"].tolist())
