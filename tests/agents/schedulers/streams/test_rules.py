"""When each of the stream's schedulers trains, on answers that the test decides."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import TUNABLE, make_scheduler

N = 12
TRIGGERS = ("ddm", "page-hinkley", "adwin")


def settled(hours, rounds):
    """Learned within five rounds; a tenth is wrong then."""
    return max(0.1, 0.9 - 0.16 * rounds)


def drifting(at_h, recovers_after):
    """The same until a drift, after which six of ten are wrong until so many rounds were held since."""
    held: list[int] = []

    def errors(hours, rounds):
        if hours < at_h:
            held[:] = [rounds]
            return settled(hours, rounds)
        return 0.1 if rounds - held[0] >= recovers_after else 0.6

    return errors


class TestSchedules:
    def test_train_then_stop(self, service, play):
        made = service(settled)
        play("train-then-stop", made, 100.0)
        assert made.round == 10  # five rounds of learning, and five that gained nothing
        assert made.trained_h == [0.5 * k for k in range(10)]

    @pytest.mark.parametrize("period_h", [1.0, 3.0, 7.5])
    def test_periodic(self, service, period_h, play):
        made = service(settled)
        play("periodic", made, 40.0, period_h=period_h)
        assert made.trained_h == pytest.approx(np.arange(0.0, 40.0, period_h))

    def test_periodic_is_late_where_rounds_are_longer_and_always_at_it_where_off(self, service, play):
        for period_h in (0.25, "off"):
            made = service(settled)
            play("periodic", made, 10.0, period_h=period_h)
            assert np.diff(made.trained_h) == pytest.approx(0.5)

    def test_periodic_waits_for_somebody_to_come(self, service):
        made = service(settled)
        scheduler = make_scheduler("periodic")
        scheduler.reset(np.ones(1, dtype=bool), np.array([1]), N)
        made.changes = {"available": np.zeros((1, N), dtype=bool)}
        for _ in range(3):
            assert scheduler.plan(made.now()).wait_s[0] == 900.0
        made.changes = {}
        assert scheduler.plan(made.now()).invited.any()

    def test_the_oracle_trains_after_every_drift(self, service, play):
        made = service(settled, drifts_h=(10.0, 20.25, 21.0), hours=60.0)
        play("drift-oracle", made, 60.0, after_rounds=4, upkeep_h="off")
        expected = [[0.5 * k for k in range(4)], [10 + 0.5 * k for k in range(4)]]
        expected += [[20.25, 20.75], [21.25 + 0.5 * k for k in range(4)]]
        assert made.trained_h == pytest.approx(np.concatenate(expected))

    def test_the_oracle_stops_after_the_last_drift_that_it_will_see(self, service, play):
        made = service(settled, drifts_h=(10.0, 80.0), hours=60.0)
        scheduler = play("drift-oracle", made, 60.0, after_rounds=4, upkeep_h="off")
        assert made.time_h == pytest.approx(12.0)
        assert np.isinf(scheduler.plan(made.now(True)).wait_s[0])

    def test_no_rounds_in_the_last_hours(self, service, play):
        made = service(settled, hours=20.0)
        play("periodic", made, 20.0, rest_h=4.0)
        assert max(made.trained_h) == pytest.approx(14.0)
        assert made.time_h == pytest.approx(16.0)


class TestTriggers:
    @pytest.mark.parametrize("name", TRIGGERS)
    def test_quiet_until_the_drift_then_a_burst_that_ends_when_all_is_well(self, service, name, play):
        made = service(drifting(40.0, recovers_after=3))
        scheduler = play(name, made, 80.0, upkeep_h="off")
        first, later = np.array(made.trained_h[:12]), np.array(made.trained_h[12:])
        assert first == pytest.approx(0.5 * np.arange(12))
        assert scheduler.state["alarms"][0] == 1
        assert 40.0 <= later[0] <= 42.0
        assert 3 <= later.size <= 5

    @pytest.mark.parametrize("name", TRIGGERS)
    def test_a_concept_that_stays_harder_ends_the_burst_too(self, service, name, play):
        made = service(drifting(40.0, recovers_after=10**6))
        play(name, made, 80.0, burst_rounds=7, upkeep_h="off")
        assert made.round == 12 + 7

    @pytest.mark.parametrize("name", TRIGGERS)
    def test_the_next_drift_is_noticed_again(self, service, name, play):
        one, two = drifting(40.0, 3), drifting(80.0, 3)
        made = service(lambda hours, rounds: one(hours, rounds) if hours < 80 else two(hours, rounds))
        two(0.0, 15)  # rounds before the second drift
        scheduler = play(name, made, 120.0, upkeep_h="off")
        assert scheduler.state["alarms"][0] == 2
        assert any(80 <= hour <= 83 for hour in made.trained_h)

    @pytest.mark.parametrize("name", TRIGGERS)
    def test_few_false_alarms_where_nothing_drifts(self, service, name, play):
        rng = np.random.default_rng(5)
        made = service(lambda hours, rounds: rng.binomial(60, settled(hours, rounds)) / 60)
        play(name, made, 100.0, upkeep_h="off")
        assert made.round <= 12 + 12


class TestBursts:
    def test_rounds_of_a_burst_are_apart(self, service, play):
        made = service(settled, drifts_h=(10.0,), hours=30.0)
        play("drift-oracle", made, 30.0, after_rounds=3, spacing_s=7200.0, upkeep_h="off")
        assert made.trained_h == pytest.approx([0.0, 2.0, 4.0, 10.0, 12.0, 14.0])

    @pytest.mark.parametrize("name", ["drift-oracle", *TRIGGERS])
    def test_the_model_is_brought_to_those_who_come_back(self, service, play, name):
        made = service(settled, hours=50.0)
        knobs = {"after_rounds": 4} if name == "drift-oracle" else {"first_rounds": 4}
        scheduler = play(name, made, 40.0, upkeep_h=5.0, **knobs)
        assert made.trained_h[:4] == pytest.approx([0.0, 0.5, 1.0, 1.5])
        assert np.diff(made.trained_h[3:]) == pytest.approx(5.0)
        assert scheduler.state["rounds"][0] == made.round


class TestAge:
    def test_a_model_that_does_not_age_is_left_alone(self, service, play):
        made = service(settled, hours=100.0)
        play("age-index", made, 60.0)
        many = made.round
        assert many <= 12 + 12  # the prior's fear is soon forgotten

    def test_what_ages_is_renewed_the_oftener_the_cheaper(self, service, play):
        def ageing(hours, rounds):
            last = made.trained_h[-1] if made.trained_h else 0.0
            return min(0.9, settled(hours, rounds) + 0.06 * max(0.0, hours - last - 0.5))

        counts = []
        for price in (0.1, 10.0):
            made = service(ageing, hours=100.0)
            made.changes = {"price_per_gb": np.array([price])}
            play("age-index", made, 80.0)
            counts.append(made.round)
        assert counts[0] > 1.5 * counts[1] > 0


class TestEvery:
    @pytest.mark.parametrize("name", TUNABLE)
    def test_says_who_is_sent_the_model_where_that_is_a_decision(self, name, service):
        made = service(settled)
        for refresh, expected in (("own", None), ("none", 0), ("participants", 1), ("available", 2)):
            scheduler = make_scheduler(name, refresh=refresh)
            scheduler.reset(np.ones(1, dtype=bool), np.array([3]), N)
            plan = scheduler.plan(made.now(scheduler.clairvoyant))
            assert (plan.refresh is None) == (expected is None)
            assert plan.refresh is None or plan.refresh[0] == expected
            scheduler.reset(np.ones(1, dtype=bool), np.array([3]), N)
            still = made.now(scheduler.clairvoyant).changed(stream=None)
            assert scheduler.plan(still).refresh is None

    @pytest.mark.parametrize("name", [*TRIGGERS, "age-index", "train-then-stop", "drift-oracle"])
    def test_without_streams_it_trains_until_accuracy_is_flat_and_stops(self, name, service):
        made = service(settled)
        scheduler = make_scheduler(name)
        scheduler.reset(np.ones(1, dtype=bool), np.array([3]), N)
        for _ in range(30):
            plan = scheduler.plan(made.now().changed(stream=None))
            if np.isinf(plan.wait_s[0]):
                break
            made.step(plan)
        assert 5 <= made.round <= 12
        assert np.isinf(plan.wait_s[0])
