"""Oracles of answers: thresholds of calibrated models, unbiased estimates, energy by load, ladders."""

import numpy as np
import pytest

from frugalfl.envs.serving.ladders import PROFILES, Answers, Hardware, Models, RealAnswers, trained_ladder

NO_HUB = np.zeros(1)


def calibrated(rows, rng):
    """A model that is right as often as it believes, and a hub that is always right."""
    sure = rng.uniform(0.5, 1.0, rows)
    right = np.stack([rng.random(rows) < sure, np.ones(rows, dtype=bool)])[None]
    confidence = np.stack([sure, np.ones(rows)])[None].astype(np.float32)
    return Answers(np.zeros(rows, dtype=np.int64), right, confidence, np.where(right, 0, 1))


def one_cell(answers, threshold, requests, room, rows_run, pool=None, first=0, seed=1):
    """What comes of so many requests of one zone and task, all answered by a slot with rung 0."""
    levels = np.array([0.0, 0.5, 0.7, 0.9])
    real = RealAnswers(answers, rows_run, levels)
    pool = np.arange(answers.label.size) if pool is None else pool
    statistics = real.statistics(
        pool[None, None],
        np.array([seed]),
        np.full((1, 1, 1), first),
        np.full((1, 1, 1), float(requests)),
        np.full((1, 1), threshold),
    )
    slots = np.full((1, 1, 1), float(requests))
    return real.given(statistics, slots, np.zeros((1, 1, 1)), np.zeros((1, 1), dtype=np.int64), room)


@pytest.mark.parametrize("price", [10.0, 20.0, 35.0])
def test_a_calibrated_model_asks_if_its_doubt_is_dearer_than_the_hub(price):
    """1 - p > price / 100: no other threshold nets more."""
    answers = calibrated(20_000, np.random.default_rng(0))
    levels = np.arange(0.5, 1.001, 0.05)
    net = []
    for threshold in levels:
        given = one_cell(answers, threshold, 4096, np.array([1e9]), 4096)
        net.append(100 * given.right.sum() - price * given.asked.sum())
    assert levels[int(np.argmax(net))] == pytest.approx(1 - price / 100, abs=0.051)


def test_a_hub_without_room_leaves_slots_their_own_answers():
    answers = calibrated(5000, np.random.default_rng(1))
    alone, none = one_cell(answers, 0.0, 2000, NO_HUB, 2000), one_cell(answers, 0.9, 2000, NO_HUB, 2000)
    np.testing.assert_allclose(none.right, alone.right)
    some = one_cell(answers, 0.9, 2000, np.array([300.0]), 2000)
    everything = one_cell(answers, 0.9, 2000, np.array([1e9]), 2000)
    assert some.asked.sum() == pytest.approx(300)
    share = 300 / everything.asked.sum()
    np.testing.assert_allclose(some.right, alone.right + share * (everything.right - alone.right))


def test_confidence_bins_say_what_was_asked_and_agreed():
    answers = calibrated(5000, np.random.default_rng(2))
    given = one_cell(answers, 0.7, 3000, np.array([1e9]), 3000)
    answered, asked, agreed = given.bins[:, 0, 0]
    assert answered.sum() == pytest.approx(3000)
    np.testing.assert_allclose(asked[:2], answered[:2])
    assert asked[2:].sum() == 0 and given.asked.sum() == pytest.approx(asked.sum())
    assert (agreed <= asked + 1e-9).all() and agreed[1] / asked[1] == pytest.approx(0.6, abs=0.05)


@pytest.fixture(scope="module")
def ladder():
    return trained_ladder(Models(steps=60, copies=2))


def test_32_rows_estimate_a_cell_without_bias(ladder):
    """Oracle 9: the mean over many steps is the pool's, and one cell's standard error at most .09."""
    answers, pool = ladder.asked["train"], np.arange(0, 400)
    true = answers.right[0, 0, pool].mean()
    found = np.array(
        [
            one_cell(answers, 0.0, 1000, NO_HUB, 32, pool, first=1000 * step, seed=step % 7).right.sum()
            for step in range(400)
        ]
    )
    error = found.std() / 1000
    assert error <= 0.09
    assert abs(found.mean() / 1000 - true) < 4 * error / np.sqrt(found.size)


def test_few_requests_are_all_answered_really(ladder):
    answers = ladder.asked["train"]
    few = one_cell(answers, 0.0, 20, NO_HUB, 32)
    assert few.right.sum() == pytest.approx(np.rint(few.right.sum()))
    same = one_cell(answers, 0.0, 20, NO_HUB, 4096)
    np.testing.assert_allclose(few.right, same.right)


def test_joules_are_the_published_ones_and_a_power_law_between():
    """Oracle 8."""
    hardware = Hardware(ms=(10.0,), concurrency=64, batches=(1, 8, 64), joules=((80.0, 20.0, 10.0),))
    np.testing.assert_allclose(hardware.joules_at(np.array([1.0, 8.0, 64.0]))[:, 0], [80.0, 20.0, 10.0])
    np.testing.assert_allclose(hardware.joules_at(np.array([0.5, 1000.0]))[:, 0], [80.0, 10.0])
    assert hardware.joules_at(np.array(np.sqrt(8.0)))[0] == pytest.approx(40.0)
    for name in PROFILES:
        if name not in ("own", "measured", "sized"):  # these have no figures of their own
            for hardware in PROFILES.make(name).hardware.values():
                found = hardware.joules_at(np.array(hardware.batches, dtype=float))
                np.testing.assert_allclose(found, np.array(hardware.joules).T)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"joules": ((1.0,), (1.0,))}, "joules: .* expected for each of 1 rungs"),
        ({"batches": (8, 1), "joules": ((1.0, 2.0),)}, "batches: .* expected increasing"),
    ],
)
def test_hardware_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Hardware(**{"ms": (10.0,), "joules": ((1.0,),), **changes})


def test_larger_models_know_more_and_no_row_is_asked_that_was_learned(ladder):
    for answers in (ladder.known, *ladder.asked.values()):
        rungs = answers.accuracy.mean(axis=0)
        assert rungs[0] < rungs[1] < rungs[2] and rungs[4] > rungs[1]
    whole = trained_ladder(Models(noise=0, copies=1, steps=1))
    sizes = [whole.asked[split].label.size for split in ("train", "val", "test")]
    assert sizes[0] < 1078 / 3 and sizes[1] + whole.known.label.size == 360 and sizes[2] == 359


def test_confidence_is_the_chance_of_the_answer(ladder):
    answers = ladder.asked["test"]
    assert (answers.confidence <= 1).all() and (answers.confidence[1:] >= 0.5 - 1e-6).all()
    assert set(np.unique(answers.choice[0])) <= set(range(10))


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ({"questions": {"big": (12,)}}, "questions: big: .* expected labels below 10"),
        ({"questions": {"any": tuple(range(10))}}, "questions: any: .* not all of them"),
        ({"rungs": ({"pool": 3},)}, "pool: 3, expected a divisor"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(models, said):
    with pytest.raises(ValueError, match=said):
        trained_ladder(Models(steps=1, copies=1, **models))
