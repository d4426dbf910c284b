"""The model that a live federation keeps in its folder, for whoever serves it or goes on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...common.arrays import Floats32
from ...common.files import read_json, read_npz, sha256

KEPT_FORMAT = "frugalfl-deployment-2"
KEPT_ABOUT, KEPT_STATE, PARAMETERS = "deployment.json", "state.npz", "core/params"
"""What the federation was asked to do; its arrays after the last decision, and the model among them."""


class KeptModel(NamedTuple):
    """A model as it lies in a folder."""

    scenario: dict[str, object]  # that it was trained in, not validated
    parameters: Floats32  # [P]


def read_kept_model(folder: Path, label: str) -> KeptModel:
    """The model of the federation in a folder of `frugalfl deploy`; nothing is unpickled.

    Args:
        folder: where it is.
        label: what messages begin with.

    Raises:
        ValueError: one line: no such folder, none that a federation has trained in, or damaged files.
    """
    said = _settings(folder, label)
    scenario = said.get("scenario")
    if not isinstance(scenario, dict):
        raise ValueError(
            f"{label}: {folder / KEPT_ABOUT}: no scenario there, expected one of `frugalfl deploy`"
        )
    if scenario.get("kind") == "serving":
        raise ValueError(f"{label}: {folder}: it served and trained no model, expected one that trained")
    if not (folder / KEPT_STATE).is_file():
        raise ValueError(
            f"{label}: {folder / KEPT_STATE}: not there, expected the model after the first round; let it go "
            "on with `frugalfl deploy --resume`"
        )
    arrays = read_npz(folder / KEPT_STATE, label)
    found = arrays.get(PARAMETERS)
    fits = found is not None and found.dtype.kind == "f" and found.ndim == 2 and len(found) == 1
    if found is None or not fits or not np.isfinite(found).all():
        raise ValueError(
            f"{label}: {folder / KEPT_STATE}: {PARAMETERS!r} is missing, not finite or not of shape [1, P], "
            "expected the checkpoint of a federation"
        )
    return KeptModel(scenario, np.ascontiguousarray(found[0], dtype=np.float32))


def kept_checksum(folder: Path) -> str:
    """Checksum of a folder's model and of what it was trained in; empty if there is none."""
    paths = [folder / name for name in (KEPT_ABOUT, KEPT_STATE)]
    return sha256(*(path.read_bytes() for path in paths)) if all(p.is_file() for p in paths) else ""


def _settings(folder: Path, label: str) -> dict[str, object]:
    """What the federation in a folder was asked to do."""
    if not folder.is_dir():
        raise ValueError(f"{label}: {folder}: no such folder, expected one of `frugalfl deploy`")
    if not (folder / KEPT_ABOUT).is_file():
        why = "no federation has trained there"
        if (folder / "config.json").is_file() or (folder / "card.json").is_file():
            why = "what was trained there is a scheduler"
        raise ValueError(
            f"{label}: {folder / KEPT_ABOUT}: not there ({why}), expected a folder of `frugalfl deploy`"
        )
    about = read_json(folder / KEPT_ABOUT, label)
    if about.get("format") != KEPT_FORMAT:
        raise ValueError(
            f"{label}: {folder / KEPT_ABOUT}: format {about.get('format')!r}, expected {KEPT_FORMAT!r}; "
            "train it anew"
        )
    try:
        said = json.loads(str(about.get("settings")))
    except json.JSONDecodeError as error:
        raise ValueError(f"{label}: {folder / KEPT_ABOUT}: settings: not JSON ({error})") from None
    return said if isinstance(said, dict) else {}
