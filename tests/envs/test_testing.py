"""The batteries pass on all that is built in, and notice worlds that break their promises."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from frugalfl.envs.registration import entries
from frugalfl.envs.scenario import load_scenario, scenario_names
from frugalfl.envs.testing import check_environment, check_world
from frugalfl.envs.world import FederatedWorld

SCALAR = [entry.id for entry in entries() if "/mo-" not in entry.id]

OPTIONS = {
    "late": {"late": {"kind": "keep"}},
    "compression": {"compression": {"kind": "top-k", "share": 0.1, "error_feedback": True}},
    "overlay": {"topology": "ring", "workload": {"step_s": 20}},
    "blocks": {"evaluation": {"personal": "blocks"}},
    "moments, late": {"training": {"optimiser": "adamw", "learning_rate": 0.01}, "late": {"kind": "keep"}},
    "set-up": {"workload": {"setup_bytes": 1e8}},
    "set-up, late": {"workload": {"setup_bytes": 1e8, "deadline_s": 120}, "late": {"kind": "keep"}},
    "ephemeral": {"hub": {"share": 0.5, "rows_per_client": 40, "ephemeral": True}},
}


@pytest.mark.parametrize("name", scenario_names())
def test_packaged_scenarios_pass(name):
    check_world(name)


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_options_pass(changes):
    check_world(load_scenario("volunteers", clients=6, **changes), decisions=4)


@pytest.mark.parametrize("env_id", SCALAR)
def test_registered_ids_pass(env_id):
    check_environment(env_id)


class Aliased(FederatedWorld):
    """Hands out its own books."""

    def totals(self):
        return {**super().totals(), "hours": self.ledger.hours}


class Leaking(FederatedWorld):
    """Shows everybody the future."""

    def situation(self, clairvoyant=False):
        return super().situation(clairvoyant=True)


class Forgetful(FederatedWorld):
    """Its episodes do not follow from the seeds."""

    def reset(self, envs, seeds):
        super().reset(envs, seeds + np.random.default_rng().integers(1000))


class Generous(FederatedWorld):
    """Its totals leave something out."""

    def totals(self):
        totals = super().totals()
        return {**totals, "kilograms": totals["kilograms"] / 2}


class Crowded(FederatedWorld):
    """What happens in a row depends on the size of the batch."""

    def reset(self, envs, seeds):
        super().reset(envs, seeds + self.num_envs)


class Restless(FederatedWorld):
    """An ended episode is charged on."""

    def step(self, plan):
        result = super().step(plan)
        self.ledger.hours += 0.1 * ~result.active
        return result


class Credulous(FederatedWorld):
    """Charges for a plan before it looks at it."""

    def step(self, plan):
        self.ledger.gigabytes += 1.0
        return super().step(plan)


class Hurried(FederatedWorld):
    """A wait takes one of its rounds."""

    def step(self, plan):
        result = super().step(plan)
        self.ledger.rounds += result.active & (plan.wait_s > 0)
        return result


class Forgiving(FederatedWorld):
    """Asks for a set-up that nobody is charged for."""

    def situation(self, clairvoyant=False):
        situation = super().situation(clairvoyant)
        return situation.changed(setup_bytes=situation.clients.setup_bytes + 1e12)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Aliased, "fresh arrays"),
        (Leaking, "future"),
        (Forgetful, "the same seeds"),
        (Generous, "kilograms"),
        (Crowded, "batch: row"),
        (Restless, "an ended episode"),
        (Credulous, "gigabytes|a bad plan"),
        (Hurried, "round_index"),
        (Forgiving, "setup_bytes"),
    ],
)
def test_worlds_that_break_a_promise_are_noticed(kind, message):
    scenario = load_scenario("quadratic")
    with pytest.raises(AssertionError, match=message) as error:
        check_world(lambda num_envs: kind(scenario, num_envs))
    assert "\n" not in str(error.value)


def test_masks_that_allow_too_much_are_noticed():
    class Everything(gym.Wrapper):
        def action_masks(self):
            return np.ones(int(self.action_space.nvec.sum()), dtype=bool)

    env_id = "frugalfl-tests/Everything-v0"
    gym.register(env_id, lambda: Everything(gym.make("frugalfl/Volunteers-v0").unwrapped))
    try:
        with pytest.raises(AssertionError, match="action_masks"):
            check_environment(env_id)
    finally:
        del gym.registry[env_id]
