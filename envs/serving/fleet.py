"""The fleet: machines with slots, zones with requests, prices; what an episode's seed decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...common.arrays import Floats, Ints
from ...common.splits import Split
from ...traces.arrivals import ArrivalEpisode, make_arrivals
from ...traces.devices import device_settings
from ..episode import SPLIT_KEYS, MachineDraw, MachineSource, draw_fields, link_fields, spawned_generators
from .document import ServingScenario
from .ladders import Profile, make_profile, trained_ladder

_POOL = 512
"""Rows among which a zone's requests are drawn."""
_SEEN_EPISODES = 16
"""Episodes of `train` whose sessions tell how long machines stay."""


@dataclass(frozen=True)
class FleetDraw:
    """Everything that one episode's seed decides."""

    machines: MachineDraw
    fields: dict[str, Floats]  # of `Fleet`, by name: [S], or [S, M]
    arrivals: ArrivalEpisode  # of source zone * I + task
    rows: Ints  # [Z, _POOL] that requests of each zone ask about
    content_seed: int  # of which request asks about which row
    prices: Floats  # [3] points per ms, GB and kg


@dataclass
class Fleet:
    """The drawn quantities of E episodes that do not change while they run, stacked row by row."""

    start_utc_s: Floats  # [E]
    utc_offset_h: Floats  # [E, Z]
    zone: Ints  # [E, S]
    rows: Ints  # [E, Z, _POOL]
    content_seed: Ints  # [E]
    prices: Floats  # [E, 3] points per ms, GB and kg
    down_bytes_per_s: Floats  # [E, S] of each slot
    network_j_per_byte: Floats  # [E, S]
    watts: Floats  # [E, S] that each slot draws at work
    latency_ms: Floats  # [E, S, M] of one answer; inf = that rung cannot run there
    joule_factor: Floats  # [E, S] over the profile's machine of its kind

    def set_row(self, env: int, draw: FleetDraw, node: Ints) -> None:
        """Enter one episode."""
        self.start_utc_s[env] = draw.machines.start_utc_s
        self.utc_offset_h[env] = draw.machines.utc_offset_h
        self.zone[env] = draw.machines.zone[node]
        self.rows[env] = draw.rows
        self.content_seed[env] = draw.content_seed
        self.prices[env] = draw.prices
        for name, values in draw.fields.items():
            getattr(self, name)[env] = values


class FleetSource:
    """Draws the episodes of one scenario and split; all inputs are read and checked once.

    Args:
        scenario: what to draw.
        split: which disjoint part of machines, trace windows and rows to draw from.

    Attributes:
        node: int `[S]`, the machine that each slot is a part of.
        concurrency: `[S]`, answers that each slot has in work at once when busy.
        profile: the nominal ladder.
        ladder: the trained models.
        stay: Weibull shape and scale in seconds of the machines' sessions.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    def __init__(self, scenario: ServingScenario, split: Split = "train"):
        self.scenario, self.split = scenario, split
        self.profile: Profile = make_profile(scenario.profile, scenario.models)
        self.ladder = trained_ladder(scenario.models)
        if self.profile.rungs != len(scenario.models.rungs):
            raise ValueError(
                f"profile: {self.profile.rungs} rungs, expected {len(scenario.models.rungs)} as models: rungs"
            )
        self._machines = self._source(split)
        self._arrivals = make_arrivals(scenario.arrivals)
        self._arrivals.validate_for(scenario.zones * scenario.tasks, scenario.steps * scenario.step_s)
        self._devices = [device_settings(group.devices) for group in scenario.machines]
        groups = scenario.machines
        group_of_node = np.repeat(np.arange(len(groups)), [group.machines for group in groups])
        slots_of_node = np.array([groups[number].slots for number in group_of_node])
        self.node: Ints = np.repeat(np.arange(scenario.nodes), slots_of_node)
        self.group: Ints = group_of_node[self.node]
        self._slots_of_node = slots_of_node[self.node]
        hardware = self.profile.hardware
        known = [hardware.get(group.hardware) for group in groups]
        if not any(known):
            raise ValueError(
                f"machines: hardware: {groups[0].hardware!r}, expected one of {', '.join(hardware)}"
            )
        nothing = (np.inf,) * self.profile.rungs
        self.concurrency = np.array([1.0 if h is None else h.concurrency for h in known])[self.group]
        self._ms = np.array([nothing if h is None else h.ms for h in known])[self.group]
        self.stay = self._stay_law()

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones."""
        return self._machines.zone_names

    def draw(self, seed: int) -> FleetDraw:
        """One episode, a function of the seed and the split alone."""
        scenario = self.scenario
        people, power, grid, content, asking, wishes = spawned_generators(seed, SPLIT_KEYS[self.split], 6)
        machines = self._machines.draw(people, grid)
        arrivals = self._arrivals.draw(
            int(asking.integers(2**62)),
            scenario.zones * scenario.tasks,
            machines.start_utc_s,
            np.repeat(machines.utc_offset_h, scenario.tasks),
            scenario.steps * scenario.step_s,
            self.split,
        )
        return FleetDraw(
            machines,
            self._draw_devices(power),
            arrivals,
            self._draw_rows(content),
            int(content.integers(2**62)),
            draw_fields(scenario.preferences, wishes),
        )

    def empty(self, num_envs: int) -> Fleet:
        """A fleet of E rows to be filled; harmless values until then."""
        e, s, z = num_envs, self.node.size, self.scenario.zones
        ones = {
            name: np.ones((e, s))
            for name in ("down_bytes_per_s", "network_j_per_byte", "watts", "joule_factor")
        }
        return Fleet(
            start_utc_s=np.zeros(e),
            utc_offset_h=np.zeros((e, z)),
            zone=np.zeros((e, s), dtype=np.int64),
            rows=np.zeros((e, z, _POOL), dtype=np.int64),
            content_seed=np.zeros(e, dtype=np.int64),
            prices=np.zeros((e, 3)),
            latency_ms=np.ones((e, s, self.profile.rungs)),
            **ones,
        )

    def joules(self, batch: Floats, factor: Floats) -> Floats:
        """`[E, S, M]`, joules of one answer of each slot with `batch` `[E, S]` answers in work at once."""
        found = np.zeros((*batch.shape, self.profile.rungs))
        for number, group in enumerate(self.scenario.machines):
            mine = self.group == number
            if group.hardware in self.profile.hardware:
                found[:, mine] = self.profile.hardware[group.hardware].joules_at(batch[:, mine])
        found *= factor[:, :, None]
        return found

    def _source(self, split: Split) -> MachineSource:
        s = self.scenario
        return MachineSource(s.nodes, s.zones, s.availability, s.carbon, s.horizon_s, split)

    def _draw_devices(self, rng: np.random.Generator) -> dict[str, Floats]:
        """Each slot's share of its machine."""
        groups = self.scenario.machines
        drawn = [
            source.draw(group.machines, rng) for source, group in zip(self._devices, groups, strict=True)
        ]
        links = [link_fields(devices) for devices in drawn]
        slow = [d.step_factor / g.reference_factor for d, g in zip(drawn, groups, strict=True)]
        watts = [d.compute_watts / g.reference_watts for d, g in zip(drawn, groups, strict=True)]
        slower = np.concatenate(slow)[self.node]

        def of_slots(name: str) -> Floats:
            values: Floats = np.concatenate([link[name] for link in links])[self.node]
            return values

        return {
            "down_bytes_per_s": of_slots("down_bytes_per_s") / self._slots_of_node,
            "network_j_per_byte": of_slots("network_j_per_byte"),
            "watts": of_slots("compute_watts") / self._slots_of_node,
            "latency_ms": self._ms * slower[:, None],
            "joule_factor": slower * np.concatenate(watts)[self.node],
        }

    def _draw_rows(self, rng: np.random.Generator) -> Ints:
        """`[Z, _POOL]`: each zone has a label mix of its own, and asks about rows of its labels."""
        labels = self.ladder.asked[self.split].label
        count = np.bincount(labels)
        present = np.flatnonzero(count)
        order, first = np.argsort(labels, kind="stable"), np.concatenate([[0], np.cumsum(count)])
        mixes = rng.dirichlet(np.full(present.size, self.scenario.label_alpha), self.scenario.zones)
        rows = np.empty((self.scenario.zones, _POOL), dtype=np.int64)
        for zone, mix in enumerate(mixes):
            label = present[np.searchsorted(np.cumsum(mix)[:-1], rng.random(_POOL), side="right")]
            rows[zone] = order[first[label] + (rng.random(_POOL) * count[label]).astype(np.int64)]
        return rows

    def _stay_law(self) -> tuple[float, float]:
        """Weibull shape and scale of sessions that were seen to begin; those that still run are censored."""
        source, horizon_s = self._source("train"), self.scenario.horizon_s
        stays: list[Floats] = []
        running: list[Floats] = []
        for seed in range(_SEEN_EPISODES):
            people, grid = spawned_generators(seed, SPLIT_KEYS["train"], 2)
            sessions = source.draw(people, grid).availability.sessions
            known = np.isfinite(sessions.start_s) & (sessions.start_s > 0) & (sessions.start_s < horizon_s)
            length_s = (np.minimum(sessions.end_s, horizon_s) - sessions.start_s)[known]
            whole = sessions.end_s[known] < horizon_s
            stays.append(length_s[whole])
            running.append(length_s[~whole])
        ended = np.concatenate(stays)
        if np.unique(ended).size < 3:
            return 1.0, horizon_s
        data = stats.CensoredData(uncensored=ended, right=np.concatenate(running))
        shape, _, scale = stats.weibull_min.fit(data, floc=0)
        return float(shape), float(scale)
