"""The scenario of a world of serving: one validated document, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ...common.ranges import Drawn
from ...common.settings import Settings, Spec, one_line
from ...common.units import SECONDS_PER_HOUR
from ...traces.arrivals import check_arrivals
from ..scenario import (
    REWARD_TERMS,
    AvailabilityField,
    CarbonField,
    DevicesField,
    FileName,
    Forecasting,
    plain,
    read_document,
    scenario_names,
)
from .ladders import PROFILES, Models

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0, le=1e12)]


class MachineGroup(Settings):
    """Machines of one kind.

    Attributes:
        hardware: of the profile: what answers take on them.
        machines: how many.
        slots: of each machine; every slot holds one model.
        devices: their speeds, links and watts, see `traces.devices`.
        reference_factor: step factor of the machine that the profile's milliseconds are of: one of twice this
            factor takes twice as long.
        reference_watts: of that machine; joules go with the watts too.
    """

    hardware: str
    machines: Annotated[int, Field(ge=1, le=10_000)]
    slots: Annotated[int, Field(ge=1, le=16)] = 1
    devices: DevicesField
    reference_factor: Positive = 1.0
    reference_watts: Positive = 65.0


class Hub(Settings):
    """The hub: always there, with the best model of every task.

    Attributes:
        share: its capacity, as a share of the mean number of requests.
        zone: its grid zone.
        rtt_ms: from anywhere to the hub and back.
        own_zone_rtt_ms: between a request and a slot of its own zone.
        other_zone_rtt_ms: between a request and a slot of another zone.
    """

    share: NotNegative = 0.6
    zone: Annotated[int, Field(ge=0)] = 0
    rtt_ms: NotNegative = 80.0
    own_zone_rtt_ms: NotNegative = 10.0
    other_zone_rtt_ms: NotNegative = 60.0


class ServingLevels(Settings):
    """The menu of an agent's actions.

    Attributes:
        threshold: of confidence, below which the hub is asked; the first is 0, never.
        release: shares of the deferred requests that may be answered now; the first is 0.
    """

    threshold: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.0, 0.5, 0.7, 0.9)
    release: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.0, 1 / 3, 2 / 3, 1.0)

    @model_validator(mode="after")
    def _increase(self) -> ServingLevels:
        for name in ("threshold", "release"):
            levels = getattr(self, name)
            if levels[0] != 0 or list(levels) != sorted(set(levels)):
                raise ValueError(f"{name}: {levels}, expected increasing levels that begin with 0")
        return self


class ServingPreferences(Drawn):
    """Points charged: of one request per millisecond, of the episode per GB and kg; numbers, or ranges."""

    points_per_ms: Price | tuple[Price, Price] = 0.05
    price_per_gb: Price | tuple[Price, Price] = 0.0
    price_per_kg: Price | tuple[Price, Price] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _nothing_leaks(cls, values: object) -> object:
        if isinstance(values, Mapping) and "price_per_auc" in values:
            raise ValueError(
                f"price_per_auc: {values['price_per_auc']!r}, expected none in a world of serving: nothing "
                "is trained there on anybody's rows, so that no message tells of them"
            )
        return values


def _known_arrivals(spec: Spec) -> Spec:
    check_arrivals(spec)
    return spec


class ServingScenario(Settings):
    """One world of serving: who asks what, which machines answer, at which costs.

    Attributes:
        name: what tables and files call it.
        machines: groups of machines of one kind; their slots are numbered in this order.
        zones: Z; machines are dealt to the zones evenly.
        availability: of the machines; see `traces.availability.make`.
        carbon: see `traces.carbon.make`.
        arrivals: requests of every (zone, task); see `traces.arrivals`.
        models: what is asked, and what is trained to answer.
        profile: the nominal ladder, see `PROFILES`.
        label_alpha: Dirichlet parameter of the zones' label mixes.
        hub: the hub.
        levels: the agent's menu.
        preferences: prices.
        forecasting: leads of the forecasts in the situation.
        hours: of an episode.
        step_s: seconds of a step.
        deferrable: share of the requests that may wait.
        deadline_h: for how long.
        rows_per_cell: rows of every zone and task that are really answered in a step; the rest is counted at
            their mean.
        retry_ms: more for a request whose slot leaves before it has answered.
        start_s: from the last byte of a model until it answers.
        idle: share of its watts that a slot draws while it loads or holds a model.
        overlap: whether a slot goes on with its old model while it loads a new one.
    """

    name: FileName
    machines: Annotated[tuple[MachineGroup, ...], Field(min_length=1)]
    zones: Annotated[int, Field(ge=1, le=1000)]
    availability: AvailabilityField
    carbon: CarbonField
    arrivals: Annotated[Spec, AfterValidator(_known_arrivals)]
    models: Models = Models()
    profile: PROFILES.field() = "chat"  # type: ignore[valid-type]
    label_alpha: Positive = 1.0
    hub: Hub = Hub()
    levels: ServingLevels = ServingLevels()
    preferences: ServingPreferences = ServingPreferences()
    forecasting: Forecasting = Forecasting()
    hours: Annotated[float, Field(gt=0, le=240)] = 24.0
    step_s: Annotated[float, Field(ge=60, le=7200)] = 600.0
    deferrable: Share = 0.5
    deadline_h: Positive = 6.0
    rows_per_cell: Annotated[int, Field(ge=1, le=4096)] = 32
    retry_ms: NotNegative = 500.0
    start_s: NotNegative = 10.0
    idle: Share = 0.2
    overlap: bool = False
    kind: Literal["serving"] = "serving"

    @model_validator(mode="after")
    def _fits(self) -> ServingScenario:
        if self.hub.zone >= self.zones:
            raise ValueError(f"hub: zone: {self.hub.zone}, expected less than the {self.zones} zones")
        return self

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the terms of the reward, in the order of the vector."""
        return REWARD_TERMS

    @property
    def nodes(self) -> int:
        """Machines of all groups."""
        return sum(group.machines for group in self.machines)

    @property
    def slots(self) -> int:
        """S, slots of all machines."""
        return sum(group.machines * group.slots for group in self.machines)

    @property
    def tasks(self) -> int:
        """I."""
        return len(self.models.questions)

    @property
    def steps(self) -> int:
        """Of an episode."""
        return max(1, round(self.hours * SECONDS_PER_HOUR / self.step_s))

    @property
    def patience(self) -> int:
        """D, steps that a deferred request may wait."""
        return max(1, min(self.steps, round(self.deadline_h * SECONDS_PER_HOUR / self.step_s)))

    @property
    def horizon_s(self) -> float:
        """Seconds of traces an episode needs."""
        return self.steps * self.step_s + max(self.forecasting.carbon_leads_s) + self.patience * self.step_s


PACKAGED = "frugalfl.envs.serving.packaged"

ServingSource: TypeAlias = str | Path | Mapping[str, object] | ServingScenario
"""A packaged scenario's name, the path of a YAML file, a mapping of the same form, or a `ServingScenario`."""


def serving_names() -> list[str]:
    """Names of the scenarios of serving that come with the package."""
    return scenario_names(PACKAGED)


def load_serving(source: ServingSource, **changes: object) -> ServingScenario:
    """Read a scenario of serving and apply changes to it; as `load_scenario` does with those of training.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    try:
        return ServingScenario.model_validate(plain(read_document(source, changes, PACKAGED)))
    except ValidationError as error:
        raise ValueError(one_line(error, ServingScenario)) from None
