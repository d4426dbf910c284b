"""The model card of a trained scheduler: who it is, how it was trained, what it reached."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from ...common.files import read_json
from ...common.files import sha256 as checksum
from ...common.settings import Settings, parse_settings

FORMAT = "frugalfl-scheduler-1"
CARD, WEIGHTS, README = "card.json", "weights.safetensors", "README.md"


class Card(Settings):
    """What `card.json` says.

    Attributes:
        name: what tables call it.
        env: id of the environment it was trained in.
        scenario: name of its world.
        trained_clients: N there, or S slots.
        algo: learning algorithm.
        decision: how plans are taken from its probabilities, see `LearnedScheduler`.
        features: names of the observation's columns that the weights read: `clients`, `server`, in worlds of
            serving `slots`, `tasks`, `server`; and `zones`, the number of columns of a zone.
        choices: number of levels by name: `wait_s`, `quorum`, `local_steps`, `transfer_samples`,
            `server_step`, `upload_bits`, `refresh`, `ask_below` (1, or left out: no decision); of serving
            `release`, `threshold`, `load`.
        home: the menu and the leads of forecasts it takes along, see `agents.learned.Home`; empty: those of
            the packaged scenario.
        policy: arguments of the set policy.
        weights_sha256: checksum of the weights' file.
        settings: the training run's settings (`RunSettings.to_json`); `seed` is among them.
        command: what trained it; empty if unknown.
        version: of the package that trained it.
        git: commit that trained it, or None.
        rounds_trained: rounds played to train it, those behind its first weights included.
        validation: `net_points` on `val` and the rounds after which they were reached.
        curve: the training curve: `rounds_trained`, `net_points` in training, `val_net_points`.
        test: figures on the `test` split: `command`, `episodes` and one entry per scheduler in `table`;
            a `note` where something is known that came after it.
    """

    model_config = ConfigDict(strict=True)

    name: str
    env: str
    scenario: str
    trained_clients: int
    algo: str
    decision: str
    features: dict[str, list[str] | int]
    choices: dict[str, int]
    home: dict[str, object] = Field(default_factory=dict)
    policy: dict[str, object]
    weights_sha256: str
    settings: dict[str, object]
    command: str
    version: str
    git: str | None
    rounds_trained: int
    validation: dict[str, object]
    curve: list[dict[str, object]]
    test: dict[str, object]

    def to_json(self) -> dict[str, object]:
        """The document of `card.json`."""
        return {"format": FORMAT, **self.model_dump()}


def read_card(folder: Path) -> Card:
    """The card of a folder.

    Raises:
        ValueError: one line: no such file, not a card, or a field that is missing, unknown or wrong.
    """
    path = folder / CARD
    document = read_json(path, "scheduler")
    if document.pop("format", None) != FORMAT:
        raise ValueError(f"scheduler: {path}: not the card of a trained scheduler ({FORMAT!r})")
    return parse_settings(Card, document, f"scheduler: {path}")


def sha256(path: Path) -> str:
    """Checksum of a file; ValueError if it cannot be read."""
    try:
        return checksum(path.read_bytes())
    except OSError as error:
        raise ValueError(f"scheduler: {path}: {error.strerror}") from None
