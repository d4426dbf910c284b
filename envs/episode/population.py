"""Populations: clients, devices, data, traces and prices of an episode, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.splits import Split
from ...common.units import SECONDS_PER_HOUR
from ...fl_core.data import ClientRows, load_dataset, partition
from ...fl_core.data.streams import StreamTask
from ...fl_core.federation import FederatedCore, FragmentedCore, RoundEngine, fine_tuned
from ...fl_core.leakage import Exposure, RowScorer
from ...fl_core.models import frozen_share, make_model, travelling_share
from ...fl_core.quadratics import QuadraticCore, QuadraticProblem, quadratic_problem
from ...traces.availability import AvailabilityEpisode
from ...traces.carbon import CarbonEpisode
from ...traces.devices import device_settings
from ..scenario import LEAKAGE, Scenario, Workload
from .machines import SPLIT_KEYS, MachineSource, link_fields
from .reward import PRICES, draw_fields
from .stream_source import StreamDraw, StreamSource
from .streams import spawned_generators

_DEVICE_FIELDS = (
    "step_s",
    "down_bytes_per_s",
    "up_bytes_per_s",
    "compute_watts",
    "network_j_per_byte",
    "down_watts",
    "up_watts",
)

# Who lies is drawn from a stream of its own, so that nothing else depends on whether anybody does.
_LIARS_KEY = 0x11A2


@dataclass(frozen=True)
class EpisodeDraw:
    """Everything that one episode's seed decides."""

    start_utc_s: float  # Unix time of the episode's beginning
    zone: Ints  # [N] each client's grid zone
    utc_offset_h: Floats  # [Z] hours each zone is ahead of UTC
    devices: dict[str, Floats]  # step seconds, bandwidths, watts, joules per byte by name, each `[N]`
    availability: AvailabilityEpisode  # sessions and what is known of them
    carbon: CarbonEpisode  # intensity of all zones
    task: ClientRows | QuadraticProblem | StreamTask  # rows, quadratics, or what clients are asked
    model_seed: int  # seed of the initial model and of every minibatch
    prices: Floats  # [3] per hour, GB and kg
    budgets: Floats  # [3] of hours, GB and kg; inf = none
    liars: Bools  # [N] who lies; nobody, unless the scenario has malicious clients
    stream: StreamDraw | None  # requests and drift; None in worlds without arrivals
    operator: dict[str, float]  # the rest of what differs between operators, by its name in `Population`


@dataclass
class Population:
    """The drawn quantities of E episodes that do not change while they run, stacked row by row."""

    start_utc_s: Floats  # [E]
    zone: Ints  # [E, N]
    utc_offset_h: Floats  # [E, Z]
    step_s: Floats  # [E, N]
    down_bytes_per_s: Floats  # [E, N]
    up_bytes_per_s: Floats  # [E, N]
    compute_watts: Floats  # [E, N]
    network_j_per_byte: Floats  # [E, N]
    down_watts: Floats  # [E, N]
    up_watts: Floats  # [E, N]
    prices: Floats  # [E, 3] per hour, GB and kg
    budgets: Floats  # [E, 3] of hours, GB and kg; inf = none
    sample_bytes: Floats  # [E] of one training sample
    overhead_s: Floats  # [E] the server's seconds per round
    deadline_s: Floats  # [E] after which a round is closed at the latest
    label_skew: Floats  # [E] see `ClientRows.label_skew`; 0 in worlds of quadratics
    announced_share: Floats  # [E] of session ends, as the generator states it
    price_per_auc: Floats  # [E] points per hundredth that an eavesdropper's area is above one half

    def set_row(self, env: int, draw: EpisodeDraw) -> None:
        """Enter one episode."""
        self.start_utc_s[env] = draw.start_utc_s
        self.zone[env] = draw.zone
        self.utc_offset_h[env] = draw.utc_offset_h
        self.prices[env] = draw.prices
        self.budgets[env] = draw.budgets
        for name, values in (draw.devices | draw.operator).items():
            getattr(self, name)[env] = values


class PopulationSource:
    """Draws the episodes of one scenario and split; all inputs are read and checked once.

    Args:
        scenario: what to draw.
        split: which disjoint part of clients and trace windows to draw from.

    Attributes:
        scorer: of rows, for whoever listens where leakage has a price; never changes, like the data. Those
            that nobody trained on are the validation set's: no reward looks at the test's.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """

    def __init__(self, scenario: Scenario, split: Split = "train"):
        self._machines = MachineSource(
            scenario.clients,
            scenario.zones,
            scenario.availability,
            scenario.carbon,
            scenario.horizon_s,
            split,
        )
        self.scenario = scenario
        self.split = split
        self.training = scenario.training
        self.quadratic = scenario.quadratic
        self.dataset = load_dataset(scenario.dataset, split=split)
        whole = make_model(scenario.model, self.dataset)
        base = (scenario.trainable, scenario.pretrained, scenario.trainer)
        self.model = fine_tuned(whole, self.dataset, *base)
        self.scorer: RowScorer | None = None
        if LEAKAGE in scenario.reward_terms:
            self.scorer = RowScorer(self.dataset, self.model, "val")
        self._devices = device_settings(scenario.devices)
        work = scenario.workload
        whole_bytes = float(whole.bytes if work.model_bytes == "actual" else work.model_bytes)
        one_model = whole_bytes * travelling_share(self.model)
        self.models_trained = scenario.evaluation.models
        self.model_bytes = self.models_trained * one_model
        actual_sample = self.dataset.x_train.itemsize * self.dataset.x_train.shape[1]
        fetched = scenario.pretrained is not None and not scenario.pretrained.installed
        self.setup_bytes = work.setup_bytes + whole_bytes * frozen_share(self.model) * fetched
        sample_bytes = actual_sample if work.sample_bytes == "actual" else work.sample_bytes
        self._workload = work.model_copy(update={"model_bytes": one_model, "sample_bytes": sample_bytes})
        self._stream: StreamSource | None = None
        if scenario.arrivals is not None:
            self._stream = StreamSource(scenario, self.dataset, split, SPLIT_KEYS[split])

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Names of the grid zones."""
        return self._machines.zone_names

    def make_core(self, num_envs: int) -> RoundEngine:
        """The training core of E environments of this scenario."""
        core = self._plain_core(num_envs)
        if self.scenario.malicious is not None:
            core.threaten(self.scenario.malicious.attack)
        return core

    def make_exposure(self, core: RoundEngine) -> Exposure | None:
        """Who listens to the core, in worlds where leakage has a price."""
        if self.scorer is None or not isinstance(core, FederatedCore):
            return None
        exposure = Exposure(core, self.scorer, sums=self.scenario.overheard == "sums")
        core.listeners = (exposure,)
        return exposure

    def _plain_core(self, num_envs: int) -> RoundEngine:
        scenario = self.scenario
        size = (num_envs, scenario.clients)
        late = scenario.late
        aggregator = scenario.all_in_all_aggregator
        history = 0 if late.kind == "drop" else late.max_rounds
        if self._stream is not None:
            return self._stream.make_core(self.model, num_envs)
        if self.quadratic is not None:
            return QuadraticCore(
                self.quadratic,
                *size,
                self.training,
                aggregator=aggregator,
                history=history,
                compression=scenario.compression,
            )
        parts = scenario.fragments
        core = (FederatedCore if parts.count == 1 else FragmentedCore)(
            self.dataset,
            self.model,
            *size,
            self.training,
            aggregator=aggregator,
            trainer=scenario.trainer,
            history=history,
            compression=scenario.compression,
        )
        if isinstance(core, FragmentedCore):
            core.fragment(parts)
        return core

    def draw(self, seed: int) -> EpisodeDraw:
        """One episode, a function of the seed and the split alone."""
        scenario = self.scenario
        people, power, grid, data, model, wishes = spawned_generators(seed, SPLIT_KEYS[self.split], 6)
        machines = self._machines.draw(people, grid)
        zone = machines.zone
        task = self._draw_task(zone, data)
        prices = draw_fields(scenario.preferences, wishes, PRICES)
        budgets = draw_fields(scenario.budgets, wishes)
        work = dict(zip(Workload.model_fields, draw_fields(self._workload, wishes).tolist(), strict=True))
        operator = {name: work[name] for name in ("sample_bytes", "overhead_s", "deadline_s")}
        operator |= {
            "label_skew": self._label_skew(task),
            "announced_share": machines.availability.announced_share,
            # Drawn last: whether it is a range changes nothing else.
            "price_per_auc": float(draw_fields(scenario.preferences, wishes, ["price_per_auc"])[0]),
        }
        stream: StreamDraw | None = None
        asked: ClientRows | QuadraticProblem | StreamTask = task
        if self._stream is not None:
            hours_s = float(budgets[0]) * SECONDS_PER_HOUR
            stream = self._stream.draw(seed, machines.start_utc_s, zone, machines.utc_offset_h, hours_s)
            asked = self._stream.task(seed, task, stream)
        return EpisodeDraw(
            start_utc_s=machines.start_utc_s,
            zone=zone,
            utc_offset_h=machines.utc_offset_h,
            devices=self._draw_devices(zone, work["step_s"], power),
            availability=machines.availability,
            carbon=machines.carbon,
            task=asked,
            model_seed=int(model.integers(2**62)),
            prices=prices,
            budgets=budgets,
            liars=self._draw_liars(seed),
            stream=stream,
            operator=operator,
        )

    def empty(self, num_envs: int) -> Population:
        """A population of E rows to be filled; harmless values until then."""
        e, n, z = num_envs, self.scenario.clients, self.scenario.zones
        return Population(
            start_utc_s=np.zeros(e),
            zone=np.zeros((e, n), dtype=np.int64),
            utc_offset_h=np.zeros((e, z)),
            prices=np.zeros((e, len(PRICES))),
            budgets=np.full((e, 3), np.inf),
            sample_bytes=np.ones(e),
            overhead_s=np.zeros(e),
            deadline_s=np.ones(e),
            label_skew=np.zeros(e),
            announced_share=np.zeros(e),
            price_per_auc=np.zeros(e),
            **{name: np.ones((e, n)) for name in _DEVICE_FIELDS},
        )

    def _draw_devices(self, zone: Ints, step_s: float, rng: np.random.Generator) -> dict[str, Floats]:
        devices = self._devices.draw(zone.size, rng)
        return {"step_s": devices.step_factor * step_s * self.models_trained, **link_fields(devices)}

    def _draw_liars(self, seed: int) -> Bools:
        liars = np.zeros(self.scenario.clients, dtype=np.bool_)
        if self.scenario.malicious is not None:
            (rng,) = spawned_generators(seed, _LIARS_KEY + SPLIT_KEYS[self.split], 1)
            liars[: self.scenario.malicious.count(liars.size)] = True
            liars = rng.permutation(liars)
        return liars

    def _label_skew(self, task: ClientRows | QuadraticProblem) -> float:
        if isinstance(task, QuadraticProblem):
            return 0.0
        return task.label_skew(self.dataset.y_train, self.dataset.num_classes)

    def _draw_task(self, zone: Ints, rng: np.random.Generator) -> ClientRows | QuadraticProblem:
        hub = self.scenario.hub
        if self.quadratic is not None:
            sendable = hub.rows_per_client if hub.share > 0 else 0
            return quadratic_problem(
                self.quadratic, self.scenario.clients, zone, self.scenario.zones, rng, sendable
            )
        return partition(
            self.dataset,
            self.scenario.clients,
            zone,
            self.scenario.zones,
            self.scenario.partition,
            rng,
            hub_share=hub.share,
            hub_rows_per_client=hub.rows_per_client,
            residency=hub.residency,
        )
