"""Properties of every partition, by hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import ClientRows, load_dataset, partition

DIGITS = load_dataset("digits")
SYNTHETIC = load_dataset({"kind": "synthetic", "num_clients": 12}, 0)
SPECS = [
    "iid",
    {"kind": "iid", "size_sigma": 1.0},
    {"kind": "dirichlet", "alpha": 0.1},
    {"kind": "dirichlet", "alpha": 0.1, "size_sigma": 2.0},
    {"kind": "shards", "per_client": 2},
    {"kind": "zone", "zone_alpha": 0.2, "client_alpha": 0.5, "size_sigma": 0.5},
    "natural",
]


@settings(max_examples=60, deadline=None)
@given(
    spec=st.sampled_from(SPECS),
    num_clients=st.integers(1, 60),
    num_zones=st.integers(1, 5),
    hub_share=st.sampled_from([0.0, 0.05, 0.5, 0.93, 1.0]),
    hub_rows=st.sampled_from([0, 1, 20, 5000]),
    residency=st.sampled_from(["shared", "zone"]),
    seed=st.integers(0, 1000),
)
def test_rows_are_dealt_out_as_promised(spec, num_clients, num_zones, hub_share, hub_rows, residency, seed):
    data = SYNTHETIC if spec == "natural" else DIGITS
    num_clients = min(num_clients, 12) if spec == "natural" else num_clients
    rng = np.random.default_rng(seed)
    zone = rng.integers(0, num_zones, num_clients)
    dealt = partition(data, num_clients, zone, num_zones, spec, rng, hub_share, hub_rows, residency)
    sequences = [dealt.rows[a:b] for a, b in zip(dealt.offset[:-1], dealt.offset[1:], strict=True)]
    own = [row for rows, count in zip(sequences, dealt.own, strict=True) for row in rows[:count]]
    sent = [rows[count:] for rows, count in zip(sequences, dealt.own, strict=True)]
    at_hub = round(hub_share * data.num_rows)

    assert len(own) == len(set(own)) == data.num_rows - at_hub  # every row that is not at the hub: one client
    assert all(len(set(rows)) == len(rows) for rows in sequences)  # nobody meets a row twice
    assert not set(own) & {row for rows in sent for row in rows}
    assert all(len(rows) <= hub_rows for rows in sent)
    if hub_share < 1:
        assert dealt.own.min() >= 1
    assert dealt.target_weight.sum() == pytest.approx(1)
    assert (dealt.target_weight >= 0).all()
    if residency == "zone":
        flat = [row for rows in sent for row in rows]
        assert len(flat) == len(set(flat))  # exclusive
        if hub_rows >= data.num_rows:
            assert len(flat) == at_hub
            assert np.allclose(dealt.target_weight, dealt.capacity / data.num_rows)
    else:
        assert all(len(rows) == min(hub_rows, at_hub) for rows in sent)


def label_mix(dealt, groups):
    """Label frequencies of the rows of each group of clients."""
    client = np.repeat(np.arange(dealt.own.size), np.diff(dealt.offset))
    labels = DIGITS.y_train[dealt.rows]
    mix = np.array([np.bincount(labels[np.isin(client, g)], minlength=10) for g in groups], dtype=float)
    return mix / mix.sum(axis=1, keepdims=True)


def test_zones_differ_in_label_mix_and_iid_zones_do_not():
    zone = np.repeat(np.arange(4), 10)
    groups = [np.flatnonzero(zone == z) for z in range(4)]
    spread = {
        name: label_mix(partition(DIGITS, 40, zone, 4, name, np.random.default_rng(0)), groups)
        .std(axis=0)
        .mean()
        for name in ("zone", "iid")
    }
    assert spread["zone"] > 0.05
    assert spread["zone"] > 4 * spread["iid"]


def test_hub_rows_follow_their_zone_only_under_zone_residency():
    zone = np.repeat(np.arange(3), 5)
    groups = [np.flatnonzero(zone == z) for z in range(3)]
    mixes = {}
    for residency in ("zone", "shared"):
        rng = np.random.default_rng(1)
        dealt = partition(DIGITS, 15, zone, 3, "zone", rng, 1.0, 5000, residency)
        assert dealt.own.sum() == 0
        mixes[residency] = label_mix(dealt, groups).std(axis=0).mean()
    assert mixes["zone"] > 0.05
    assert mixes["shared"] < 1e-9


def test_equal_sizes_unless_skew_is_asked_for():
    zone = np.zeros(20, dtype=int)
    for name in ("iid", "dirichlet", "zone"):
        equal = partition(DIGITS, 20, zone, 1, name, np.random.default_rng(2)).own
        spec = {"kind": name, "size_sigma": 1.5}
        skewed = partition(DIGITS, 20, zone, 1, spec, np.random.default_rng(2)).own
        assert skewed.std() > 3 * equal.std()


def test_shards_give_few_labels():
    dealt = partition(DIGITS, 50, np.zeros(50, dtype=int), 1, "shards", np.random.default_rng(0))
    mix = label_mix(dealt, [[k] for k in range(50)])
    assert ((mix > 0).sum(axis=1) <= 4).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_clients": 2000}, "num_clients: 2000, expected at most the 1078 rows"),
        ({"num_clients": 0}, "num_clients: 0"),
        ({"hub_share": 1.5}, "hub_share: 1.5"),
        ({"hub_rows_per_client": -1}, "hub_rows_per_client: -1"),
        ({"residency": "moon"}, "residency: 'moon'"),
        ({"spec": "dirichelt"}, "did you mean 'dirichlet'"),
        ({"spec": {"kind": "dirichlet", "alpha": 0}}, "alpha: 0"),
        ({"spec": "natural"}, "no natural clients"),
        ({"num_zones": 0}, "zone:"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    full = {"num_clients": 5, "num_zones": 1, "spec": "iid", "rng": np.random.default_rng(0)} | arguments
    zone = np.zeros(full["num_clients"], dtype=int)
    with pytest.raises(ValueError, match=words) as caught:
        partition(DIGITS, zone=zone, **full)
    assert "\n" not in str(caught.value)


def test_nobody_is_dealt_rows_of_a_client_that_it_is_not():
    zone = np.zeros(13, dtype=int)
    with pytest.raises(ValueError, match="clients: 13, expected at most the 12 at which rows"):
        partition(SYNTHETIC, 13, zone, 1, "natural", np.random.default_rng(0))


def rows_of(labels_by_client, weight=None, hub=0):
    """A partition in which clients own rows of these labels, in order, and may be sent the last `hub`."""
    sizes = np.array([len(labels) for labels in labels_by_client])
    weight = sizes / sizes.sum() if weight is None else np.asarray(weight)
    offset = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.arange(offset[-1], dtype=np.int32)
    return ClientRows(rows, offset, (sizes - hub).astype(np.int32), weight), np.concatenate(labels_by_client)


@pytest.mark.parametrize(
    ("clients", "weight", "hub", "expected"),
    [
        ([[0, 1], [0, 1], [1, 0]], None, 0, 0.0),
        ([[0, 0], [1, 1]], None, 0, 0.5),  # each is half of the whole away
        ([[0, 0, 0], [1]], None, 0, 0.75 * 0.25 + 0.25 * 0.75),
        ([[0], [1], [2], [3]], None, 0, 0.75),
        ([[0, 0], [0, 1]], [0.5, 0.5], 0, 0.25),
        ([[0, 0, 1, 1], [1, 1, 0, 0]], [0.5, 0.5], 2, 0.5),  # what may be sent is not theirs
        ([[0, 0], [1, 1]], [0.5, 0.5], 2, 0.5),  # who owns nothing stands for what it may be sent
        ([[0], [1]], [1.0, 0.0], 0, 0.0),  # who does not count is not seen
    ],
)
def test_label_skew_is_the_mean_total_variation(clients, weight, hub, expected):
    dealt, labels = rows_of(clients, weight, hub)
    assert dealt.label_skew(labels, 4) == pytest.approx(expected)


@given(data=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=6))
def test_label_skew_is_its_definition(data):
    dealt, labels = rows_of(data)
    mixes = [np.bincount(each, minlength=6) / len(each) for each in data]
    whole = np.bincount(labels, minlength=6) / len(labels)
    skew = sum(
        len(each) / len(labels) * np.abs(mix - whole).sum() / 2 for each, mix in zip(data, mixes, strict=True)
    )
    assert dealt.label_skew(labels, 6) == pytest.approx(skew)
    assert np.allclose(dealt.label_mix(labels, 6), mixes)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"kind": "dirichlet", "alpha": [0.01, 100.0]}, "alpha"),
        ({"kind": "zone", "zone_alpha": [0.01, 100.0], "client_alpha": 100.0}, "zone_alpha"),
        ({"kind": "zone", "zone_alpha": 100.0, "client_alpha": [0.03, 30.0]}, "client_alpha"),
    ],
)
def test_concentrations_are_drawn_per_episode(spec, name):
    zone = np.arange(20) % 4
    skew = lambda spec, seed: partition(DIGITS, 20, zone, 4, spec, np.random.default_rng(seed)).label_skew(
        DIGITS.y_train, DIGITS.num_classes
    )
    drawn = np.array([skew(spec, seed) for seed in range(24)])
    low, high = (np.mean([skew(spec | {name: end}, seed) for seed in range(4)]) for end in spec[name])
    assert low > high + 0.2
    assert drawn.max() > high + 0.7 * (low - high) and drawn.min() < high + 0.3 * (low - high)
    assert skew(spec, 5) == drawn[5]
