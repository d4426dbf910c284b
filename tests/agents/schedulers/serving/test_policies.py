"""Every policy plans within the rules, row by row, from its seed alone; parts do what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers.base import draw_settings, knobs_of
from frugalfl.agents.schedulers.serving import POLICY_PARTS, Part, make_policy, policy_knobs
from frugalfl.envs.serving import KEEP, NOTHING, ServingScheduler
from frugalfl.envs.serving_view import ladder_of

NAMES = tuple(POLICY_PARTS)
SEEDS = [3, 11, 5]


def plans(name, situation, seeds, steps=3, **settings):
    """Plans of some steps, the situation being the same in all of them."""
    policy = make_policy(name, **settings)
    policy.reset(np.ones(len(seeds), dtype=bool), np.array(seeds), situation.num_clients)
    found = []
    for step in range(steps):
        terms = replace(situation.terms, step=np.full(len(seeds), step))
        found.append(policy.plan(replace(situation, terms=terms)))
    return found


def equal(one, other, row, its_row=0):
    """Whether a row of one plan is a row of another."""
    fields = ("load", "threshold", "release")
    return all(np.array_equal(getattr(one, f)[row], getattr(other, f)[its_row]) for f in fields)


def answered(situation, loaded):
    """Mean accuracy of the requests that these models can answer, the best first, and their share of all.

    Models that answer nothing count nothing: an optimum may leave them in idle slots, or nothing.
    """
    ladder, accuracy = ladder_of(situation, situation.tasks.rate), situation.tasks.accuracy_known
    points = answers = 0.0
    for e, task in np.ndindex(ladder.requests.shape):
        left = ladder.requests[e, task]
        for rung in reversed(range(situation.num_rungs)):
            content = task * situation.num_rungs + rung
            capacity = ladder.capacity[e, loaded[e] == content, content].sum()
            taken = min(left, capacity)
            points, answers, left = points + taken * accuracy[task, rung], answers + taken, left - taken
    return points / answers, answers / ladder.requests.sum()


@pytest.mark.parametrize("name", NAMES)
class TestEveryPolicy:
    """What all parts have in common."""

    def test_it_plans_within_the_rules(self, name, situations):
        situation = situations(SEEDS, clairvoyant=make_policy(name).clairvoyant)
        for plan in plans(name, situation, SEEDS):
            plan.validate(3, situation.num_slots, situation.num_tasks, situation.num_rungs)
            assert set(np.unique(plan.threshold)) <= set(situation.terms.threshold_levels)
            assert (plan.load[~situation.loadable] == KEEP).all()
            assert not np.array_equal(plan.load, 1 + situation.slots.model)

    def test_a_row_depends_on_nothing_but_itself(self, name, situations):
        clairvoyant = make_policy(name).clairvoyant
        together = plans(name, situations(SEEDS, clairvoyant=clairvoyant), SEEDS)
        for row, seed in enumerate(SEEDS):
            alone = plans(name, situations([seed], clairvoyant=clairvoyant), [seed])
            assert all(equal(a, b, row) for a, b in zip(together, alone, strict=True))

    def test_a_reset_of_one_row_leaves_the_others_alone(self, name, situations):
        situation = situations(SEEDS, clairvoyant=make_policy(name).clairvoyant)
        policy = make_policy(name)
        policy.reset(np.ones(3, dtype=bool), np.array(SEEDS), situation.num_clients)
        first = policy.plan(situation)
        policy.reset(np.array([False, True, False]), np.array(SEEDS), situation.num_clients)
        second = policy.plan(situation)
        whole = plans(name, situation, SEEDS, steps=1)[0]
        assert equal(second, first, 1, 1)
        undisturbed = make_policy(name)
        undisturbed.reset(np.ones(3, dtype=bool), np.array(SEEDS), situation.num_clients)
        undisturbed.plan(situation)
        again = undisturbed.plan(situation)
        assert equal(second, again, 0, 0)
        assert equal(second, again, 2, 2)
        assert equal(whole, first, 0, 0)

    def test_its_knobs_can_be_drawn_and_are_checked(self, name, situations):
        kind = POLICY_PARTS[name]
        situation = situations(SEEDS[:1], clairvoyant=make_policy(name).clairvoyant)
        for seed in range(3):
            settings = draw_settings(kind, np.random.default_rng(seed))
            plans(name, situation, SEEDS[:1], steps=1, **settings)
        for knob in knobs_of(kind):
            with pytest.raises(ValueError, match=f"{knob}: -5"):
                make_policy(name, **{knob: -5})

    def test_its_docstring_says_where_it_comes_from(self, name):
        text = POLICY_PARTS[name].__doc__
        for word in ("Paper:", "Needs:", "Defaults:"):
            assert word in text


class TestComposition:
    """Three parts, one mechanism."""

    def test_parts_are_joined_in_any_order(self):
        policy = make_policy("lp-defer+hi-lcb+survival-greedy", alpha=0.7, horizon=4)
        assert [part.name for part in policy.parts] == ["survival-greedy", "hi-lcb", "lp-defer"]
        assert (policy.placement.horizon, policy.threshold.alpha) == (4, 0.7)
        assert isinstance(policy, ServingScheduler)
        assert (policy.kind, policy.clairvoyant) == ("handcrafted", False)

    def test_what_is_not_named_is_usual(self):
        assert [part.name for part in make_policy("edf").parts] == ["online-greedy", "never-ask", "edf"]
        ceiling = make_policy("clairvoyant")
        assert [part.name for part in ceiling.parts] == ["clairvoyant", "calibrated", "lp-defer"]
        assert (ceiling.kind, ceiling.clairvoyant) == ("ceiling", True)

    def test_the_decisions_are_apart(self, situations):
        situation = situations(SEEDS)
        mixed = plans("online-greedy+hi-lcb+lp-defer", situation, SEEDS)[-1]
        for name, field in (("online-greedy", "load"), ("hi-lcb", "threshold"), ("lp-defer", "release")):
            assert np.array_equal(getattr(mixed, field), getattr(plans(name, situation, SEEDS)[-1], field))

    @pytest.mark.parametrize(
        ("name", "settings", "said"),
        [
            ("online-gredy", {}, "'online-gredy' is unknown.*online-greedy"),
            ("oga+lfu", {}, "'lfu' is a second placement"),
            ("oga", {"rat": 1.0}, "'rat' is no setting of it.*rate"),
            ("oga+pathlib:Path", {}, "'pathlib:Path' is no part"),
        ],
    )
    def test_what_is_wrong_is_said(self, name, settings, said):
        with pytest.raises(ValueError, match=said):
            make_policy(name, **settings)

    def test_a_part_of_ones_own_goes_by_its_dotted_name(self, situations, tmp_path, monkeypatch):
        (tmp_path / "my_parts.py").write_text(
            "import numpy as np\n"
            "from frugalfl.agents.schedulers.serving import Release\n\n\n"
            "class Half(Release):\n"
            "    name = 'half'\n\n"
            "    def shares(self, situation):\n"
            "        return np.full(situation.num_envs, 0.5)\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        assert (plans("lfu+my_parts:Half", situations(SEEDS), SEEDS)[0].release == 0.5).all()

    def test_knobs_of_parts_do_not_collide(self):
        roles: dict = {}
        for name in NAMES:
            role = next(base for base in POLICY_PARTS[name].__mro__ if base.__mro__[1] is Part)
            roles.setdefault(role, set()).update(knobs_of(POLICY_PARTS[name]))
        one, two, three = roles.values()
        assert not (one & two) | (one & three) | (two & three)
        assert {"alpha", "horizon"} <= set(policy_knobs("hi-lcb"))

    def test_it_has_to_be_reset(self, situations):
        policy = make_policy("lru")
        policy.reset(np.ones(2, dtype=bool), np.arange(2), 6)
        with pytest.raises(ValueError, match="lru: situation of 3 x 6 slots, expected 2 x 6"):
            policy.plan(situations(SEEDS))


class TestPlacements:
    """What each of them is after."""

    def loaded(self, name, situation, **settings):
        plan = plans(name, situation, SEEDS, steps=1, **settings)[0]
        return np.where(plan.load > 0, plan.load - 1, NOTHING)

    def test_hub_only_loads_nothing(self, situations):
        assert (self.loaded("hub-only", situations(SEEDS)) == NOTHING).all()

    def test_cheapest_local_loads_smallest_models_for_all_tasks(self, situations):
        situation = situations(SEEDS, slots=12, held=False)
        loaded = self.loaded("cheapest-local", situation)
        assert (loaded[situation.loadable] % situation.num_rungs == 0).all()
        assert all(set(row[row >= 0] // situation.num_rungs) == {0, 1, 2} for row in loaded)

    def test_lfu_gives_slots_in_proportion_to_requests(self, situations):
        situation = situations(SEEDS, slots=30, held=False)
        requests = np.zeros_like(situation.tasks.requests_last)
        requests[:, 0] = [60.0, 30.0, 10.0]
        situation = replace(situation, tasks=replace(situation.tasks, requests_last=requests))
        for row in self.loaded("lfu", situation) // situation.num_rungs:
            counts = np.bincount(row[row >= 0], minlength=3)
            assert np.abs(counts - counts.sum() * np.array([0.6, 0.3, 0.1])).max() <= 1.0

    def test_lfu_remembers_and_lru_does_not(self, situations):
        situation = situations(SEEDS[:1], slots=12, held=False)
        first, then = (np.zeros_like(situation.tasks.requests_last) for _ in range(2))
        first[..., 0], then[..., 2] = 1000.0, 10.0
        for name, expected in (("lfu", 0), ("lru", 2)):
            policy = make_policy(name)
            policy.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64), 12)
            for requests in (first, then):
                tasks = replace(situation.tasks, requests_last=requests)
                plan = policy.plan(replace(situation, tasks=tasks))
            assert (plan.load[plan.load > 0] - 1).min() // situation.num_rungs == expected

    def test_greedy_is_not_tempted_by_loads_that_cost_more_than_they_bring(self, situations):
        situation = situations(SEEDS)
        dear = replace(
            situation, slots=replace(situation.slots, load_points=situation.slots.load_points * 1e6)
        )
        for name in ("online-greedy", "survival-greedy", "swap-greedy"):
            assert (self.loaded(name, situation) != NOTHING).any()
            assert (self.loaded(name, dear) == NOTHING).all()

    def test_survival_greedy_leaves_slots_that_are_about_to_go(self, situations):
        situation = situations(SEEDS, held=False)
        going = np.where(situation.slots.available, 5.0, np.inf)
        leaving = replace(situation, slots=replace(situation.slots, announced_left_s=going))
        assert (self.loaded("survival-greedy", leaving) == NOTHING).all()
        assert (self.loaded("online-greedy", leaving) != NOTHING).any()

    def test_static_greedy_keeps_its_placement(self, situations):
        first, second = plans("static-greedy", situations(SEEDS), SEEDS, steps=2)
        assert np.array_equal(first.load, second.load)

    def test_spothedge_spreads_replicas_over_zones(self, situations):
        situation = situations(SEEDS[:1], slots=12, tasks=1, held=False)
        everywhere = np.ones_like(situation.slots.available)
        situation = replace(situation, slots=replace(situation.slots, available=everywhere))
        policy = make_policy("spothedge", extra=5)
        policy.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64), 12)
        plan = policy.plan(situation)
        per_zone = np.bincount(situation.slots.zone[0][plan.load[0] > 0], minlength=3)
        assert per_zone.max() - per_zone.min() <= 1

    def test_proteus_answers_all_and_better_where_it_can(self, situations):
        situation = situations(SEEDS, slots=12, held=False)
        situation = replace(situation, hub=replace(situation.hub, capacity_per_step=np.zeros(3)))
        means, shares = [], []
        for factor in (0.05, 3.0):
            tasks = replace(situation.tasks, rate=situation.tasks.rate * factor)
            loaded = self.loaded("proteus-milp", replace(situation, tasks=tasks))
            accuracy, share = answered(replace(situation, tasks=tasks), loaded)
            means.append(accuracy)
            shares.append(share)
        assert means[0] > means[1]
        assert min(shares) >= 0.95

    def test_clover_uses_smaller_models_where_carbon_is_dear(self, situations):
        situation = situations(SEEDS, slots=12, held=False)
        joules = []
        for price in (0.0, 2e4):
            terms = replace(situation.terms, price_per_kg=np.full(3, price))
            loaded = self.loaded("clover-mix", replace(situation, terms=terms), proposals=1500)
            joules.append(np.mean(loaded[loaded >= 0] % situation.num_rungs) if (loaded >= 0).any() else 0.0)
        assert joules[1] < joules[0]
