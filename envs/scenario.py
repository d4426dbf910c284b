"""What a world is made of: one validated document per world, read from YAML and changed by keywords."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from .options import Evaluation, Late, Strict

Split = Literal["train", "val", "test"]
Price = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Spec = str | dict[str, Any]


class Workload(Strict):
    """What a round is charged for: a nominal job, or the model that is really trained.

    By default a small model is really trained as the proxy of a larger job, whose bytes and seconds are
    charged. `model_bytes: actual` and `sample_bytes: actual` charge the trained model's own size instead.

    Attributes:
        model_bytes: bytes of one model transfer; 44.7 MB is a ResNet-18 in float32.
        sample_bytes: bytes of one training sample; 110 kB is an ImageNet photograph.
        step_s: seconds of one local step on the reference device.
        overhead_s: the server's seconds per round.
        deadline_s: a round is closed at the latest after this.
    """

    model_bytes: Positive | Literal["actual"] = 44.7e6
    sample_bytes: Positive | Literal["actual"] = 110e3
    step_s: Positive = 12.0
    overhead_s: Annotated[float, Field(ge=0)] = 10.0
    deadline_s: Positive = 3600.0


class Preferences(Strict):
    """Accuracy points charged per unit of each cost: a number, or a range to draw from per episode."""

    price_per_hour: Price | tuple[Price, Price] = 0.0
    price_per_gb: Price | tuple[Price, Price] = 0.0
    price_per_kg: Price | tuple[Price, Price] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Preferences:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name}: {value}, expected a range from low to high")
        return self


class Budgets(Strict):
    """What the whole run may spend; exhausting one ends the episode."""

    hours: Positive = 48.0
    gigabytes: Positive | None = None
    kilograms: Positive | None = None


class Levels(Strict):
    """The menu of the MultiDiscrete action."""

    wait_s: tuple[float, ...] = (0.0, 1800.0, 7200.0, float("inf"))
    quorum: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.8, 1.0)
    local_steps: tuple[Annotated[int, Field(ge=0)], ...] = (0, 5, 10, 20, 40)
    transfer_samples: tuple[Annotated[int, Field(ge=0)], ...] = (0,)

    @model_validator(mode="after")
    def _start_at_zero(self) -> Levels:
        for name in ("wait_s", "local_steps", "transfer_samples"):
            levels = getattr(self, name)
            if not levels or levels[0] != 0 or list(levels) != sorted(set(levels)):
                raise ValueError(f"{name}: {levels}, expected increasing levels that begin with 0")
        if len(self.wait_s) < 2 or len(self.local_steps) < 2 or not self.quorum:
            raise ValueError("levels: expected at least two waits, two step levels and one quorum")
        return self


class Forecasting(Strict):
    """How far ahead the coordinator's forecasts reach."""

    availability_leads_s: tuple[Positive, ...] = (1800.0, 7200.0)
    carbon_leads_s: tuple[Positive, ...] = (3600.0, 10800.0, 21600.0, 43200.0)


class HubData(Strict):
    """Training data that lies at the coordinator and may be moved to clients.

    Attributes:
        share: share of the training rows at the hub; 0 = classic federated learning.
        rows_per_client: most rows that may be sent to one client (its storage).
        residency: "shared": any hub row may go to any client; "zone": rows stay in their zone.
        ephemeral: whether a client's received rows are wiped when its session ends.
    """

    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    rows_per_client: Annotated[int, Field(ge=0)] = 0
    residency: Literal["shared", "zone"] = "shared"
    ephemeral: bool = False


class Scenario(Strict):
    """One world: who takes part, on what data, at which costs.

    Attributes:
        name: what tables call it.
        clients: N.
        zones: Z; clients are dealt to the zones evenly.
        availability: generator, its settings, or a file; see `traces.availability`.
        carbon: zone names, files, or settings; see `traces.carbon`.
        devices: class of devices or its settings; see `traces.devices`.
        dataset: see `fl_core.data`.
        partition: see `fl_core.partition`.
        model: see `fl_core.models`.
        training: fields of `fl_core.settings.TrainingSettings`.
        aggregator: see `fl_core.aggregate`.
        compression: of the updates on their way back, see `fl_core.compression`, e.g. `8-bit` or
            `{kind: top-k, share: 0.1, error_feedback: true}`; None = none. What enters the model is the
            decompressed update, and an upload is charged the workload's model bytes times the share of the
            trained model's bytes that the compressed update really takes.
        late: what becomes of clients that are late, see `Late`, e.g. `{kind: staleness, beta: 0.35}`.
        evaluation: what the clients use in the end, see `Evaluation`, e.g. `{personal: knn, share: 0.5}`.
        topology: "server" (the default): the coordinator exchanges models with every participant. Or an
            overlay ("star", "ring", "mst", "mbst", "best", see `fl_core.topology`; Marfoq et al. 2020): the
            participants of a round, if there are two or more, exchange models with each other. The round
            lasts the overlay's cycle time for all of them; there is no quorum. A participant's work in it is
            its local steps, the transfer of its samples and, if its last update is not in the present model,
            fetching that from the coordinator. It is charged a (compressed) model for each neighbour each
            way, evenly over the cycle. What is learned is still the exact aggregate of those who finished:
            how slowly an overlay mixes is not modelled. `Situation.round_s` and its sisters go on assuming
            the server.
        trainer: which local trainer serves; "auto" takes the fastest one that fits the model.
        quadratic: fields of `fl_core.quadratic.QuadraticSettings`: clients then minimise heterogeneous
            quadratics with an exact optimum, and data set, partition and model are not used.
        hub: data at the coordinator.
        workload: what a round is charged for.
        preferences: prices.
        budgets: what the run may spend.
        levels: the agent's menu.
        forecasting: leads of the forecasts in the situation.
        max_rounds: decisions after which the episode is truncated.
        target_accuracy: validation accuracy at which it terminates; None = never.
    """

    name: str
    clients: Annotated[int, Field(ge=1)]
    zones: Annotated[int, Field(ge=1)]
    availability: Spec
    carbon: str | list[str] | dict[str, Any]
    devices: Spec
    dataset: Spec = "digits"
    partition: Spec = "iid"
    model: Spec = "softmax"
    training: dict[str, Any] = Field(default_factory=dict)
    aggregator: Spec = "by-samples"
    compression: Spec | None = None
    late: Late = Late()
    evaluation: Evaluation = Evaluation()
    topology: Literal["server", "star", "ring", "mst", "mbst", "best"] = "server"
    trainer: Spec = "auto"
    quadratic: dict[str, Any] | None = None
    hub: HubData = HubData()
    workload: Workload = Workload()
    preferences: Preferences = Preferences()
    budgets: Budgets = Budgets()
    levels: Levels = Levels()
    forecasting: Forecasting = Forecasting()
    max_rounds: Annotated[int, Field(ge=1)] = 60
    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_aggregator(self) -> Scenario:
        if self.late.aggregator is not None and self.aggregator != "by-samples":
            raise ValueError(
                f"aggregator: {self.aggregator!r}, expected by-samples: late of kind {self.late.kind} brings "
                "its own; use kind: keep"
            )
        return self

    @model_validator(mode="after")
    def _nobody_late_in_overlays(self) -> Scenario:
        if self.topology != "server" and self.late.kind != "drop":
            raise ValueError(f"topology: {self.topology}, expected server where late is {self.late.kind}")
        return self

    @model_validator(mode="after")
    def _personal_models(self) -> Scenario:
        personal = self.evaluation.personal
        if personal != "none" and self.quadratic is not None:
            raise ValueError(f"evaluation: personal: {personal}, expected none in a world of quadratics")
        if personal == "mixture" and (self.late.kind != "drop" or self.compression is not None):
            raise ValueError("evaluation: personal: mixture, expected neither late updates nor compression")
        return self

    @property
    def horizon_s(self) -> float:
        """Seconds of traces an episode may need: the hour budget, the longest wait and one last round."""
        waits = [wait for wait in self.levels.wait_s if wait != float("inf")]
        round_s = self.workload.deadline_s + self.workload.overhead_s
        return self.budgets.hours * 3600.0 + max(waits) + round_s + max(self.forecasting.carbon_leads_s)


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    folder = resources.files("frugalfl.envs.scenarios")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_scenario(source: str | Path | Mapping[str, Any] | Scenario, **changes: Any) -> Scenario:
    """Read a scenario and apply changes to it.

    Args:
        source: the name of a packaged scenario ("volunteers"), the path of a YAML file (which may name the
            scenario it starts from in `base:`), a mapping of the same form, or a Scenario.
        **changes: fields of `Scenario` to replace; a mapping changes only the keys it names, unless the field
            is a specification with its own `kind`.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    document = _document(source)
    for name, value in changes.items():
        document[name] = _merge(document.get(name), value)
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ValueError(one_line(error)) from None


def one_line(error: ValidationError) -> str:
    """The first complaint of pydantic as one line: field, value, what was expected."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "scenario"
    if first["type"] == "extra_forbidden":
        known = list(Scenario.model_fields)
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known fields: {', '.join(known)}"
        return f"{field}: unknown field{hint if len(first['loc']) == 1 else ''}"
    message = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] == "value_error" else f"{first['input']!r}: "
    return f"{field}: {value}{message[0].lower() + message[1:]}"


def _document(source: str | Path | Mapping[str, Any] | Scenario) -> dict[str, Any]:
    if isinstance(source, Scenario):
        return source.model_dump()
    if isinstance(source, Mapping):
        document = dict(source)
    elif str(source).endswith((".yaml", ".yml")):
        document = _read_yaml(Path(source))
    else:
        return _packaged(str(source))
    base = document.pop("base", None)
    if base is None:
        return document
    start = _packaged(str(base))
    return {**start, **{name: _merge(start.get(name), value) for name, value in document.items()}}


def _packaged(name: str) -> dict[str, Any]:
    names = scenario_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known scenarios: {', '.join(names)}"
        raise ValueError(f"scenario: {name!r} is neither a known scenario nor a .yaml file; {hint}")
    text = resources.files("frugalfl.envs.scenarios").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"scenario: {path}: {error.strerror or error}; expected a readable YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ValueError(f"scenario: {path}{where}: not a YAML document") from None
    if not isinstance(document, dict):
        raise ValueError(f"scenario: {path}: expected a mapping of fields, got {type(document).__name__}")
    return document


def _merge(old: Any, new: Any) -> Any:
    """Keys of a mapping change one by one; anything else, and any specification by kind, is replaced."""
    if isinstance(new, BaseModel):
        new = new.model_dump(exclude_unset=True)
    if isinstance(old, Mapping) and isinstance(new, Mapping) and "kind" not in new:
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return dict(new) if isinstance(new, Mapping) else new
