"""The model card of a trained scheduler: who it is, how it was trained, what it reached."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...common.files import read_json

FORMAT = "frugalfl-scheduler-1"
CARD, WEIGHTS, README = "card.json", "weights.safetensors", "README.md"


@dataclass(frozen=True)
class Card:
    """What `card.json` says; JSON-able.

    Attributes:
        name: what tables call it.
        env: id of the environment it was trained in.
        scenario: name of its world.
        trained_clients: N there.
        algo: learning algorithm.
        decision: how plans are taken from its probabilities, see `LearnedScheduler`.
        features: names of the observation's columns that the weights read: `clients`, `server`; and `zones`,
            the number of columns of a zone.
        choices: number of levels by name: `wait_s`, `quorum`, `local_steps`, `transfer_samples` (1: none).
        policy: arguments of the set policy.
        weights_sha256: checksum of the weights' file.
        settings: the training run's settings (`RunSettings.to_json`); `seed` is among them.
        command: what trained it; empty if unknown.
        version: of the package that trained it.
        git: commit that trained it, or None.
        rounds_trained: length of the training.
        validation: `net_points` on `val` and the rounds after which they were reached.
        curve: the training curve: `rounds_trained`, `net_points` in training, `val_net_points`.
        test: figures on the `test` split: `command`, `episodes` and one entry per scheduler in `table`.
    """

    name: str
    env: str
    scenario: str
    trained_clients: int
    algo: str
    decision: str
    features: Mapping[str, Any]
    choices: Mapping[str, int]
    policy: Mapping[str, Any]
    weights_sha256: str
    settings: Mapping[str, Any]
    command: str
    version: str
    git: str | None
    rounds_trained: int
    validation: Mapping[str, Any]
    curve: list[dict[str, Any]]
    test: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The document of `card.json`."""
        return {"format": FORMAT, **asdict(self)}


def read_card(folder: Path) -> Card:
    """The card of a folder.

    Raises:
        ValueError: one line: no such file, not a card, or a field missing or of another type.
    """
    path = folder / CARD
    document = read_json(path, "scheduler")
    if document.pop("format", None) != FORMAT:
        raise ValueError(f"scheduler: {path}: not the card of a trained scheduler ({FORMAT!r})")
    kinds: dict[str, tuple[type, ...]] = {
        "rounds_trained": (int,),
        "trained_clients": (int,),
        "curve": (list,),
        "git": (str, type(None)),
    }
    kinds |= dict.fromkeys(("features", "choices", "policy", "settings", "validation", "test"), (dict,))
    for item in fields(Card):
        value = document.get(item.name, _MISSING)
        if value is _MISSING or not isinstance(value, kinds.get(item.name, (str,))):
            raise ValueError(f"scheduler: {path}: field {item.name!r} is missing or of another type")
    odd = sorted(set(document) - {item.name for item in fields(Card)})
    if odd:
        raise ValueError(f"scheduler: {path}: field {odd[0]!r} is unknown")
    return Card(**document)


def sha256(path: Path) -> str:
    """Checksum of a file; ValueError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"scheduler: {path}: {error.strerror}") from None


_MISSING = object()
