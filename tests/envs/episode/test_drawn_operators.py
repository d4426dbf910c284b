"""What differs between operators: drawn in its range from the seed alone, known to all, and it counts."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.envs.agent_view import SERVER_FEATURES, ObservationEncoder
from frugalfl.envs.contract import RoundPlan
from frugalfl.worlds import FederatedWorld, load_scenario

RANGES = {
    "sample_bytes": [1e3, 1e7],
    "overhead_s": [5.0, 2400.0],
    "deadline_s": [600.0, 7200.0],
    "step_s": [1.0, 64.0],
}
SEEDS = np.arange(60)


def world_of(seeds=SEEDS, name="quadratic", **changes):
    world = FederatedWorld(load_scenario(name, **changes), len(seeds))
    world.reset(np.ones(len(seeds), dtype=bool), seeds)
    return world


def log_shares(values, low, high):
    """Where values lie in their range, on a log scale: uniform on [0, 1]."""
    return np.sort(np.log(values / low) / np.log(high / low))


def values_of(world):
    """The drawn values by name; seconds per step from the devices, which a step of one second scales."""
    terms, unit = world.situation().terms, world_of(workload={"step_s": 1.0})
    step_s = world.situation().clients.step_s / unit.situation().clients.step_s
    assert np.allclose(step_s, step_s[:, :1])
    return {name: getattr(terms, name, step_s[:, 0]) for name in RANGES}


def test_each_is_log_uniform_in_its_range_and_independent_of_the_others():
    values = values_of(world_of(workload=RANGES))
    each = {name: log_shares(values[name], *bounds) for name, bounds in RANGES.items()}
    uniform = (np.arange(SEEDS.size) + 0.5) / SEEDS.size
    for name, shares in each.items():
        # Kolmogorov and Smirnov: a distance above 0.21 has a chance of 1% in 60 draws.
        assert np.abs(shares - uniform).max() < 0.21, name
    logs = np.log(np.stack([values[name] for name in RANGES]))
    assert np.abs(np.corrcoef(logs) - np.eye(4)).max() < 0.4


def test_nothing_else_changes():
    longest = {"deadline_s": 7200.0, "overhead_s": 2400.0}  # traces last for the longest round
    drawn, fixed = (
        world_of(workload=work, budgets={"hours": [5, 50]}).situation() for work in (RANGES, longest)
    )
    for name in ("price_per_hour", "price_per_gb", "price_per_kg", "budget_left"):
        np.testing.assert_array_equal(getattr(drawn.terms, name), getattr(fixed.terms, name), err_msg=name)
    for name in ("available", "down_bytes_per_s", "target_weight", "session_age_s", "zone"):
        np.testing.assert_array_equal(getattr(drawn.clients, name), getattr(fixed.clients, name))
    np.testing.assert_array_equal(drawn.zones.carbon_g_per_kwh, fixed.zones.carbon_g_per_kwh)


def test_one_range_leaves_the_draws_of_the_others_alone():
    both = world_of(workload=RANGES).situation().terms
    one = world_of(workload={"deadline_s": RANGES["deadline_s"]}).situation().terms
    np.testing.assert_array_equal(both.deadline_s, one.deadline_s)


@pytest.mark.parametrize("name", ["quadratic", "volunteers"])
def test_an_episode_has_the_same_alone_and_in_a_batch(name):
    changes = {"workload": RANGES}
    if name == "volunteers":
        changes |= {
            "partition": {"kind": "zone", "zone_alpha": [0.05, 5.0], "client_alpha": [0.1, 10.0]},
            "availability": {"kind": "volunteers", "announced_share": [0.1, 1.0]},
        }
    batch = world_of(SEEDS[:6], name, **changes)
    for env in (0, 4):
        alone = world_of(SEEDS[env : env + 1], name, **changes)
        for field, value in vars(batch.situation().terms).items():
            if np.ndim(value):
                np.testing.assert_array_equal(value[env], getattr(alone.situation().terms, field)[0])
        np.testing.assert_array_equal(
            batch.situation().clients.step_s[env], alone.situation().clients.step_s[0]
        )


def test_rounds_are_played_and_charged_by_what_was_drawn():
    hub = {"share": 0.5, "rows_per_client": 40}
    world = world_of(SEEDS[:20], workload=RANGES | {"deadline_s": 1e5}, hub=hub)
    situation = world.situation()
    invited = situation.clients.available & (situation.clients.session_age_s > 0)
    steps, samples = (invited * 2).astype(np.int32), (invited * 20).astype(np.int32)
    one = np.ones(world.num_envs)
    expected_s = np.where(invited, situation.round_s(steps, samples), 0.0)
    outcome = world.step(RoundPlan(steps, samples, one, one * 0)).outcome
    whole = outcome.completed.any(axis=1) & ~outcome.lost.any(axis=1) & ~outcome.cancelled.any(axis=1)
    assert whole.sum() > 3
    longest_s = expected_s.max(axis=1) + situation.terms.overhead_s
    np.testing.assert_allclose(outcome.duration_s[whole], longest_s[whole])
    sent = 20 * np.broadcast_to(situation.terms.sample_bytes[:, None], invited.shape)
    np.testing.assert_allclose(outcome.sample_bytes[outcome.completed], sent[outcome.completed])


def test_a_round_is_closed_at_its_own_deadline():
    world = world_of(SEEDS[:20], workload={"step_s": 1e5, "deadline_s": [600.0, 7200.0], "overhead_s": 7.0})
    situation = world.situation()
    steps, one = situation.clients.available.astype(np.int32), np.ones(world.num_envs)
    outcome = world.step(RoundPlan(steps, steps * 0, one, one * 0)).outcome
    cut = outcome.cancelled.any(axis=1)
    assert cut.sum() > 10
    np.testing.assert_allclose(outcome.duration_s[cut], situation.terms.deadline_s[cut] + 7.0)


def test_the_agent_sees_them():
    world = world_of(workload=RANGES)
    terms, observed = world.situation().terms, ObservationEncoder(world.scenario).encode(world.situation())
    column = lambda name: observed["server"][:, SERVER_FEATURES.index(name)]
    np.testing.assert_allclose(
        column("overhead_time"), terms.overhead_s / (terms.overhead_s + 600), rtol=1e-6
    )
    points = terms.price_per_gb * terms.sample_bytes / 1e6
    np.testing.assert_allclose(column("sample_price"), points / (1 + points), rtol=1e-6)


def test_traces_last_for_the_longest_round_that_may_be_drawn():
    short = load_scenario("quadratic", workload={"deadline_s": 600.0, "overhead_s": 10.0})
    long = load_scenario("quadratic", workload=RANGES)
    assert long.horizon_s - short.horizon_s == pytest.approx(7200 - 600 + 2400 - 10)


def test_skew_follows_the_concentration_and_quadratics_have_none():
    assert (world_of().situation().terms.label_skew == 0).all()
    skews = [
        world_of(SEEDS[:4], "volunteers", partition={"kind": "dirichlet", "alpha": alpha})
        .situation()
        .terms.label_skew.mean()
        for alpha in (0.05, 0.5, 50.0)
    ]
    assert 1 > skews[0] > skews[1] > skews[2] > 0


def test_the_drawn_share_of_announced_ends_is_known():
    world = world_of(
        SEEDS[:8], "volunteers", availability={"kind": "volunteers", "announced_share": [0.05, 1.0]}
    )
    share = world.situation().terms.announced_share
    assert np.ptp(share) > 0.3 and ((share >= 0.05) & (share <= 1)).all()
    fixed = world_of(SEEDS[:3], "volunteers", availability={"kind": "volunteers", "announced_share": 0.3})
    assert (fixed.situation().terms.announced_share == 0.3).all()


@pytest.mark.parametrize("field", list(RANGES))
@pytest.mark.parametrize("value", [[8.0, 2.0], [-1.0, 5.0], [1.0, 2.0, 3.0]])
def test_what_is_no_range_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"workload\.{field}"):
        load_scenario("quadratic", workload={field: value})


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"partition": {"kind": "zone", "zone_alpha": [2.0, 1.0]}}, "partition.*zone_alpha"),
        ({"partition": {"kind": "dirichlet", "alpha": [0.0, 1.0]}}, "partition.*alpha"),
        ({"availability": {"kind": "spot", "announced_share": [0.9, 0.1]}}, "availability.*announced_share"),
        (
            {"availability": {"kind": "phones", "announced_share": [0.9, 1.1]}},
            "availability.*announced_share",
        ),
    ],
)
def test_ranges_of_partitions_and_generators_are_checked_as_well(changes, where):
    with pytest.raises(ValueError, match=where):
        load_scenario("volunteers", **changes)
