"""What a situation says of the rounds before, against a list kept beside the world."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.envs.contract import PAST
from frugalfl.schedulers import make_scheduler
from frugalfl.worlds import FederatedWorld, load_scenario, rollout

EPISODES = np.array([3, 4])


LATE = {"late": {"kind": "keep", "max_rounds": 3}}


@pytest.fixture(scope="module", params=[{}, LATE], ids=["drop", "late"])
def turns(request):
    scenario = load_scenario("volunteers", max_rounds=9, **request.param)
    scheduler = make_scheduler("random-m", participants=4, quorum=0.5, wait_saving=0.05)
    return list(rollout(FederatedWorld(scenario, 2), scheduler, EPISODES))


@pytest.mark.parametrize("env", [0, 1])
def test_scores_and_costs_of_past_rounds_are_those_that_were(turns, env):
    accuracy = [turns[0].situation.run.accuracy[env]] * PAST
    loss = [turns[0].situation.run.loss[env]] * PAST
    last = dict.fromkeys(("hours", "gigabytes", "kilograms", "invited", "completed"), 0.0)
    best, waits = accuracy[-1], 0
    for turn in turns:
        run = turn.situation.run
        if not turn.running[env]:
            break
        assert run.past_accuracy[env].tolist() == accuracy[-PAST:]
        assert run.past_loss[env].tolist() == loss[-PAST:]
        assert run.best_accuracy[env] == best
        for name, value in last.items():
            assert getattr(run, f"last_{name}")[env] == pytest.approx(value), name
        outcome = turn.result.outcome
        best = max(best, outcome.accuracy[env])
        if turn.plan.is_round[env]:
            moved = outcome.down_bytes[env].sum() + outcome.up_bytes[env].sum()
            last = {
                "hours": outcome.duration_s[env] / 3600.0,
                "gigabytes": moved / 1e9,
                "kilograms": outcome.emissions_g[env].sum() / 1e3,
                "invited": outcome.invited[env].sum(),
                "completed": outcome.completed[env].sum(),
            }
        waits += not turn.plan.is_round[env]
        if outcome.accuracy[env] != accuracy[-1] or outcome.loss[env] != loss[-1]:
            accuracy.append(outcome.accuracy[env])
            loss.append(outcome.loss[env])
    assert len(accuracy) > PAST + 2
