"""What an episode with arrivals draws beside its population: requests, drift, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.splits import Split
from ...fl_core.data import ClientRows, Dataset
from ...fl_core.data.streams import DriftEpisode, StreamTask, draw_drift, drifting_mixes, in_order
from ...fl_core.federation import StreamCore
from ...fl_core.models import Model
from ...traces.arrivals import ArrivalEpisode, make_arrivals
from ..scenario import Scenario
from .streams import spawned_generators

# Streams of its own, so that nothing else depends on whether anybody is asked anything.
_KEY = 0x57E4


@dataclass(frozen=True)
class StreamDraw:
    """When clients are asked in one episode, and when it drifts."""

    arrivals: ArrivalEpisode  # requests of each client, counted by the minute
    drift: DriftEpisode  # when each client's concept changes
    horizon_s: float  # until when there are requests


class StreamSource:
    """Draws requests and drifts of a scenario's episodes, and makes the core that answers.

    Args:
        scenario: one with arrivals.
        dataset: the rows.
        split: which part of recorded requests to draw from.
        key: of the split's random streams.
    """

    def __init__(self, scenario: Scenario, dataset: Dataset, split: Split, key: int):
        self._scenario, self._dataset, self._split, self._key = scenario, dataset, split, key
        if scenario.arrivals is None:
            raise ValueError("arrivals: none, expected a model of them")
        self._model = make_arrivals(scenario.arrivals)
        self._model.validate_for(scenario.clients, scenario.horizon_s)

    def make_core(self, model: Model, num_envs: int) -> StreamCore:
        """The core of E environments."""
        scenario = self._scenario
        return StreamCore(
            self._dataset,
            model,
            num_envs,
            scenario.clients,
            scenario.memory,
            scenario.drift,
            scenario.serving.rows == "mix",
            scenario.training,
            scenario.all_in_all_aggregator,
            scenario.trainer,
            scenario.compression,
        )

    def draw(
        self, seed: int, start_utc_s: float, zone: Ints, utc_offset_h: Floats, horizon_s: float
    ) -> StreamDraw:
        """When one episode's clients are asked, and when it drifts.

        Args:
            seed: of the episode.
            start_utc_s: Unix time of its beginning.
            zone: `[N]`, of each client.
            utc_offset_h: `[Z]`, hours each zone is ahead of UTC.
            horizon_s: until when requests count.
        """
        asked, drifts, _ = spawned_generators(seed, _KEY + self._key, 3)
        arrivals = self._model.draw(
            int(asked.integers(2**62)), zone.size, start_utc_s, utc_offset_h[zone], horizon_s, self._split
        )
        drift = draw_drift(self._scenario.drift, zone, self._scenario.zones, horizon_s, drifts)
        return StreamDraw(arrivals, drift, horizon_s)

    def task(self, seed: int, dealt: ClientRows, drift: DriftEpisode) -> StreamTask:
        """What the clients are asked about."""
        own = dealt.label_mix(self._dataset.y_train, self._dataset.num_classes)
        rng: np.random.Generator = spawned_generators(seed, _KEY + self._key, 3)[2]
        if self._scenario.serving.rows == "order":
            dealt = in_order(dealt, int(rng.integers(self._dataset.num_rows)))
        if self._scenario.drift.kind != "mix":
            return StreamTask(dealt, own[:, None])
        return StreamTask(dealt, drifting_mixes(own, drift, rng))
