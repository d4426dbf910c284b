"""What an episode with arrivals draws beside its population: requests, drift, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.ranges import drawn
from ...common.splits import Split
from ...fl_core.data import ClientRows, Dataset
from ...fl_core.data.streams import DriftEpisode, StreamTask, draw_drift, drifting_mixes, in_order
from ...fl_core.federation import RoundEngine, StreamCore
from ...fl_core.models import Model
from ...fl_core.quadratics import MovingQuadraticCore, OptimumPath, QuadraticProblem, drawn_path
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
    path: OptimumPath | None = None  # of the clients' minimisers, in worlds of quadratics
    ask_price: float = 0.0  # of a question to the hub, in hundredths of a right answer


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

    def make_core(self, model: Model, num_envs: int) -> RoundEngine:
        """The core of E environments, a `StreamEngine`."""
        scenario = self._scenario
        if scenario.quadratic is not None:
            return MovingQuadraticCore(
                scenario.quadratic,
                num_envs,
                scenario.clients,
                scenario.training,
                scenario.all_in_all_aggregator,
                compression=scenario.compression,
                labelled=scenario.memory.labelled,
            )
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
            scenario.exits is not None,
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
        where = (zone, self._scenario.zones, horizon_s, drifts)
        quadratic = self._scenario.quadratic
        if quadratic is not None:
            path = drawn_path(self._scenario.drift, quadratic.dimension, *where)
            return StreamDraw(arrivals, path.episode(zone.size), horizon_s, path)
        drift, price, exits = draw_drift(self._scenario.drift, *where), 0.0, self._scenario.exits
        if exits is not None:
            price = drawn(exits.price, spawned_generators(seed, _KEY + self._key, 4)[3])
        return StreamDraw(arrivals, drift, horizon_s, ask_price=price)

    def task(
        self, seed: int, dealt: ClientRows | QuadraticProblem, draw: StreamDraw
    ) -> StreamTask | QuadraticProblem:
        """What the clients are asked about."""
        if isinstance(dealt, QuadraticProblem):
            return replace(dealt, path=draw.path)
        return self._asked(seed, dealt, draw.drift)

    def _asked(self, seed: int, dealt: ClientRows, drift: DriftEpisode) -> StreamTask:
        own = dealt.label_mix(self._dataset.y_train, self._dataset.num_classes)
        rng: np.random.Generator = spawned_generators(seed, _KEY + self._key, 3)[2]
        if self._scenario.serving.rows == "order":
            dealt = in_order(dealt, int(rng.integers(self._dataset.num_rows)))
        if self._scenario.drift.kind != "mix":
            return StreamTask(dealt, own[:, None])
        return StreamTask(dealt, drifting_mixes(own, drift, rng))
