"""What a federation has given away: a plain statement of the definition, and what may not change it."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.leakage import Exposure, RowScorer, chance_interval, membership_auc, membership_aucs
from frugalfl.fl_core.models import make_model

N, STEPS, ROUNDS = 12, 20, 6
SEEDS = np.array([7, 8, 9])
DATA = load_dataset("digits")
MODEL = make_model("softmax", DATA)


class Tape:
    """Keeps everything that is said."""

    def __init__(self):
        self.messages = []

    def hear(self, messages):
        self.messages.append(messages)


def federation(seeds=SEEDS, sums=False, **settings):
    """Federations that have begun, and who listens to them."""
    core = FederatedCore(DATA, MODEL, len(seeds), N, {"learning_rate": 1.0, "batch_size": 8}, **settings)
    exposure = Exposure(core, RowScorer(DATA, MODEL, "val"), sums)
    restart(core, exposure, np.ones(len(seeds), dtype=bool), seeds)
    return core, exposure


def restart(core, exposure, envs, seeds):
    zones = np.zeros(N, dtype=np.int64)
    for env in np.flatnonzero(envs):
        rows = partition(DATA, N, zones, 1, "iid", np.random.default_rng(int(seeds[env])))
        core.reset(env, rows, int(seeds[env]))
    exposure.begin(envs, seeds)


def train(core, seed=0, rounds=ROUNDS, say=None):
    """Some of the clients train in every round, others in every environment."""
    for index in range(rounds):
        who = np.stack(
            [np.random.default_rng([seed, index, e]).random(N) < 0.6 for e in range(core.num_envs)]
        )
        core.run_round(TrainingOrders(np.where(who, STEPS, 0), round_index=np.full(core.num_envs, index)))
        if say is not None:
            say()


@pytest.mark.parametrize("sums", [False, True])
def test_it_is_the_largest_mean_area_of_all_honest_clients_so_far(sums):
    core, exposure = federation(sums=sums)
    tape = Tape()
    core.listeners = (exposure, tape)
    path = []
    train(core, say=lambda: path.append((exposure.present, exposure.highest)))
    scorer = RowScorer(DATA, MODEL, "val")

    def losses(params, victim):
        return scorer.losses(params[None], [victim.rows])

    # The definition, a client and a message at a time.
    areas = np.full((ROUNDS, len(SEEDS), N), 0.5)
    for victim in exposure.victims:
        assert (DATA.y_train[victim.rows[: victim.members]]).tolist() == (
            DATA.y_val[victim.rows[victim.members :] - DATA.num_rows].tolist()
        )
        drop = np.zeros(victim.rows.size)
        for index, said in enumerate(tape.messages):
            for job in np.flatnonzero((said.env == victim.env) & (said.client == victim.client)):
                sent, back = said.start[job], said.start[job] + said.delta[job]
                if sums:
                    sent, back = said.before[victim.env], said.after[victim.env]
                drop = drop + (losses(sent, victim) - losses(back, victim))
            area = membership_auc(drop[: victim.members], drop[victim.members :])
            areas[index, victim.env, victim.client] = area
    np.testing.assert_allclose([present for present, _ in path], areas.mean(axis=2), rtol=1e-12)
    expected = np.maximum.accumulate(np.maximum(areas.mean(axis=2), 0.5), axis=0)
    np.testing.assert_allclose([highest for _, highest in path], expected, rtol=1e-12)
    assert (np.diff(expected, axis=0) >= 0).all() and expected[-1].max() > 0.51


def test_it_depends_on_an_episodes_own_seed_and_messages_only():
    core, exposure = federation()
    core.listeners = (exposure,)
    train(core)
    whole = exposure.highest
    # Of three rows the middle one begins anew: the others keep what they know of theirs.
    middle = np.array([False, True, False])
    restart(core, exposure, middle, SEEDS)
    assert exposure.highest[1] == 0.5 and (exposure.highest[~middle] == whole[~middle]).all()
    train(core)
    again, alone = federation(SEEDS[:1])
    again.listeners = (alone,)
    train(again)
    assert alone.highest[0] == whole[0] and exposure.highest[1] == whole[1]


def test_whoever_has_never_answered_gives_nothing_away():
    core, exposure = federation()
    core.listeners = (exposure,)
    core.run_round(TrainingOrders(np.zeros((len(SEEDS), N), dtype=np.int64)))
    np.testing.assert_array_equal(exposure.highest, 0.5)
    assert len(exposure.victims) == len(SEEDS) * N


def test_of_shuffled_membership_only_chance_is_left():
    core, exposure = federation()
    core.listeners = (exposure,)
    train(core, rounds=10)
    rng = np.random.default_rng(0)
    members = np.array([victim.members for victim in exposure.victims])
    told = membership_aucs(np.concatenate([victim.drop for victim in exposure.victims]), members)
    shuffled = membership_aucs(
        np.concatenate([rng.permutation(victim.drop) for victim in exposure.victims]), members
    )
    interval = chance_interval(int(members.sum()), int(members.sum()))
    assert abs(shuffled.mean() - 0.5) < interval < told.mean() - 0.5


def test_liars_are_nobody_whose_rows_are_looked_for():
    core = FederatedCore(DATA, MODEL, 1, N)
    core.threaten("sign-flip")
    exposure = Exposure(core, RowScorer(DATA, MODEL, "val"), sums=False)
    rows = partition(DATA, N, np.zeros(N, dtype=np.int64), 1, "iid", np.random.default_rng(0))
    core.reset(0, rows, 0)
    core.mark_liars(0, np.arange(N) < 5)
    exposure.begin(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
    assert sorted(victim.client for victim in exposure.victims) == list(range(5, N))
