"""Options of a scenario: late updates, liars, personal models, data at the hub, leads of forecasts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ...common.settings import Settings, Spec, split_spec
from ...fl_core.aggregation import ATTACKS
from ...fl_core.federation import Pretraining
from .checked import AttackField
from .costs import LEAKAGE, Preferences


class Late(Settings):
    """What becomes of a client that still works when its round closes, at the quorum or at the deadline.

    `drop` (the default) cancels it. The others let it go on: it is busy, and an invitation to it is a repair,
    until its update has entered the model at the close of a later training round, its session has ended, or
    it is cancelled because the model has changed more than `max_rounds` times since. They differ in the
    weights: `keep` leaves them to the scenario's aggregator, `staleness` takes REFL's (Abdelmoniem et al.
    2023) and `buffer` moves the model once per `size` updates (FedBuff, Nguyen et al. 2022).

    Attributes:
        kind: one of the four.
        max_rounds: oldest model, in changes of it, whose updates are still welcome.
        beta: of `staleness` only; 0.35 by default.
        size: of `buffer` only; 10 by default.
    """

    kind: Literal["drop", "keep", "staleness", "buffer"] = "drop"
    max_rounds: Annotated[int, Field(ge=1, le=1000)] = 20
    beta: Annotated[float, Field(ge=0, le=1)] | None = None
    size: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _belongs(self) -> Late:
        for name, kind in (("beta", "staleness"), ("size", "buffer")):
            value = getattr(self, name)
            if value is not None and self.kind != kind:
                raise ValueError(f"{name}: {value}, expected only with kind: {kind}, not {self.kind}")
        return self

    @property
    def aggregator(self) -> Spec | None:
        """The aggregator it brings along, if any."""
        if self.kind == "staleness":
            return {"kind": "refl"} if self.beta is None else {"kind": "refl", "beta": self.beta}
        if self.kind == "buffer":
            return {"kind": "fedbuff"} if self.size is None else {"kind": "fedbuff", "size": self.size}
        return None


_PERSONAL: dict[str, tuple[str, float]] = {
    "neighbours": ("knn", 10),
    "share": ("knn", 0.5),
    "blocks": ("blocks", 4),
    "components": ("mixture", 3),
}


class Evaluation(Settings):
    """What the clients use in the end, as `FederatedWorld.client_scores` measures it and charges for it.

    `none` (the default): the global model. `knn`: each client mixes it with the labels of its nearest own
    rows (Marfoq et al. 2022), one forward pass over them. `blocks`: one snapshot of the model per block of
    hours of the day, a client using that of the block in which it was mostly seen (Eichner et al. 2019), one
    more download. `mixture`: FedEM's components (Marfoq et al. 2021) are trained beside the global model by
    the same clients in the same rounds: bytes and local steps are charged once more for each component, and a
    forward pass of all components over the client's rows with every round and at the end.

    Attributes:
        personal: one of the four.
        neighbours: of `knn`; 10 by default.
        share: of `knn`, the weight of the neighbours; 0.5 by default.
        blocks: of `blocks`, into how many the day is divided; 4 by default.
        components: of `mixture`; 3 by default.
    """

    personal: Literal["none", "knn", "blocks", "mixture"] = "none"
    neighbours: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    blocks: Annotated[int, Field(ge=1, le=24)] | None = None
    components: Annotated[int, Field(ge=1, le=16)] | None = None

    @model_validator(mode="after")
    def _belongs(self) -> Evaluation:
        for name, (kind, _) in _PERSONAL.items():
            value = getattr(self, name)
            if value is not None and self.personal != kind:
                raise ValueError(f"{name}: {value}, expected only with personal: {kind}, not {self.personal}")
        return self

    def setting(self, name: str) -> float:
        """A setting as given, or its default."""
        value = getattr(self, name)
        return _PERSONAL[name][1] if value is None else value

    @property
    def models(self) -> int:
        """Models trained in every round, the global one included."""
        return 1 + int(self.setting("components")) if self.personal == "mixture" else 1


class Forecasting(Settings):
    """How far ahead the coordinator's forecasts reach."""

    availability_leads_s: tuple[Annotated[float, Field(gt=0)], ...] = (1800.0, 7200.0)
    carbon_leads_s: tuple[Annotated[float, Field(gt=0)], ...] = (3600.0, 10800.0, 21600.0, 43200.0)


class Malicious(Settings):
    """Clients that lie to the coordinator about their updates, and how.

    Who lies is drawn for each episode from its seed, whatever else is drawn: the clients' machines, hours and
    rows are the same with liars and without. Nobody who schedules is told; evaluators find it in
    `info["client_malicious"]` and `FederatedWorld.malicious`. Liars take part, cost and report like others.

    A robust aggregator protects the model up to a number of liars. It cannot tell them from an honest
    minority whose data are of another kind, which loses its say as well; and weights by the rows that clients
    report would undo its guarantee, since a liar may report any number.

    Attributes:
        share: of the clients, rounded to a whole number of them; one at least stays honest.
        attack: what they do, a name or a mapping with settings, see the table of attacks.
    """

    share: Annotated[float, Field(ge=0, lt=1)]
    attack: AttackField = "sign-flip"

    def count(self, clients: int) -> int:
        """How many of so many clients lie."""
        return min(round(self.share * clients), clients - 1)

    def check_with(self, personal: str, quadratic: bool) -> None:
        """Refuse what does not go together; ValueError of one line."""
        attack = ATTACKS.make(self.attack)
        if quadratic and attack.flips_labels:
            raise ValueError(
                f"malicious: attack: {attack.name}, expected another one: quadratics have no labels"
            )
        if personal == "mixture":
            raise ValueError(
                "malicious: expected nobody where evaluation.personal is mixture, of plain means"
            )


class HubData(Settings):
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


def check_base(
    trainable: Spec,
    pretrained: Pretraining | None,
    evaluation: Evaluation,
    quadratic: object,
    arrivals: object,
) -> None:
    """Refuse factors without a base, and what neither has a meaning with; ValueError of one line."""
    kind, personal = split_spec(trainable, "trainable")[0], evaluation.personal
    if quadratic is not None and (pretrained is not None or kind != "all"):
        name = "pretrained: given" if pretrained is not None else f"trainable: {kind}"
        raise ValueError(f"{name}, expected none in a world of quadratics, which have no layers and no base")
    if kind != "all" and pretrained is None:
        raise ValueError(
            f"trainable: {kind}, expected with pretrained: {{steps: 1000}} or the like, which makes the base "
            "that stays as it is; or use all"
        )
    if kind != "all" and (personal != "none" or arrivals is not None):
        name = "arrivals" if arrivals is not None else f"evaluation.personal: {personal}"
        raise ValueError(f"trainable: {kind}, expected all with {name}, where whole models are handed on")
    if pretrained is not None and personal == "mixture":
        raise ValueError("pretrained: given, expected none where evaluation.personal: mixture begins apart")


def check_leakage(
    preferences: Preferences, overheard: str, quadratic: object, arrivals: object, model: Spec
) -> None:
    """Refuse a price of leakage where there is nothing to overhear; ValueError of one line."""
    if LEAKAGE not in preferences.reward_terms:
        if overheard != "updates":
            raise ValueError(
                f"overheard: {overheard}, expected updates where preferences: price_per_auc, which it is "
                "about, is 0"
            )
        return
    why = None
    if quadratic is not None:
        why = "a world of quadratics, whose clients have no rows"
    elif arrivals is not None:
        why = "a world with arrivals: what a client trains on changes all the time"
    elif split_spec(model, "model")[0] == "cox":
        why = "a world of model cox: a single row has no likelihood of its own"
    if why is not None:
        raise ValueError(
            f"preferences: price_per_auc: {preferences.price_per_auc}, expected none (0) in {why}"
        )
