"""Splits with data of their own: no row is in two, and each is like the whole."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from own_worlds import plain

from frugalfl.agents.deploy.nodes import local_node
from frugalfl.common.splits import SPLITS
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.data import Dataset, load_dataset
from frugalfl.fl_core.federation import TrainingOrders
from frugalfl.fl_core.remote import RemoteCore
from frugalfl.fl_core.testing import check_dataset

NATURAL = {"kind": "synthetic", "num_clients": 7, "num_features": 5, "min_rows": 20}


def rows_of(dataset: Dataset, part: str) -> set[bytes]:
    x, y = dataset.rows(part)
    return {row.tobytes() + label.tobytes() for row, label in zip(x, y, strict=True)}


@pytest.mark.parametrize("of", ["digits", NATURAL], ids=["digits", "natural"])
def test_no_row_is_in_two_splits_or_lost(of):
    check_dataset({"kind": "apart", "of": of})
    whole = load_dataset(of, 3)
    thirds = [load_dataset({"kind": "apart", "of": of}, 3, split) for split in SPLITS]
    for part in ("train", "val", "test"):
        sets = [rows_of(third, part) for third in thirds]
        assert set.union(*sets) == rows_of(whole, part)
        assert not any(one & two for one, two in combinations(sets, 2))
        assert sum(third.rows(part)[1].size for third in thirds) == whole.rows(part)[1].size
    for one in SPLITS:
        for other in SPLITS:
            if one != other:
                mine, theirs = thirds[SPLITS.index(one)], thirds[SPLITS.index(other)]
                assert not rows_of(mine, "val") & rows_of(theirs, "val")


def test_every_split_is_like_the_whole():
    for split in SPLITS:
        third = load_dataset({"kind": "apart"}, split=split)
        for part in ("train", "val", "test"):
            whole = np.bincount(load_dataset("digits").rows(part)[1], minlength=10)
            assert np.abs(np.bincount(third.rows(part)[1], minlength=10) - whole / 3).max() < 1
        assert third.num_classes == 10 and third.shape == (1, 8, 8) and split in third.name


def test_natural_clients_stay_whole_and_are_numbered_anew():
    whole = load_dataset(NATURAL, 3)
    home = {row.tobytes(): int(who) for row, who in zip(whole.x_train, whole.natural_client, strict=True)}
    seen: list[int] = []
    for split in SPLITS:
        third = load_dataset({"kind": "apart", "of": NATURAL}, 3, split)
        born = np.array([home[row.tobytes()] for row in third.x_train])
        assert sorted(set(third.natural_client.tolist())) == list(range(len(set(born.tolist()))))
        assert len({*zip(born.tolist(), third.natural_client.tolist(), strict=True)}) == len(
            set(born.tolist())
        )
        seen += sorted(set(born.tolist()))
    assert sorted(seen) == list(range(7))


def test_other_data_sets_are_the_same_in_all_splits_and_worlds_say_which_they_play():
    assert rows_of(load_dataset("digits", split="test"), "val") == rows_of(load_dataset("digits"), "val")
    scenario = plain("volunteers", dataset={"kind": "apart", "of": "digits"})
    data = {split: FederatedWorld(scenario, 1, split).source.dataset for split in SPLITS}
    assert not rows_of(data["train"], "val") & rows_of(data["test"], "val")
    assert not rows_of(data["val"], "train") & rows_of(data["test"], "train")


def test_a_node_trains_on_the_rows_of_its_split():
    scenario = plain("volunteers", clients=6, dataset={"kind": "apart", "of": "digits"})
    for split in SPLITS:
        source = PopulationSource(scenario, split)
        draw, steps = source.draw(5), np.eye(1, 6, 1, dtype=np.int32) * 5
        core = source.make_core(1)
        remote = RemoteCore(source.dataset, source.model, 6, training=source.training)
        for each in (core, remote):
            each.reset(0, draw.task, draw.model_seed)
        loss = core.run_round(TrainingOrders(steps)).reported_loss[0, 1]
        order = remote.orders(steps[0], 0 * steps[0], 0)[1]
        update, _ = local_node(scenario, split, 5, 1).train(order)
        assert update.loss == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"kind": "apart", "of": "digit"}, "did you mean 'digits'"),
        ({"kind": "apart", "on": "digits"}, "dataset.on: unknown field"),
    ],
)
def test_nonsense_is_refused_when_the_document_is_read(dataset, message):
    with pytest.raises(ValueError, match=message):
        plain("volunteers", dataset=dataset)
