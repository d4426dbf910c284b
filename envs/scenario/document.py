"""The scenario: one validated document that says what a world is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from ...common.settings import Settings, Spec, unless_said
from ...common.units import SECONDS_PER_HOUR
from ...fl_core.aggregation import bits_of, is_server_optimiser
from ...fl_core.data.streams import Drift, Memory
from ...fl_core.federation import Fragments, Pretraining
from ...fl_core.quadratics import QuadraticSettings
from ...fl_core.training import LocalTraining
from .checked import (
    AggregatorField,
    ArrivalsField,
    AvailabilityField,
    CarbonField,
    CompressionField,
    DatasetField,
    DevicesField,
    FileName,
    ModelField,
    PartitionField,
    TrainableField,
    TrainerField,
)
from .costs import Budgets, Preferences, Workload
from .levels import Levels
from .options import Evaluation, Forecasting, HubData, Late, Malicious, check_base, check_leakage
from .streaming import Asking, Serving, check_streams


class Scenario(Settings):
    """One world: who takes part, on what data, at which costs.

    The whole document, hence more fields than most records. What is written in it is validated when it is
    read, as far as that needs no file.

    Attributes:
        name: what tables and files call it: letters, digits, "-", "_" and ".".
        clients: N; `silos` in a document: as many as rows of the data set were born at.
        zones: Z; clients are dealt to the zones evenly.
        availability: generator, its settings, or a file; see `traces.availability.make`.
        carbon: zone names, files, or settings; see `traces.carbon.make`.
        devices: class of devices or its settings; see `traces.devices.classes`.
        dataset: see `fl_core.data.dataset`.
        partition: see `fl_core.data.partitions`.
        model: see `fl_core.models.make`.
        pretrained: the base that every episode's model begins from, see `Pretraining`, e.g. `{steps: 500,
            dataset: digits}`; None = none, it is initialised anew.
        trainable: what of the model is trained and exchanged, see `fl_core.models.fine_tuned`: `all`, or with
            a base `lora` or `{kind: lora, rank: 4, matrices: [attend], whole: [head]}`. Whatever is charged
            by the model's bytes is charged by the share of them that the factors have, and whoever begins a
            session fetches the frozen weights first, like `workload.setup_bytes`.
        training: a client's local SGD; a document holds the fields that were given.
        aggregator: see `fl_core.aggregation.base`.
        compression: of the updates on their way back, see `fl_core.aggregation.compression`, e.g. `8-bit`,
            `{kind: top-k, share: 0.1, error_feedback: true}` or `{kind: 4-bit, error_feedback: true}`; None =
            none. With `{kind: rounded, bits: 8}` and `levels={upload_bits: [4, 8, 16]}` the bits are a
            decision of every plan. What enters the model is the
            decompressed update, and an upload is charged the workload's model bytes times the share of the
            trained model's bytes that the compressed update really takes.
        fragments: how much of the model a round exchanges, see `Fragments`: with `{count: 4}` a quarter of it
            in turn (Streaming DiLoCo), while workers go on from models of their own. Whoever begins a session
            fetches the whole model.
        malicious: clients that lie, see `Malicious`, e.g. `{share: 0.2, attack: alie}`; None = nobody does.
        late: what becomes of clients that are late, see `Late`, e.g. `{kind: staleness, beta: 0.35}`.
        evaluation: what the clients use in the end, see `Evaluation`, e.g. `{personal: knn, share: 0.5}`.
        topology: "server" (the default): the coordinator exchanges models with every participant. Or an
            overlay ("star", "ring", "mst", "mbst", "best", see `envs.round.topology`; Marfoq et al. 2020):
            the participants of a round, if there are two or more, exchange models with each other. The round
            lasts the overlay's cycle time for all of them; there is no quorum. A participant's work in it is
            its local steps, the transfer of its samples and, if its last update is not in the present model,
            fetching that from the coordinator. It is charged a (compressed) model for each neighbour each
            way, evenly over the cycle. What is learned is still the exact aggregate of those who finished:
            how slowly an overlay mixes is not modelled. `Situation.round_s` and its sisters go on assuming
            the server.
        trainer: which local trainer serves; "auto" takes the fastest one that fits the model.
        quadratic: clients minimise heterogeneous quadratics with an exact optimum; data set, partition and
            model are not used.
        hub: data at the coordinator.
        workload: what a round is charged for.
        preferences: prices.
        overheard: what the eavesdropper hears that a price of leakage is about (`preferences: {price_per_auc:
            2}`, a fifth term of the reward, see docs/robustness.md): `updates`, each as it arrives; or
            `sums`, the models before and after each round alone, which is what secure aggregation leaves to
            hear, and what anybody sees who is sent the models.
        budgets: what the run may spend, for all episodes or drawn for each.
        levels: the agent's menu.
        forecasting: leads of the forecasts in the situation.
        max_rounds: training rounds after which the episode is truncated; waits and probes use hours instead.
            So that a loop ends, ten decisions of any kind per round of the limit truncate it as well.
        target_accuracy: validation accuracy at which it terminates; None = never.
        arrivals: requests that clients are asked all the time, a model of them or a file; see
            `traces.arrivals.make`. None, the default: nobody asks, and the reward is the model's accuracy.
            With arrivals the reward is right answers, net: 100 points times their share of the requests that
            the whole episode may expect. Clients answer with the version they hold, learn the true labels
            later and train on the rows that they still remember; whoever remembers none cannot be invited.
            `accuracy` and `loss` are then what the known answers say. An end of the run, whatever brought it
            about, ends the training: the held versions serve until the budget of hours is over.
        memory: what clients keep of what they were asked, see `Memory`, e.g. `{rule: reservoir, rows: 100}`.
        drift: how concepts change meanwhile, see `Drift`, e.g. `{kind: shift, mean_h: 8}`.
        serving: with what they answer, and who may be sent new models, see `Serving`, e.g. `{model: global}`.
        exits: clients answer from an early exit of the model and ask the hub where they are not sure, see
            `Asking`, e.g. `{price: 10}` with `model: exits` and `levels={ask_below: [0, 0.5, 0.9]}`; None,
            the default: everybody holds the whole model.
        mixture: kinds of world that every episode is one of, each the fields in which it differs from this
            document, and its `share` of the episodes (1 by default, divided by the sum), e.g. `[{name: deep,
            model: mlp}, {name: few, clients: 8, share: 2}]`; none = one kind. Zones, levels, leads of
            forecasts and the limit of rounds are common to all kinds. A kind may have fewer clients than the
            document says; the rest of the rows then stand for nobody: zeros in observations, never
            available. The kind is drawn from the episode's seed and not shown.
    """

    name: FileName
    clients: Annotated[int, Field(ge=1, le=100_000)]
    zones: Annotated[int, Field(ge=1, le=1000)]
    availability: AvailabilityField
    carbon: CarbonField
    devices: DevicesField
    dataset: DatasetField = "digits"
    partition: PartitionField = "iid"
    model: ModelField = "softmax"
    pretrained: Pretraining | None = None
    trainable: TrainableField = "all"
    training: LocalTraining = LocalTraining()
    aggregator: AggregatorField = "by-samples"
    compression: CompressionField | None = None
    fragments: Fragments = Fragments()
    malicious: Malicious | None = None
    late: Late = Late()
    evaluation: Evaluation = Evaluation()
    topology: Literal["server", "star", "ring", "mst", "mbst", "best"] = "server"
    trainer: TrainerField = "auto"
    quadratic: QuadraticSettings | None = None
    hub: HubData = HubData()
    workload: Workload = Workload()
    preferences: Preferences = Preferences()
    overheard: Literal["updates", "sums"] = "updates"
    budgets: Budgets = Budgets()
    levels: Levels = Levels()
    forecasting: Forecasting = Forecasting()
    max_rounds: Annotated[int, Field(ge=1)] = 60
    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    arrivals: ArrivalsField | None = None
    memory: Memory = Memory()
    drift: Drift = Drift()
    serving: Serving = Serving()
    exits: Asking | None = None
    mixture: tuple[dict[str, object], ...] = ()

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return unless_said(self, write(self), "overheard")

    @field_serializer("training", "quadratic")
    def _as_given(self, value: Settings | None, info: SerializationInfo) -> dict[str, object] | None:
        return None if value is None else value.model_dump(mode=info.mode, exclude_unset=True)

    @model_validator(mode="after")
    def _one_aggregator(self) -> Scenario:
        brought = self.late.aggregator
        if brought is None or self.aggregator == "by-samples":
            return self
        if self.late.kind == "staleness" and is_server_optimiser(self.aggregator):
            return self
        raise ValueError(
            f"aggregator: {self.aggregator!r}, expected by-samples: late of kind {self.late.kind} brings its "
            "own; say aggregator: by-samples, or use kind: keep"
        )

    @property
    def all_in_all_aggregator(self) -> Spec:
        """From updates to the server's step: what late updates bring along, below the server's optimiser."""
        brought = self.late.aggregator
        if brought is None:
            return self.aggregator
        if self.aggregator == "by-samples":
            return brought
        optimiser = self.aggregator if isinstance(self.aggregator, Mapping) else {"kind": self.aggregator}
        return {**optimiser, "weighting": brought}

    @model_validator(mode="after")
    def _nobody_late_in_overlays(self) -> Scenario:
        if self.topology != "server" and self.late.kind != "drop":
            raise ValueError(f"topology: {self.topology}, expected server where late is {self.late.kind}")
        return self

    @model_validator(mode="after")
    def _tells_the_parts_of_an_action(self) -> Scenario:
        decisions = ("server_step", "upload_bits", "ask_below")
        several = [name for name in decisions if len(getattr(self.levels, name)) > 1]
        several += ["refresh"] * (len(self.refresh_levels) > 1)
        if several and self.clients <= len(several):
            raise ValueError(
                f"levels: {several[-1]}: several levels, expected one in a world of {self.clients} clients"
            )
        return self

    @property
    def refresh_levels(self) -> tuple[int, ...]:
        """The levels of `RoundPlan.refresh`; none where clients are asked nothing."""
        return () if self.arrivals is None else self.serving.refresh_levels

    @model_validator(mode="after")
    def _streams(self) -> Scenario:
        check_streams(self)
        return self

    @model_validator(mode="after")
    def _rounds_to_the_bits_it_offers(self) -> Scenario:
        bits = self.levels.upload_bits
        if bits and bits_of(self.compression) not in bits:
            raise ValueError(
                f"levels: upload_bits: {bits}, expected compression: {{kind: rounded, bits: {bits[-1]}}}, or "
                f"another of them, not {self.compression!r}"
            )
        if bits and self.topology != "server":
            raise ValueError(f"levels: upload_bits: {bits}, expected none with topology: {self.topology}")
        return self

    @model_validator(mode="after")
    def _exchanges_in_whole_or_plainly(self) -> Scenario:
        options = {
            "late.kind": (self.late.kind, "drop"),
            "topology": (self.topology, "server"),
            "evaluation.personal": (self.evaluation.personal, "none"),
            "malicious": (self.malicious, None),
            "quadratic": (self.quadratic, None),
            "arrivals": (self.arrivals, None),
        }
        for name, (value, expected) in options.items():
            if self.fragments.count > 1 and value != expected:
                count = self.fragments.count
                raise ValueError(f"fragments: count: {count}, expected 1 with {name}: {value!r}")
        return self

    @model_validator(mode="after")
    def _begins_from_a_base(self) -> Scenario:
        check_base(self.trainable, self.pretrained, self.evaluation, self.quadratic, self.arrivals)
        return self

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the terms of the reward, in the order of the vector."""
        return self.preferences.reward_terms

    @model_validator(mode="after")
    def _pays_for_what_leaks(self) -> Scenario:
        check_leakage(self.preferences, self.overheard, self.quadratic, self.arrivals, self.model)
        return self

    @property
    def upload_bits(self) -> int:
        """Bits of an update's coordinates if a plan says nothing, where they are a decision; else 0."""
        return bits_of(self.compression) if self.levels.upload_bits else 0

    @model_validator(mode="after")
    def _personal_models(self) -> Scenario:
        personal = self.evaluation.personal
        if personal != "none" and self.quadratic is not None:
            raise ValueError(f"evaluation: personal: {personal}, expected none in a world of quadratics")
        if personal == "mixture" and (self.late.kind != "drop" or self.compression is not None):
            raise ValueError("evaluation: personal: mixture, expected neither late updates nor compression")
        if self.malicious is not None:
            self.malicious.check_with(personal, self.quadratic is not None)
        return self

    @property
    def horizon_s(self) -> float:
        """Seconds of traces an episode may need: the hour budget, the longest wait and one last round."""
        waits = [wait for wait in self.levels.wait_s if wait != float("inf")]
        return (
            self.budgets.largest[0] * SECONDS_PER_HOUR
            + max(waits)
            + self.workload.longest_round_s
            + max(self.forecasting.carbon_leads_s)
        )
