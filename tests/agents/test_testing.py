"""The battery for schedulers passes the package's own and finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler
from frugalfl.agents.schedulers.base import plan_for
from frugalfl.agents.testing import check_scheduler

PLAYABLE = [name for name in SCHEDULERS if name != "clairvoyant"]


class Own:
    """Every available client trains; a base for all kinds of mistakes."""

    def reset(self, envs, seeds, num_clients):
        pass

    def plan(self, situation):
        return self.of(situation, situation.clients.available)

    def of(self, situation, chosen):
        return plan_for(situation, chosen, 10)


class Uninvited(Own):
    def plan(self, situation):
        plan = super().plan(situation)
        return replace(plan, local_steps=np.ones_like(plan.local_steps), wait_s=np.zeros_like(plan.wait_s))


class Idle(Own):
    def plan(self, situation):
        plan = self.of(situation, np.zeros_like(situation.clients.available))
        return replace(plan, wait_s=np.zeros_like(plan.wait_s))


class Unseeded(Own):
    def plan(self, situation):
        plan, rng = super().plan(situation), np.random.default_rng()
        return replace(plan, quorum=rng.uniform(0.1, 1.0, plan.quorum.shape))


class Remembers(Own):
    def __init__(self):
        self.count = 1

    def plan(self, situation):
        self.count += 1
        return replace(super().plan(situation), quorum=np.full(situation.num_envs, 1.0 / self.count))


class Mixes(Own):
    def plan(self, situation):
        steps = 1 + int(situation.clients.available.sum())
        return plan_for(situation, situation.clients.available, steps)


class ResetsAll(Own):
    def reset(self, envs, seeds, num_clients):
        self.counts = np.zeros(len(envs))

    def plan(self, situation):
        self.counts += 1
        return replace(super().plan(situation), quorum=1.0 / self.counts)


class Peeks(Own):
    def plan(self, situation):
        quorum = np.full(situation.num_envs, 1.0 if situation.future is None else 0.5)
        return replace(super().plan(situation), quorum=quorum)


@pytest.mark.parametrize("name", PLAYABLE)
def test_every_scheduler_passes(name):
    check_scheduler(name)


def test_the_ceiling_passes():
    check_scheduler(make_scheduler("clairvoyant", max_candidates=2, splices=2, mutations=4), decisions=3)


def test_an_object_with_reset_and_plan_passes_in_every_world():
    check_scheduler(Own(), worlds=("quadratic", "volunteers", "phones"), decisions=3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Uninvited, "is not available"),
        (Idle, "stand still"),
        (Unseeded, "a copy of it plans otherwise"),
        (Remembers, "the same seeds give other plans|remembers earlier episodes"),
        (Mixes, "otherwise than the same environment alone"),
        (ResetsAll, "changes what is planned for the others"),
        (Peeks, "reads the future"),
    ],
)
def test_mistakes_are_found(wrong: Callable[[], object], said):
    with pytest.raises(AssertionError, match=said):
        check_scheduler(wrong())


def test_what_is_no_scheduler_is_refused():
    with pytest.raises(ValueError, match="has no plan"):
        check_scheduler(object())
