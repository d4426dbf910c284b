"""What may wait: the queue, and when waiting pays."""

import numpy as np
import pytest
from small_serving import small

from frugalfl.envs.serving import ServingPlan, ServingWorld
from frugalfl.envs.serving.deferral import DeferralQueue
from frugalfl.traces.arrivals import ARRIVALS, ArrivalEpisode

ALL = np.ones(1, dtype=bool)


def queue(patience=3, steps=10):
    return DeferralQueue((1, 1, 1, patience), steps)


def test_requests_wait_their_patience_and_are_due():
    waiting = queue()
    waiting.push(np.full((1, 1, 1), 5.0), np.array([0]))
    for _ in range(2):
        assert waiting.take_due(ALL).sum() == 0
        waiting.age(ALL)
    assert waiting.take_due(ALL).sum() == 5 and waiting.total().sum() == 0


def test_nothing_waits_beyond_the_end():
    waiting = queue(steps=5)
    waiting.push(np.full((1, 1, 1), 5.0), np.array([4]))
    assert waiting.take_due(ALL).sum() == 5


def test_the_oldest_leave_first():
    waiting = queue()
    waiting.push(np.full((1, 1, 1), 4.0), np.array([0]))
    waiting.age(ALL)
    waiting.push(np.full((1, 1, 1), 6.0), np.array([1]))
    waiting.take(np.full((1, 1, 1), 5.0))
    np.testing.assert_allclose(waiting.waiting[0, 0, 0], [0.0, 0.0, 5.0])


def test_other_rows_do_not_age():
    waiting = DeferralQueue((2, 1, 1, 3), 10)
    waiting.push(np.ones((2, 1, 1)), np.zeros(2, dtype=np.int64))
    waiting.age(np.array([True, False]))
    np.testing.assert_allclose(waiting.waiting[:, 0, 0], [[0, 1, 0], [0, 0, 1]])


class FirstMinutes:
    """All requests of a day in its first ten minutes."""

    def draw(
        self, rng_seed, num_sources, start_utc_s, utc_offset_h, horizon_s, split="train", rank_group=None
    ):
        counts = np.zeros((num_sources, int(horizon_s // 60)), dtype=np.int32)
        counts[:, :10] = 50
        return ArrivalEpisode(counts, counts.astype(np.float32))

    def validate_for(self, num_sources, horizon_s):
        pass


@pytest.fixture
def first_minutes():
    ARRIVALS.register("first-minutes")(FirstMinutes)
    yield "first-minutes"
    ARRIVALS.remove("first-minutes")


@pytest.mark.parametrize("seed", [3, 8])
def test_without_limits_the_earliest_cleanest_step_before_the_deadline_is_best(first_minutes, seed):
    """Oracle 7."""
    scenario = small(
        arrivals=first_minutes,
        deferrable=1.0,
        deadline_h=4,
        hours=8,
        hub={"share": 1000.0, "zone": 1},
        preferences={"price_per_kg": 1e6},
    )
    world, patience = ServingWorld(scenario, 1), scenario.patience
    net = []
    for chosen in range(patience):
        world.reset(ALL, np.array([seed]))
        seen = world.situation(clairvoyant=True).future.carbon_g_per_kwh[0, 1, :patience]
        for step in range(patience):
            plan = ServingPlan.idle(1, scenario.slots, scenario.tasks)
            world.step(ServingPlan(plan.load, plan.threshold, np.full(1, float(step == chosen))))
        totals = world.totals()
        assert totals["answered"][0] == totals["requests"][0] > 0
        net.append(totals["net_points"][0])
    best = int(np.argmax(net))
    assert seen.max() > 1.05 * seen.min()
    assert best == int(np.argmin(seen)) or np.isclose(seen[best], seen.min(), rtol=0.02)
