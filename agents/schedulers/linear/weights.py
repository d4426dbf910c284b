"""The weights of a linear rule: their names, meanings, and where a search begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Floats
from ....common.spelling import suggest
from .features import (
    CLIENT_FEATURES,
    RUN_FEATURES,
    SERVED_CLIENT_FEATURES,
    SERVED_RUN_FEATURES,
    ClientFeature,
    RunFeature,
)

Theta: TypeAlias = Mapping[str, float] | ArrayLike
"""Weights by name, those not named as at the start; or `[P]` in the order of `WEIGHTS`; or `[E, P]`."""


@dataclass(frozen=True)
class Weight:
    """One weight of the rule.

    Attributes:
        meaning: for tables.
        start: where a search begins.
        spread: how far it looks around that at first.
        served: whether it has a meaning only where models serve.
    """

    meaning: str
    start: float = 0.0
    spread: float = 0.35
    served: bool = False


@dataclass(frozen=True)
class Decision:
    """A decision that is a function of a linear form of the run's features."""

    meaning: str
    start: Mapping[str, float]


DECISIONS: dict[str, Decision] = {
    "participants": Decision("logarithm of the answers wanted", {"1": log(3), "progress": 0.2}),
    "local-steps": Decision("logarithm of the local steps", {"1": log(15), "progress": -0.6}),
    "over-selection": Decision("logarithm of the invitations per answer wanted", {"1": 0.2}),
    "quorum": Decision("log-odds of the share of the wanted answers that closes a round", {"1": 2.0}),
    "transfer-samples": Decision("logarithm of the samples sent to a client in all", {"1": log(60)}),
    "wait": Decision("log-odds of the share of the round's carbon that a wait must save", {"1": -1.0}),
    "upload-bits": Decision("logarithm of the bits of an update's coordinates", {"1": log(8)}),
    "stop": Decision("logarithm of the rounds after which the run ends, without gain", {"1": 2.6}),
}
"""Decisions by name, each with one weight per feature of the run."""

SERVED_DECISIONS: dict[str, Decision] = {
    "pause": Decision("logarithm of the half hours from round to round, at least", {"1": log(2)}),
    "refresh": Decision(
        "who is sent the new model: next to 0 nobody, 1 participants, 2 all there", {"1": 2.0}
    ),
}
"""Further decisions where models serve."""

OTHERS: dict[str, Weight] = {
    "who.noise": Weight("logarithm of the deviation of chance in the score", -1.0, 0.5),
    "balance": Weight(
        "exponent of a client's speed in its local steps: 0 equal steps, 1 equal time", 0.6, 0.3
    ),
    "min-survival": Weight("clients with a smaller chance to finish are left out", 0.4, 0.25),
    "wait.hours": Weight("logarithm of the weight of the hours that a wait costs", -1.0, 0.5),
    "stop.gain": Weight("logarithm of the weight of the recent gain per price against stopping", -1.0, 0.4),
}
"""Weights outside the linear forms, by name."""


def _table() -> dict[str, Weight]:
    """Those that mean something in every world first; vectors of them begin alike everywhere."""
    found: dict[str, Weight] = {}
    for decision in DECISIONS:
        found |= _of_decision(decision, RUN_FEATURES, served=False)
    found |= _of_clients(CLIENT_FEATURES, served=False) | OTHERS
    for decision in DECISIONS:
        found |= _of_decision(decision, SERVED_RUN_FEATURES, served=True)
    for decision in SERVED_DECISIONS:
        found |= _of_decision(decision, RUN_FEATURES | SERVED_RUN_FEATURES, served=True)
    return found | _of_clients(SERVED_CLIENT_FEATURES, served=True)


def _of_decision(decision: str, features: Mapping[str, RunFeature], served: bool) -> dict[str, Weight]:
    """The weights of a decision's linear form."""
    what, found = (DECISIONS | SERVED_DECISIONS)[decision], {}
    for name, feature in features.items():
        spread = 0.5 if name == "1" else 0.35
        meaning = f"{what.meaning}, per {feature.meaning}"
        found[f"{decision}.{name}"] = Weight(meaning, what.start.get(name, 0.0), spread, served)
    return found


def _of_clients(features: Mapping[str, ClientFeature], served: bool) -> dict[str, Weight]:
    """The weights of clients' scores."""
    found = {}
    for name, client in features.items():
        found[f"who.{name}"] = Weight(f"score per {client.meaning}", client.start, 0.5, served)
        if client.over_time:
            meaning = f"score per {client.meaning}, times the run's progress"
            found[f"who.{name}.progress"] = Weight(meaning, served=served)
    return found


WEIGHTS: dict[str, Weight] = _table()
"""Every weight by name, in the order of a vector theta."""
INDEX: dict[str, int] = {name: place for place, name in enumerate(WEIGHTS)}
START: Floats = np.array([weight.start for weight in WEIGHTS.values()])
"""`[P]`, where a search begins."""
SPREAD: Floats = np.array([weight.spread for weight in WEIGHTS.values()])
"""`[P]`, how far it looks around that at first."""


def theta_rows(theta: Theta | None) -> Floats:
    """Weights as `[rows, P]`, one row or one per environment.

    Raises:
        ValueError: an unknown name (with a suggestion), a wrong shape or a number that is not finite.
    """
    if isinstance(theta, Mapping):
        rows = START.copy()
        for name, value in theta.items():
            if name not in INDEX:
                raise ValueError(f"theta: {name!r} is no weight of the linear rule; {suggest(name, WEIGHTS)}")
            rows[INDEX[name]] = value
    else:
        rows = np.array(START if theta is None else theta, dtype=np.float64)
    rows = np.atleast_2d(rows)
    if rows.ndim != 2 or rows.shape[1] != len(WEIGHTS):
        raise ValueError(
            f"theta: shape {rows.shape}, expected {len(WEIGHTS)} weights in the order of WEIGHTS; give those "
            "of another version by name"
        )
    if not np.isfinite(rows).all():
        raise ValueError("theta: not finite, expected finite weights")
    return rows


def by_name(theta: Floats) -> dict[str, float]:
    """Weights `[P]` by name, JSON-able."""
    return {name: float(value) for name, value in zip(WEIGHTS, theta, strict=True)}
