"""Data, model and trainer of a node: its part of the simulator's partition."""

from __future__ import annotations

import numpy as np

from ....common.splits import Split
from ....envs.scenario import Scenario
from ....fl_core.data import load_dataset, partition
from ....fl_core.federation import fine_tuned
from ....fl_core.models import make_model
from ....fl_core.remote import LocalNode

_SPLIT_KEY = {"train": 0, "val": 1, "test": 2}


def local_node(scenario: Scenario, split: Split, seed: int, client: int) -> LocalNode:
    """One client of the partition that `FederatedWorld.reset` would draw from this seed.

    A node needs no traces: who lives in which zone and who holds what is a function of scenario, split and
    seed (see `PopulationSource.draw`, whose streams these are).

    Args:
        scenario: the federation's.
        split: as in the coordinator's settings.
        seed: likewise.
        client: which client the node plays.

    Raises:
        ValueError: there is no such client, or the scenario cannot be trained.
    """
    n, hub = scenario.clients, scenario.hub
    if not 0 <= client < n:
        raise ValueError(f"partition-id: {client}, expected 0 to {n - 1}")
    streams = np.random.SeedSequence(seed, spawn_key=(_SPLIT_KEY[split],)).spawn(6)
    people, data = np.random.default_rng(streams[0]), np.random.default_rng(streams[3])
    zone = people.permutation(np.arange(n) % scenario.zones).astype(np.int64)
    dataset = load_dataset(scenario.dataset, split=split)
    dealt = partition(
        dataset,
        n,
        zone,
        scenario.zones,
        scenario.partition,
        data,
        hub_share=hub.share,
        hub_rows_per_client=hub.rows_per_client,
        residency=hub.residency,
    )
    begin = int(dealt.offset[client])
    own_rows = dealt.rows[begin : begin + int(dealt.own[client])]
    training, trainer = scenario.training, scenario.trainer
    whole, base = make_model(scenario.model, dataset), (scenario.trainable, scenario.pretrained, trainer)
    model = fine_tuned(whole, dataset, *base)
    return LocalNode(dataset, model, training, trainer, own_rows, scenario.compression)
