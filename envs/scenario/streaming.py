"""Blocks `serving` and `exits` of a scenario: what clients are asked, and what answers."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from ...common.ranges import Drawn
from ...common.settings import Settings, Spec, split_spec
from ...fl_core.data.streams import Drift, Memory
from ...fl_core.federation import Fragments
from ...fl_core.models import MODELS
from .costs import NotNegative
from .levels import Levels
from .options import Evaluation, HubData, Late

_ORDER = ("none", "participants", "available")


class Serving(Settings):
    """How clients answer requests, in worlds with `arrivals`.

    Attributes:
        model: `held`: with the version each last received, with an invitation or a refresh; `global`: with
            the newest one, as if answers came from the server.
        refresh: who may be sent the new model after a round, the levels of a decision of every plan; the last
            is what happens where a plan says nothing.
        rows: what is asked. `mix`: any row of the data set with a label by the client's own mix; `own`: the
            client's own rows of the partition in their order, again and again; `order`: its own rows in the
            order of the data set, from one place for all clients that is drawn for each episode, as recorded
            streams need it.
    """

    model: Literal["held", "global"] = "held"
    refresh: Annotated[
        tuple[Literal["none", "participants", "available"], ...], Field(min_length=1, max_length=3)
    ] = ("none", "participants", "available")
    rows: Literal["mix", "own", "order"] = "mix"

    @model_validator(mode="after")
    def _in_order(self) -> Serving:
        places = [_ORDER.index(name) for name in self.refresh]
        if places != sorted(set(places)):
            raise ValueError(f"refresh: {list(self.refresh)}, expected some of {list(_ORDER)} in this order")
        return self

    @property
    def refresh_levels(self) -> tuple[int, ...]:
        """The levels of `RoundPlan.refresh`."""
        return tuple(_ORDER.index(name) for name in self.refresh)


class Asking(Drawn):
    """Clients that answer from the first exit of the model, and ask the hub where they are not sure.

    A client holds the model up to its first exit, which a refresh is as large as, and answers from it if its
    confidence, the largest probability, is not below a threshold: a level of `levels: ask_below`. Else, while
    its session runs, it sends the question to the hub, which answers from the last head of the newest model.
    A question is as large as a sample, and its bytes are charged like all others; its answer is a few bytes.
    The hub's own energy is not charged, as in all worlds.

    Attributes:
        price: what a question costs beside its bytes, in hundredths of a right answer: what it is worth that
            nobody waits for the hub.
    """

    price: Annotated[NotNegative, Field(le=1e6)] | tuple[NotNegative, NotNegative] = 10.0


class _Streams(Protocol):
    """The fields of a scenario that arrivals have to do with."""

    @property
    def arrivals(self) -> object: ...

    @property
    def memory(self) -> Memory: ...

    @property
    def drift(self) -> Drift: ...

    @property
    def hub(self) -> HubData: ...

    @property
    def late(self) -> Late: ...

    @property
    def evaluation(self) -> Evaluation: ...

    @property
    def fragments(self) -> Fragments: ...

    @property
    def topology(self) -> object: ...

    @property
    def quadratic(self) -> object: ...

    @property
    def model(self) -> Spec: ...

    @property
    def exits(self) -> Asking | None: ...

    @property
    def levels(self) -> Levels: ...

    @property
    def serving(self) -> Serving: ...


_BLOCKS = ("memory", "drift", "serving")


def check_streams(scenario: _Streams) -> None:
    """Refuse what does not go together with arrivals, or has no meaning without; ValueError of one line."""
    if scenario.arrivals is None:
        for name in _BLOCKS:
            block = getattr(scenario, name)
            if block != type(block)():
                raise ValueError(f"{name}: {block!r}, expected none without arrivals, which it is about")
        if scenario.exits is not None:
            raise ValueError(f"exits: {scenario.exits!r}, expected none without arrivals, which it is about")
    _check_exits(scenario)
    if scenario.arrivals is None:
        return
    wanted = {
        "hub: share": (scenario.hub.share, 0.0, "clients train on what they were asked"),
        "late: kind": (scenario.late.kind, "drop", "memories change while a late client is at work"),
        "topology": (scenario.topology, "server", "who is asked answers with a version of the server's"),
        "evaluation: personal": (
            scenario.evaluation.personal,
            "none",
            "answers are scored when they are given, by the version that is held",
        ),
        "fragments: count": (
            scenario.fragments.count,
            1,
            "between exchanges a worker's model is its own, no version that answers",
        ),
    }
    for name, (value, expected, why) in wanted.items():
        if value != expected:
            raise ValueError(f"{name}: {value!r}, expected {expected!r} in a world with arrivals: {why}")
    _check_quadratics(scenario)


def _check_exits(scenario: _Streams) -> None:
    """Refuse thresholds without anybody to ask, and asking where there is nobody or nothing to ask about."""
    levels = scenario.levels.ask_below
    if scenario.exits is None:
        if levels:
            raise ValueError(f"levels: ask_below: {levels}, expected none without exits; say exits: {{}}")
        return
    if not levels:
        raise ValueError(
            "levels: ask_below: none, expected at least one level with exits, e.g. [0, 0.5, 0.9]"
        )
    if scenario.quadratic is not None:
        raise ValueError("exits: given, expected none in a world of quadratics, which have no classes")
    if scenario.serving.model != "held":
        raise ValueError(
            f"serving: model: {scenario.serving.model}, expected held with exits: whoever answers with the "
            "newest model has nothing to ask the hub"
        )
    name, _ = split_spec(scenario.model, "model")
    if ":" not in name and not MODELS.make(scenario.model).has_exits:
        raise ValueError(
            f"model: {name!r}, expected one with an early exit where exits is given; say model: exits"
        )


def _check_quadratics(scenario: _Streams) -> None:
    """Refuse drifts of data in worlds of quadratics and the other way round, and memories without rows."""
    kind = scenario.drift.kind
    if scenario.quadratic is None:
        if scenario.drift.of_quadratics:
            raise ValueError(f"drift: kind: {kind}, expected another one without quadratic, which it is of")
        return
    if kind != "none" and not scenario.drift.of_quadratics:
        raise ValueError(f"drift: kind: {kind}, expected none, walk or jumps in a world of quadratics")
    for name in ("rule", "rows", "ephemeral"):
        value, default = getattr(scenario.memory, name), Memory.model_fields[name].default
        if value != default:
            expected = f"{default} in a world of quadratics, whose clients keep no rows"
            raise ValueError(f"memory: {name}: {value}, expected {expected}")
