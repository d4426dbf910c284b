"""Oort: its score by hand, who is exploited and explored, and when the pacer moves."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler

N = 20


class Bench:
    """Environments all of whose clients are there; the test says what comes back."""

    def __init__(self, situation_of, rows=1, **changes):
        base = dict(
            available=np.ones(N, dtype=bool), samples_held=np.full(N, 40), samples_sent=np.zeros(N, dtype=int)
        )
        base |= dict(last_loss=np.full(N, np.nan), down_bytes_per_s=np.full(N, 1e8))
        base |= dict(up_bytes_per_s=np.full(N, 1e8), step_s=np.full(N, 1.0))
        self.situation, self.rows = situation_of(0, n=N, round_index=0, **(base | changes)), rows
        self.losses = np.full((1, N), np.nan)
        self.completions = np.zeros((1, N), dtype=np.int64)

    def now(self):
        return self.situation.changed(last_loss=self.losses.copy(), completions=self.completions.copy())

    def answer(self, invited, losses, success=True):
        done = invited & success
        self.completions = self.completions + done
        self.losses = np.where(done, losses, self.losses)


def started(seed=5, **knobs):
    scheduler = make_scheduler("oort", **knobs)
    scheduler.reset(np.ones(1, dtype=bool), np.array([seed]), N)
    return scheduler


def everyone_tried(scheduler, bench, losses):
    """One round in which all take part and report."""
    bench.answer(np.ones((1, N), dtype=bool), losses)
    scheduler.state["tried"][:] = True


def test_score_by_hand(situation_of):
    """(min(U, clip) - min) / (max - min) + sqrt(0.1 ln R / L), times (T / t)^2 for those slower than T."""
    seconds = np.linspace(1.0, 5.0, N)
    bench, scheduler = Bench(situation_of), started(pace_start=0.5)
    losses = np.linspace(0.2, 2.0, N)[::-1].copy()
    everyone_tried(scheduler, bench, losses)
    scheduler.state["rounds"][:] = 9
    scheduler.state["last_round"][0] = np.arange(1, N + 1)
    score, _ = scheduler.scored(bench.now(), seconds[None])
    utility = 40 * losses
    clip = np.quantile(utility, 0.95)
    scaled = (np.minimum(utility, clip) - utility.min()) / (clip - utility.min())
    preferred_s = np.sort(seconds)[round(0.5 * (N - 1))]
    penalty = np.where(seconds > preferred_s, (preferred_s / seconds) ** 2, 1.0)
    expected = (scaled + np.sqrt(0.1 * np.log(10) / np.arange(1, N + 1))) * penalty
    assert score[0] == pytest.approx(expected)


def test_exploration_shrinks_from_most_to_a_fifth(situation_of):
    for variant, decay in (("paper", 0.98), ("code", 0.95)):
        scheduler = started(variant=variant)
        shares = []
        for rounds in (0, 1, 10, 500):
            scheduler.state["rounds"][:] = rounds
            shares.append(float(scheduler.explored_share()[0]))
        assert shares == pytest.approx([0.9, 0.9 * decay, 0.9 * decay**10, 0.2])


def test_places_are_shared_between_known_and_untried(situation_of):
    bench = Bench(situation_of)
    scheduler = started(participants=10, over_selection=1.0, explore_start=0.3, explore_least=0.3)
    known = np.arange(N) < 10
    bench.answer(known[None], np.full(N, 1.0))
    scheduler.state["tried"][0] = known
    invited = scheduler.plan(bench.now()).invited[0]
    assert invited[known].sum() == 7
    assert invited[~known].sum() == 3


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("known", [0, 1, 9, 20])
def test_all_places_are_filled_whoever_is_known(variant, known, situation_of):
    """Also where all the explored are picked, which trips the published code."""
    bench, scheduler = Bench(situation_of), started(participants=12, over_selection=1.0, variant=variant)
    scheduler.state["tried"][0] = np.arange(N) < known
    bench.answer(scheduler.state["tried"].copy(), np.full(N, 1.0))
    assert scheduler.plan(bench.now()).invited.sum() == 12


def test_exploits_large_losses_and_many_samples(situation_of):
    samples = np.where(np.arange(N) < 10, 10, 60)
    bench = Bench(situation_of, samples_held=samples)
    scheduler = started(participants=5, over_selection=1.0, explore_start=0.0, explore_least=0.0)
    losses = np.where(np.arange(N) % 2 == 0, 0.5, 2.0)
    everyone_tried(scheduler, bench, losses)
    counts = sum(scheduler_once(scheduler, bench) for _ in range(100))
    best = (samples == 60) & (losses == 2.0)
    assert counts[best].sum() == counts.sum() == 500


def scheduler_once(scheduler, bench):
    """Who is invited, without anything learned from it."""
    invited = scheduler.plan(bench.now()).invited[0]
    scheduler.state["invited"][:] = False
    scheduler.state["rounds"][:] = 0
    scheduler.state["last_round"][:] = 1
    return invited.astype(int)


def test_stragglers_are_passed_over_as_the_penalty_grows(situation_of):
    step_s = np.where(np.arange(N) < 10, 1.0, 20.0)
    losses = np.where(np.arange(N) < 10, 1.0, 1.2)
    slow = []
    for penalty in (0.0, 2.0):
        bench = Bench(situation_of, step_s=step_s)
        scheduler = started(participants=5, straggler_penalty=penalty, explore_start=0.0, explore_least=0.0)
        everyone_tried(scheduler, bench, losses)
        scheduler.state["rounds"][:] = 1
        slow.append(scheduler.plan(bench.now()).invited[0, 10:].sum())
    assert slow[0] > 0
    assert slow[1] == 0


def test_the_untried_are_explored_by_speed(situation_of):
    step_s = np.where(np.arange(N) < 10, 1.0, 10.0)
    counts = np.zeros(N)
    for seed in range(100):
        scheduler = started(seed, participants=3, over_selection=1.0, explore_start=1.0)
        counts += scheduler.plan(Bench(situation_of, step_s=step_s).now()).invited[0]
    assert counts[:10].sum() > 4 * counts[10:].sum() > 0


def test_a_lost_update_counts_as_average(situation_of):
    bench, scheduler = Bench(situation_of), started(participants=20, over_selection=1.0)
    losses, success = np.linspace(1, 2, N), np.arange(N) != 7
    plan = scheduler.plan(bench.now())
    assert plan.invited.all()
    bench.answer(plan.invited, losses, success)
    scheduler.plan(bench.now())
    utility = scheduler.utility(bench.now())[0]
    assert utility[success] == pytest.approx(40 * losses[success])
    assert utility[7] == pytest.approx(40 * losses[success].mean())


@pytest.mark.parametrize(
    ("variant", "before", "after", "moves"),
    [
        ("paper", 2.0, 1.0, 0.05),
        ("paper", 1.0, 2.0, 0.0),
        ("code", 1.0, 1.02, 0.05),
        ("code", 1.0, 1.5, 0.0),
        ("code", 1.0, 9.0, -0.05),
    ],
)
def test_pacer_by_variant(variant, before, after, moves, situation_of):
    """Paper: T grows when less was gathered. Code: T grows on a plateau and shrinks on a jump."""
    bench = Bench(situation_of)
    scheduler = started(participants=20, over_selection=1.0, pacer_rounds=5, pace_start=0.3, variant=variant)
    for index in range(11):
        plan = scheduler.plan(bench.now())
        bench.answer(plan.invited, np.full(N, before if index < 5 else after))
    assert scheduler.state["pace"][0] == pytest.approx(0.3 + moves)


def test_invites_more_than_it_waits_for(situation_of):
    plan = started(participants=10).plan(Bench(situation_of).now())
    assert plan.invited.sum() == 13
    assert np.ceil(plan.quorum[0] * 13) == 10
    assert plan.weights is None
