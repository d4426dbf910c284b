"""Clients that are late go on working: who is busy, what is charged when, and what enters the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_worlds import begun, plain

from frugalfl.envs.agent_view import ObservationEncoder
from frugalfl.envs.contract import STOP_S, RoundPlan
from frugalfl.envs.world import FederatedWorld

SEEDS = np.array([3, 4, 5])
RULES = [
    {"kind": "keep"},
    {"kind": "keep", "max_rounds": 1},
    {"kind": "staleness", "beta": 0.5},
    {"kind": "buffer", "size": 3},
]


def world_of(late, name="volunteers", seeds=SEEDS, **changes):
    return begun(plain(name, late=late, **changes), seeds)


def plan_of(chosen, steps=10, transfer=0, quorum=1.0, wait_s=0.0):
    ones = np.ones(len(chosen))
    orders, sent = (np.where(chosen, value, 0).astype(np.int32) for value in (steps, transfer))
    return RoundPlan(orders, sent, quorum * ones, wait_s * ones)


def random_plan(world, rng):
    """Every row draws for itself, so that a batch and its rows alone get the same orders."""
    available = world.situation().clients.available
    parts = []
    for row in range(world.num_envs):
        pick = rng[row].random(available.shape[1]) < 0.5
        steps = rng[row].integers(1, 60, available.shape[1])
        parts.append((np.where(pick, steps, 0), np.where(pick, rng[row].integers(0, 20), 0),
                      rng[row].choice([0.2, 0.5, 1.0]), rng[row].choice([0.0, 0.0, 0.0, 900.0])))  # fmt: skip
    steps, sent, quorum, wait_s = (np.stack(each) for each in zip(*parts, strict=True))
    return RoundPlan(steps.astype(np.int32), sent.astype(np.int32), quorum, wait_s)


@settings(max_examples=12, deadline=None)
@given(
    rule=st.sampled_from(RULES), name=st.sampled_from(["volunteers", "spotmarket"]), seed=st.integers(0, 99)
)
def test_every_invitation_ends_once_and_everything_spent_is_charged_once(rule, name, seed):
    world = world_of(rule, name, [seed])
    rng = [np.random.default_rng(seed)]
    n = world.scenario.clients
    spent, wasted = np.zeros(n), 0.0
    moved_up, computed, ordered = np.zeros(n), np.zeros(n), np.zeros(n)
    for _ in range(25):
        if not world.running[0]:
            break
        before = world.situation()
        assert not (before.clients.busy & before.clients.available).any()
        plan = random_plan(world, rng)
        outcome = world.step(plan).outcome
        np.testing.assert_array_equal(outcome.invited & before.clients.busy, False)
        ordered = np.where(outcome.invited[0], plan.local_steps[0] * before.clients.step_s[0], ordered)
        spent += outcome.energy_j[0]
        moved_up += outcome.up_bytes[0]
        computed += outcome.compute_s[0]
        done, over = outcome.completed[0], outcome.lost[0] | outcome.cancelled[0]
        assert not (done & over).any()
        np.testing.assert_allclose(moved_up[done], before.terms.upload_bytes[0])
        np.testing.assert_allclose(computed[done], ordered[done])
        assert (computed <= ordered + 1e-6).all()
        np.testing.assert_allclose(outcome.wasted_j[0, over], spent[over])
        assert not outcome.wasted_j[0, ~over].any()
        assert (outcome.stop_s <= outcome.duration_s[:, None] + 1e-9).all()
        wasted += spent[over].sum()
        for table in (spent, moved_up, computed, ordered):
            table[done | over] = 0
        ledger, busy = world.ledger, world.situation().clients.busy
        if world.running[0]:
            ends = ledger.completions + ledger.lost + ledger.cancelled
            np.testing.assert_array_equal(ledger.invitations, ends + busy)
            np.testing.assert_array_equal(spent[~busy[0]], 0.0)
            np.testing.assert_allclose(world.totals()["wasted_kilowatt_hours"] * 3.6e6, wasted)
    if world.running[0]:
        world.step(plan_of(np.zeros((1, n), dtype=bool), wait_s=STOP_S))
    ends = ledger.completions + ledger.lost + ledger.cancelled
    np.testing.assert_array_equal(ledger.invitations, ends)
    assert not world.situation().clients.busy.any()
    np.testing.assert_allclose(world.totals()["wasted_kilowatt_hours"] * 3.6e6, wasted + spent.sum())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["volunteers", "spotmarket", "quadratic"])
def test_every_environment_of_a_batch_is_the_single_one(rule, name):
    batch = world_of(rule, name)
    singles = [world_of(rule, name, [seed]) for seed in SEEDS]
    draws = [np.random.default_rng(seed) for seed in SEEDS]
    draws_alone = [np.random.default_rng(seed) for seed in SEEDS]
    late = 0
    for turn in range(14):
        if turn == 6:
            batch.reset(np.array([False, True, False]), np.array([0, 17, 0]))
            singles[1].reset(np.array([True]), np.array([17]))
        together = batch.step(random_plan(batch, draws))
        for e, world in enumerate(singles):
            alone = world.step(random_plan(world, draws_alone[e : e + 1]))
            for key, value in vars(together.outcome).items():
                if value is None:  # nothing is served here
                    continue
                np.testing.assert_array_equal(value[e], getattr(alone.outcome, key)[0], err_msg=key)
            np.testing.assert_array_equal(batch.parameters()[e], world.parameters()[0])
            np.testing.assert_array_equal(together.reward[e], alone.reward[0])
        late += (together.outcome.completed & ~together.outcome.invited).sum()
    assert late > 0, "nobody was late; the test needs other plans"


def slow_and_fast(world):
    """The first row's slowest and fastest client whose sessions last."""
    s = world.situation(clairvoyant=True)
    safe = s.clients.available[0] & (s.future.session_left_s[0] > 3 * s.round_s(40)[0])
    order = np.argsort(np.where(safe, s.round_s(40)[0], np.inf))[: safe.sum()]
    assert safe.sum() >= 2, "the test needs other seeds"
    masks = np.zeros((2, 1, safe.size), dtype=bool)
    masks[0, 0, order[-1]] = masks[1, 0, order[0]] = True
    return masks


def test_a_late_update_is_the_one_the_client_would_have_sent_in_time():
    longer = {"deadline_s": 50_000}
    world, alone = (world_of({"kind": kind}, seeds=[3], workload=longer) for kind in ("keep", "drop"))
    slow, fast = slow_and_fast(world)
    start = world.parameters()
    assert alone.step(plan_of(slow, 40)).outcome.completed[slow].all()
    expected = alone.parameters() - start
    first = world.step(plan_of(slow | fast, 40, quorum=0.5)).outcome
    np.testing.assert_array_equal(first.completed, fast)
    assert not first.cancelled.any() and not first.lost.any()
    np.testing.assert_array_equal(world.situation().clients.busy, slow)
    between = world.parameters()
    nobody = np.zeros_like(slow)
    late = world.step(plan_of(nobody, wait_s=2 * world.situation().round_s(40)[slow][0])).outcome
    assert not late.completed.any(), "while the coordinator waits, the model stands still"
    np.testing.assert_array_equal(world.parameters(), between)
    np.testing.assert_array_equal(world.situation().clients.busy, slow)
    taken = world.step(plan_of(nobody)).outcome
    np.testing.assert_array_equal(taken.completed, slow)
    np.testing.assert_allclose(world.parameters() - between, expected, atol=1e-6)
    assert not world.situation().clients.busy.any()
    assert np.isfinite(taken.reported_loss[slow]).all()


def test_an_invitation_to_a_busy_client_is_a_repair():
    world = world_of({"kind": "keep"}, seeds=[3])
    slow, fast = slow_and_fast(world)
    world.step(plan_of(slow | fast, 40, quorum=0.5))
    situation = world.situation()
    assert not situation.clients.available[slow].any()
    outcome = world.step(plan_of(slow, 5)).outcome
    assert outcome.repairs[0] == 1 and not outcome.invited.any()
    observation = ObservationEncoder(world.scenario).encode(situation)
    assert all(np.isfinite(values).all() for values in observation.values())


def test_a_session_that_ends_later_loses_the_update_then():
    world = world_of({"kind": "keep"}, seeds=range(12), max_rounds=1000)
    s = world.situation(clairvoyant=True)
    left_s = s.future.session_left_s
    steps = np.where(s.clients.available, np.ceil(1.5 * left_s / s.clients.step_s), 0).astype(np.int32)
    doomed = s.clients.available & (left_s > 600) & (left_s < 40_000)
    quick = s.clients.available & (np.cumsum(s.clients.available, axis=1) == 1) & ~doomed
    plan = plan_of(doomed | quick, np.where(quick, 1, steps), quorum=1e-6)
    first = world.step(plan).outcome
    assert not first.completed[doomed].any()
    lost = first.lost.copy()
    worked_s = first.stop_s.copy()
    for _ in range(100):
        outcome = world.step(plan_of(np.zeros_like(doomed), wait_s=600.0)).outcome
        worked_s += outcome.stop_s
        lost |= outcome.lost
        if not world.situation().clients.busy.any():
            break
    assert lost[doomed].all()
    np.testing.assert_allclose(worked_s[doomed], left_s[doomed])


def test_an_update_from_a_model_too_old_is_cancelled():
    world = world_of({"kind": "keep", "max_rounds": 1}, seeds=[3])
    slow, fast = slow_and_fast(world)
    world.step(plan_of(slow | fast, np.where(slow, 4000, 1), quorum=0.5))
    assert world.situation().clients.busy[slow].all()
    outcome = world.step(plan_of(fast, 1)).outcome
    np.testing.assert_array_equal(outcome.cancelled, slow)
    assert outcome.wasted_j[slow][0] > outcome.energy_j[slow][0] > 0
    assert not world.situation().clients.busy.any()


def test_data_wiped_after_the_work_was_done_have_been_learned_from():
    """Spot nodes forget with their session; what they delivered before stays what it was."""
    world, alone = (world_of({"kind": kind}, "spotmarket", [3]) for kind in ("keep", "drop"))
    s = world.situation(clairvoyant=True)
    chosen = s.clients.available & (np.cumsum(s.clients.available, axis=1) <= 1)
    start = world.parameters()
    assert alone.step(plan_of(chosen, 5, 20)).outcome.completed.any()
    other = s.clients.available & (np.cumsum(s.clients.available, axis=1) == 2)
    world.step(plan_of(chosen | other, np.where(chosen, 5, 1), np.where(chosen, 20, 1), quorum=0.5))
    if not world.situation().clients.busy[chosen].any():
        pytest.skip("the other one was slower")
    between = world.parameters()
    while world.situation().clients.samples_held[chosen][0] > 0:
        world.step(plan_of(np.zeros_like(chosen), wait_s=7200.0))
    outcome = world.step(plan_of(np.zeros_like(chosen))).outcome
    np.testing.assert_array_equal(outcome.completed, chosen)
    np.testing.assert_allclose(world.parameters() - between, alone.parameters() - start, atol=1e-6)
    assert (world.situation().clients.samples_held[chosen] == 0).all()


def test_the_buffer_moves_the_model_once_per_so_many_updates():
    world = world_of({"kind": "buffer", "size": 5}, seeds=[3])
    arrived, model = 0, world.parameters()
    for _ in range(12):
        available = world.situation().clients.available
        one = available & (np.cumsum(available, axis=1) == 1)
        outcome = world.step(plan_of(one, 5)).outcome
        before, arrived = arrived, arrived + int(outcome.completed.sum())
        moved = (world.parameters() != model).any()
        assert moved == (arrived // 5 > before // 5)
        model = world.parameters()
    assert arrived >= 5


def test_rules_bring_their_aggregators():
    assert world_of({"kind": "staleness"})._core.aggregator.name == "refl"
    assert world_of({"kind": "buffer"})._core.aggregator.name == "fedbuff"
    assert world_of({"kind": "keep"}, aggregator="stale")._core.aggregator.name == "stale"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"late": {"kind": "later"}}, "late.kind: 'later'"),
        ({"late": {"kind": "keep", "beta": 0.3}}, "beta: 0.3, expected only with kind: staleness"),
        ({"late": {"kind": "staleness", "size": 3}}, "size: 3, expected only with kind: buffer"),
        ({"late": {"kind": "keep", "max_rounds": 0}}, "late.max_rounds: 0"),
        ({"late": {"kind": "buffer"}, "aggregator": "uniform"}, "expected by-samples"),
        ({"late": {"kind": "keep"}, "aggregator": "scaffold"}, "scaffold.*cannot use late updates"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        FederatedWorld(plain("volunteers", **changes))
