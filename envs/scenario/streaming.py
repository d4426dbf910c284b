"""The block `serving` of a scenario: what clients are asked, and with which model they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from ...common.settings import Settings
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


class _Streams(Protocol):
    """The fields of a scenario that arrivals have to do with."""

    arrivals: str | Mapping[str, object] | None
    quadratic: Settings | None
    hub: HubData
    late: Late
    evaluation: Evaluation
    topology: str
    mixture: tuple[dict[str, object], ...]


_BLOCKS = ("memory", "drift", "serving")


def check_streams(scenario: _Streams) -> None:
    """Refuse what does not go together with arrivals, or has no meaning without; ValueError of one line."""
    if scenario.arrivals is None:
        for name in _BLOCKS:
            block = getattr(scenario, name)
            if block != type(block)():
                raise ValueError(f"{name}: {block!r}, expected none without arrivals, which it is about")
        return
    wrong = {
        "hub: share": (
            scenario.hub.share > 0,
            scenario.hub.share,
            "0: clients train on what they were asked",
        ),
        "late: kind": (scenario.late.kind != "drop", scenario.late.kind, "drop: memories go on meanwhile"),
        "topology": (scenario.topology != "server", scenario.topology, "server"),
        "evaluation: personal": (
            scenario.evaluation.personal != "none",
            scenario.evaluation.personal,
            "none",
        ),
        "quadratic": (scenario.quadratic is not None, "given", "none"),
        "mixture": (bool(scenario.mixture), "several kinds", "none"),
    }
    for name, (bad, value, expected) in wrong.items():
        if bad:
            raise ValueError(f"{name}: {value}, expected {expected} in a world with arrivals")
