"""Data, model and trainer of a node: its part of the simulator's partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Ints
from ....common.splits import Split
from ....envs.episode import SPLIT_KEYS, StreamSource
from ....envs.scenario import Scenario
from ....fl_core.data import ClientRows, Dataset, load_dataset, partition
from ....fl_core.federation import StreamCore, fine_tuned
from ....fl_core.models import Model, make_model
from ....fl_core.remote import LocalNode, StreamDay
from ....traces.arrivals import ArrivalBatch
from .own_data import with_own_rows


def own_node(scenario: Scenario, split: Split, node_config: Mapping[str, object]) -> LocalNode:
    """A client that trains on rows of its own machine; see `with_own_rows`.

    Raises:
        ValueError: its rows are not like the federation's.
    """
    dataset = load_dataset(scenario.dataset, split=split)
    own = with_own_rows(dataset, node_config)
    every_row = np.arange(own.num_rows)
    return LocalNode(
        own, _model(scenario, dataset), scenario.training, scenario.trainer, every_row, scenario.compression
    )


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
    drawn = _draw(scenario, split, seed, client)
    begin = int(drawn.dealt.offset[client])
    own_rows = drawn.dealt.rows[begin : begin + int(drawn.dealt.own[client])]
    training, trainer = scenario.training, scenario.trainer
    return LocalNode(drawn.dataset, drawn.model, training, trainer, own_rows, scenario.compression)


@dataclass(frozen=True)
class LocalStream:
    """What a client is asked, and when.

    Attributes:
        core: the simulator's, of which one client is played; its model is the untrained one.
        arrivals: when requests come.
        drift: int64 `[D]`, number of the client's first request in each next concept.
        concept: int64 `[D + 1]`, these.
    """

    core: StreamCore
    arrivals: ArrivalBatch
    drift: Ints
    concept: Ints


def local_stream(scenario: Scenario, split: Split, seed: int, client: int, day: StreamDay) -> LocalStream:
    """What `FederatedWorld.reset` would have one client asked; arguments as of `local_node`.

    Args:
        scenario: one with arrivals.
        split: as in the coordinator's settings.
        seed: likewise.
        client: which client the node plays.
        day: what depends on the coordinator's traces.

    Raises:
        ValueError: there is no such client, or the scenario cannot be played.
    """
    drawn = _draw(scenario, split, seed, client)
    source = StreamSource(scenario, drawn.dataset, split, SPLIT_KEYS[split])
    offsets = np.array(day.utc_offset_h)
    asked = source.draw(seed, day.start_utc_s, drawn.zone, offsets, day.horizon_s)
    core = source.make_core(drawn.model, 1)
    assert isinstance(core, StreamCore)
    core.reset(0, source.task(seed, drawn.dealt, asked), drawn.model_seed)
    arrivals = ArrivalBatch(1, scenario.clients)
    arrivals.set(0, asked.arrivals)
    times_s = asked.drift.times_s
    numbers = [arrivals.until(times_s[None, :, change])[0, client] for change in range(times_s.shape[1])]
    return LocalStream(core, arrivals, np.array(numbers, dtype=np.int64), asked.drift.concept[client])


@dataclass(frozen=True)
class _Drawn:
    """What a population's draw says of data and model."""

    dataset: Dataset
    model: Model
    zone: Ints
    dealt: ClientRows
    model_seed: int


def _draw(scenario: Scenario, split: Split, seed: int, client: int) -> _Drawn:
    n, hub = scenario.clients, scenario.hub
    if not 0 <= client < n:
        raise ValueError(f"partition-id: {client}, expected 0 to {n - 1}")
    streams = np.random.SeedSequence(seed, spawn_key=(SPLIT_KEYS[split],)).spawn(6)
    people, data, models = (np.random.default_rng(streams[place]) for place in (0, 3, 4))
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
    return _Drawn(dataset, _model(scenario, dataset), zone, dealt, int(models.integers(2**62)))


def _model(scenario: Scenario, dataset: Dataset) -> Model:
    base = (scenario.trainable, scenario.pretrained, scenario.trainer)
    return fine_tuned(make_model(scenario.model, dataset), dataset, *base)
