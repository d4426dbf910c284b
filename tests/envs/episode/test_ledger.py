"""Nothing enters the books that would spoil them for good."""

from dataclasses import replace

import numpy as np
import pytest
from own_worlds import begun, plain

from frugalfl.agents.schedulers import make_scheduler


@pytest.fixture(scope="module")
def played():
    """A world after one round, and the outcome of that round."""
    world = begun(plain("volunteers"), np.array([3]))
    scheduler = make_scheduler("random-m")
    scheduler.reset(np.ones(1, dtype=bool), np.array([3]), world.scenario.clients)
    return world, world.step(scheduler.plan(world.situation())).outcome


@pytest.mark.parametrize("field", ["duration_s", "up_bytes", "energy_j", "emissions_g", "wasted_j"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1e12])
def test_a_cost_that_is_not_finite_or_negative_is_refused(played, field, value):
    world, outcome = played
    before = world.ledger.totals()
    yes = np.ones(1, dtype=bool)
    wrong = replace(outcome, **{field: np.full_like(getattr(outcome, field), value)})
    with pytest.raises(ValueError, match=r"ledger: \w+: .*, expected finite numbers, not negative"):
        world.ledger.record(wrong, yes, yes, yes)
    for name in ("hours", "gigabytes", "kilowatt_hours", "kilograms"):
        assert world.ledger.totals()[name] == before[name]
