"""What clients are asked, what they keep of it, and how it drifts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.data.streams import (
    Drift,
    Memories,
    Memory,
    RequestRows,
    StreamTask,
    draw_drift,
    drifting_mixes,
    with_concepts,
)
from frugalfl.fl_core.data.streams.memory_kernels import BALANCED, FIFO, RESERVOIR, STATIC, remember
from frugalfl.fl_core.data.streams.requests_kernels import rows_asked, which_labelled

LABELS = np.arange(1000, dtype=np.int32) % 10


def kept_after(rule, offered, rows=40, seeds=range(1), labels=LABELS):
    """The memories of one client in E environments after rows 0, 1, ... have come, a second apart."""
    count = len(seeds)
    memories = Memories(Memory(rule=rule, rows=rows), count, 1, labels, 10)
    for env, seed in enumerate(seeds):
        memories.reset(env, np.uint64(seed))
    for env in range(count):
        which = np.arange(offered)
        nobody = np.zeros(offered, dtype=np.int64)
        memories.offer(nobody + env, nobody, which.astype(np.int32), which.astype(np.float64))
    return memories


def test_fifo_keeps_the_last_and_static_the_first():
    assert set(kept_after("fifo", 100).tables.kept[0, 0]) == set(range(60, 100))
    assert set(kept_after("static", 100).tables.kept[0, 0]) == set(range(40))


def test_whatever_the_rule_a_memory_with_room_keeps_everything_in_order():
    for rule in ("fifo", "reservoir", "static", "balanced"):
        memories = kept_after(rule, 30)
        assert memories.count[0, 0] == 30
        assert memories.tables.kept[0, 0, :30].tolist() == list(range(30))


def test_a_reservoir_is_a_uniform_sample():
    memories = kept_after("reservoir", 200, rows=20, seeds=range(400))
    found = np.bincount(memories.tables.kept.ravel(), minlength=200)
    # Rows of one memory exclude each other, which makes the counts more even than independent ones.
    assert stats.chisquare(found).pvalue > 0.001
    assert stats.chisquare(found.reshape(10, 20).sum(axis=1)).pvalue > 0.001


def test_ages_are_those_of_their_rules():
    times = np.full(200, 400.0)
    ages = {
        rule: kept_after(rule, 400, rows=20, seeds=range(200)).mean_age_s(times)
        for rule in ("fifo", "reservoir", "static")
    }
    assert np.allclose(ages["fifo"], (20 + 1) / 2)  # rows that came 1, 2, ... 20 seconds ago
    assert np.allclose(ages["static"], 400 - 19 / 2)
    assert np.isclose(ages["reservoir"].mean(), 400 / 2, rtol=0.05)


def test_a_balanced_memory_holds_as_much_of_rare_labels_as_of_others():
    rare = np.where(np.arange(1000) % 50 == 0, 1, 0).astype(np.int32)
    memories = kept_after("balanced", 1000, labels=rare)
    found = np.bincount(rare[memories.tables.kept[0, 0]], minlength=2)
    assert found.tolist() == [20, 20]
    plain = kept_after("reservoir", 1000, labels=rare)
    assert np.bincount(rare[plain.tables.kept[0, 0]], minlength=2)[1] < 5


def test_balanced_keeps_a_uniform_sample_of_every_label():
    labels = (np.arange(1000) % 4 == 0).astype(np.int32)  # a quarter of them
    memories = kept_after("balanced", 400, labels=labels, rows=20, seeds=range(600))
    found = np.bincount(memories.tables.kept.ravel(), minlength=400)
    for label in (0, 1):
        mine = found[labels[:400] == label]
        assert stats.chisquare(mine.reshape(10, -1).sum(axis=1)).pvalue > 0.001


@pytest.mark.parametrize("rule", [FIFO, RESERVOIR, STATIC, BALANCED])
def test_memories_are_what_their_python_says(rule):
    rng = np.random.default_rng(4)
    order = np.sort(rng.integers(0, 6, 300))  # two environments of three clients, one after another
    rows = rng.integers(0, 1000, 300).astype(np.int32)
    found = []
    for function in (remember, remember.python):
        memories = Memories(Memory(rows=12), 2, 3, LABELS, 10)
        with np.errstate(over="ignore"):
            function(rule, np.array([3, 4], dtype=np.uint64), order // 3, order % 3, rows,
                     np.arange(300.0), LABELS, memories.tables)  # fmt: skip
        found.append(memories.tables)
    assert all(np.array_equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("mixed", [True, False])
def test_requests_are_what_their_python_says(mixed):
    _, _, _, rows = requests_of(mixed)
    env, client, begin = np.array([0, 1, 1]), np.array([1, 0, 3]), np.array([5, 0, 90])
    arguments = (env, client, begin, np.array([0, 20, 20, 70]), np.zeros(3, int), mixed, rows._sources)
    with np.errstate(over="ignore"):
        assert np.array_equal(rows_asked(*arguments), rows_asked.python(*arguments))
        labelled = (rows._sources.seeds, env, client, begin, 0.5)
        assert np.array_equal(which_labelled(*labelled), which_labelled.python(*labelled))


def test_who_forgets_begins_anew():
    memories = kept_after("reservoir", 100)
    memories.forget(np.ones((1, 1), dtype=bool))
    assert memories.count[0, 0] == 0 and memories.mean_age_s(np.array([5.0]))[0, 0] == 0
    again = np.arange(10, dtype=np.int32)
    memories.offer(np.zeros(10, int), np.zeros(10, int), again, again.astype(float))
    assert memories.tables.kept[0, 0, :10].tolist() == again.tolist()


def test_concepts_are_copies_whose_row_numbers_name_them():
    digits = load_dataset("digits")
    shifted = with_concepts(digits, Drift(kind="shift"))
    n = digits.num_rows
    assert shifted.num_rows == 8 * n and np.array_equal(shifted.x_train[:n], digits.x_train)
    image, moved = digits.x_train[7].reshape(8, 8), shifted.x_train[3 * n + 7].reshape(8, 8)
    assert np.array_equal(moved, np.roll(image, 3, axis=1))
    assert np.array_equal(shifted.y_train, np.tile(digits.y_train, 8))
    swapped = with_concepts(digits, Drift(kind="swap", concepts=4))
    assert np.array_equal(swapped.x_train[n : 2 * n], digits.x_train)
    for concept in range(1, 4):
        meaning = swapped.y_train[concept * n : (concept + 1) * n]
        assert 0.3 < (meaning != digits.y_train).mean() < 0.5
        assert np.array_equal(np.bincount(meaning) > 0, np.bincount(digits.y_train) > 0)
    assert with_concepts(digits, Drift(kind="mix")) is digits


def test_drifts_come_at_their_rate_and_change_something():
    rng, zone = np.random.default_rng(1), np.arange(12) % 3
    drawn = [draw_drift(Drift(kind="shift", mean_h=4), zone, 3, 48 * 3600.0, rng) for _ in range(200)]
    counts = [np.isfinite(each.times_s[0]).sum() for each in drawn]
    assert np.isclose(np.mean(counts), 12, rtol=0.1)
    for each in drawn[:20]:
        assert (each.concept[:, 0] == 0).all()
        assert (np.diff(each.concept, axis=1) != 0).all()
        assert (each.times_s == each.times_s[0]).all() and (np.diff(each.times_s, axis=1) > 0).all()


def test_scope_says_whose_drift_it_is():
    rng, zone = np.random.default_rng(1), np.arange(12) % 3
    zones = draw_drift(Drift(kind="shift", scope="zone"), zone, 3, 1e6, rng)
    assert all((zones.times_s[zone == z] == zones.times_s[zone == z][0]).all() for z in range(3))
    assert len(np.unique(zones.times_s[:, 0])) == 3
    each = draw_drift(Drift(kind="swap", scope="client"), zone, 3, 1e6, rng)
    assert len(np.unique(each.times_s[:, 0])) == 12


def test_staggered_clients_follow_the_same_concepts_each_at_its_time():
    rng, zone = np.random.default_rng(1), np.zeros(9, dtype=int)
    found = draw_drift(Drift(kind="staggered", mean_h=6, spread_h=2), zone, 1, 48 * 3600.0, rng)
    assert (found.concept == found.concept[0]).all()
    assert len(np.unique(found.times_s[:, 0])) == 9
    spread = found.times_s.max(axis=0) - found.times_s.min(axis=0)
    assert (spread[:1] <= 2 * 3600.0).all()
    assert (np.diff(found.times_s, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"kind": "shift", "spread_h": 2}, "spread_h"),
        ({"kind": "staggered", "scope": "zone"}, "scope"),
        ({"kind": "shift", "concepts": 1}, "concepts"),
    ],
)
def test_settings_that_do_nothing_are_refused(settings, field):
    with pytest.raises(ValueError, match=field):
        Drift(**settings)


def requests_of(mixed, mixes=None, clients=4):
    digits = load_dataset("digits")
    rng = np.random.default_rng(5)
    zone = np.zeros(clients, dtype=int)
    dealt = partition(digits, clients, zone, 1, {"kind": "dirichlet", "alpha": 0.3}, rng)
    own = dealt.label_mix(digits.y_train, 10)
    rows = RequestRows(digits, 2, clients, mixed)
    task = StreamTask(dealt, own[:, None] if mixes is None else mixes(own))
    for env in range(2):
        rows.reset(env, task, np.uint64(env + 1))
    return digits, dealt, own, rows


def test_a_request_is_a_function_of_its_client_and_number():
    _, _, _, rows = requests_of(mixed=True)
    env, client = np.array([0, 1]), np.array([2, 2])
    whole = rows.asked(env, client, np.array([0, 0]), np.array([0, 50, 100]), np.zeros(2, int))
    assert not np.array_equal(whole[:50], whole[50:])  # other seeds
    parts = rows.asked(env[:1], client[:1], np.array([20]), np.array([0, 10]), np.zeros(1, int))
    assert np.array_equal(parts, whole[20:30])


def test_mixed_requests_have_the_clients_label_mix():
    digits, _, own, rows = requests_of(mixed=True)
    for client in range(4):
        asked = rows.asked(
            np.array([0]), np.array([client]), np.array([0]), np.array([0, 20_000]), np.zeros(1, int)
        )
        found = np.bincount(digits.y_train[asked], minlength=10) / 20_000
        assert np.abs(found - own[client]).max() < 0.02
        one = np.bincount(asked, minlength=digits.num_rows)[digits.y_train == own[client].argmax()]
        assert stats.chisquare(one).pvalue > 0.001  # rows of a label are asked alike


def test_own_requests_come_in_the_order_of_the_partition_and_again():
    _, dealt, _, rows = requests_of(mixed=False)
    own = dealt.rows[dealt.offset[1] : dealt.offset[2]]
    asked = rows.asked(
        np.array([0]), np.array([1]), np.array([0]), np.array([0, own.size + 3]), np.zeros(1, int)
    )
    assert np.array_equal(asked, np.concatenate([own, own[:3]]))


def test_a_mix_that_drifts_exchanges_half_of_it():
    rng = np.random.default_rng(2)

    def two_stages(own):
        episode = draw_drift(Drift(kind="mix", mean_h=20), np.zeros(4, int), 1, 30 * 3600.0, rng)
        return drifting_mixes(own, episode, rng)

    digits, _, own, rows = requests_of(mixed=True, mixes=two_stages)
    assert np.allclose(rows.label_mix()[0], own)
    later = rows.asked(np.array([0]), np.array([0]), np.array([0]), np.array([0, 20_000]), np.array([1]))
    found = np.bincount(digits.y_train[later], minlength=10) / 20_000
    halves = [0.5 * own[0] + 0.5 * own[k] for k in range(4)]
    assert min(np.abs(found - half).max() for half in halves) < 0.02


def test_a_share_of_the_labels_is_ever_known():
    _, _, _, rows = requests_of(mixed=True)
    env, client, number = np.zeros(10_000, int), np.zeros(10_000, int), np.arange(10_000)
    assert rows.labelled(env, client, number, 1.0).size == 10_000
    known = rows.labelled(env, client, number, 0.3)
    assert 0.27 < known.size / 10_000 < 0.33
    assert np.array_equal(rows.labelled(env[50:90], client[50:90], number[50:90], 0.3) + 50,
                          known[(known >= 50) & (known < 90)])  # fmt: skip


def test_data_that_have_no_class_each_are_refused():
    rows, times = np.zeros((4, 2), np.float32), np.ones(4)
    data = Dataset("s", *(rows, np.array([0, 1, 0, 1])) * 3, num_classes=2, times=(times, times, times))
    with pytest.raises(ValueError, match="drift: shift"):
        with_concepts(data, Drift(kind="shift"))
