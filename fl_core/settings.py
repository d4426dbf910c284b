"""Validated settings of the federated core and the one-line errors they raise."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TrainingSettings(Settings):
    """How one client trains in one round, and how far the server follows.

    The default learning rate is chosen for the embedded digits with the softmax model: a round of ten
    clients with ten steps each gains little enough that reaching the plateau takes tens of rounds, so
    that *who* trains *when* is a decision with consequences.

    Attributes:
        learning_rate: SGD step size of the clients.
        batch_size: Rows per local step, drawn uniformly with replacement from the rows a client holds.
        weight_decay: L2 coefficient added to the gradient of every parameter.
        prox_mu: FedProx coefficient ``mu``: adds ``mu (w - w_start)`` to the gradient.
        server_learning_rate: Step of the server along the aggregated update.
    """

    learning_rate: float = Field(default=0.02, gt=0)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    weight_decay: float = Field(default=0.0, ge=0)
    prox_mu: float = Field(default=0.0, ge=0)
    server_learning_rate: float = Field(default=1.0, gt=0)


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse_settings(kind: type[SettingsT], value: Mapping[str, Any], where: str) -> SettingsT:
    """Validates a mapping against a settings model.

    Args:
        kind: The settings model.
        value: Field names and values.
        where: What is being configured; opens the error message.

    Returns:
        The validated settings.

    Raises:
        ValueError: One line naming the field, its value and what was expected.
    """
    try:
        return kind(**value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            expected = f"unknown field; {suggest(field, kind.model_fields)}"
        else:
            expected = first["msg"]
        raise ValueError(f"{where}: {field}={first['input']!r}: {expected}") from None


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns "did you mean ...?" with the closest known name, or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def split_spec(spec: str | Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """Splits ``"name"`` or ``{"kind": ..., **settings}`` into the kind and its settings.

    Raises:
        ValueError: If the mapping has no ``kind``.
    """
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("kind"), str):
        rest = dict(spec)
        return rest.pop("kind"), rest
    raise ValueError(f"{where}={spec!r}: expected a name or a mapping with the key 'kind'")
